// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{Parser, Subcommand};

/// Has guests, host tasks and everything that disturbs them at work at the same
/// time, and checks that nobody's registers change.
#[derive(Debug, Parser)]
#[command(name = "soak", args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub role: Option<Role>,
    /// How long
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Decides what is started, in which order, and how often what happens
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Start protected guests as well: the host needs kvm-arm.mode=protected
    #[arg(long)]
    pub protected: bool,
    /// Seconds between two reports of progress
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub report: u64,
}

/// Other things than a soak that the program can do.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Stop the threads of processes, which are named on standard input, and read and
    /// write back their registers
    #[command(hide = true)]
    Tracer,
    /// Allocate memory until so little is left, hold it, and end
    #[command(hide = true)]
    MemoryHog {
        /// MiB that are left to others
        #[arg(long)]
        leave: u64,
        /// How long it is held
        #[arg(long)]
        milliseconds: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn time_and_seed_are_taken_and_reports_come_at_intervals() {
        let options = Options::parse_from(["soak", "--seconds", "7200", "--seed", "5"]);
        assert_eq!((options.seconds, options.seed), (7200, 5));
        assert!(!options.protected && options.report == 60);
        assert!(Options::try_parse_from(["soak", "--report", "0"]).is_err());
    }
}
