// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::exit::Exit;

/// Measures what exits of guests take on this host.
///
/// For each, a guest without an operating system causes it 4096 times. The table has the median of
/// all rounds; cycles and instructions are those of the host, not of the guest.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// Measure this exit only; may be given several times
    #[arg(long, value_name = "NAME", value_enum, hide_possible_values = true)]
    pub exit: Vec<Exit>,

    /// How often each guest is run
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// Host CPU that the vCPUs run on; by default the first that this process may use
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,

    /// Write the same to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Fail where a figure cannot be right
    #[arg(long)]
    pub check: bool,

    /// List the exits, and measure none
    #[arg(long)]
    pub list: bool,

    /// What this program starts for each round: measure this one once, and print it as JSON
    #[arg(long, value_name = "NAME", value_enum, hide = true)]
    pub one_round: Option<Exit>,

    /// With `--one-round`: do without SCHED_FIFO
    #[arg(long, hide = true)]
    pub not_realtime: bool,
}

impl Options {
    /// The exits to measure, each once, in the order of the list.
    pub fn exits(&self) -> Vec<Exit> {
        let wanted = |exit: &Exit| self.exit.is_empty() || self.exit.contains(exit);
        Exit::ALL.into_iter().filter(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exits(arguments: &[&str]) -> Vec<Exit> {
        let arguments = ["bench"].iter().chain(arguments);
        Options::try_parse_from(arguments).unwrap().exits()
    }

    #[test]
    fn command_line_definition_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn without_names_all_exits_are_measured() {
        assert_eq!(exits(&[]), Exit::ALL);
        let twice = ["--exit", "ipi", "--exit", "timer", "--exit", "ipi"];
        assert_eq!(exits(&twice), [Exit::Timer, Exit::Ipi]);
        assert!(Options::try_parse_from(["bench", "--exit", "no-such"]).is_err());
        assert!(Options::try_parse_from(["bench", "--rounds", "0"]).is_err());
    }
}
