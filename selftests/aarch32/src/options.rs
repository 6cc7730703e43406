// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::Parser;

use crate::layout::MAX_CPUS;
use crate::one_reg::Alteration;
use crate::registers::{Register, DOUBLEWORDS};
use crate::subject::Subject;

/// Runs guests in AArch32 state at EL1, and checks that they keep their
/// registers.
#[derive(Debug, Parser)]
#[command(name = "aarch32")]
pub struct Options {
    /// How long the vCPUs hold their registers against each other
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    /// Host CPU to work on
    #[arg(long, default_value_t = 0)]
    pub cpu: usize,
    /// vCPUs of the guest
    #[arg(
        long,
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=MAX_CPUS as i64)
    )]
    pub vcpus: u32,
    /// What to change under the guest afterwards, which it must notice:
    /// a register, such as DACR or D7, all, or none
    #[arg(long, default_value = "all", value_parser = Alter::parse)]
    pub alter: Alter,
    /// Only report how often vCPUs were preempted, and let an emulated CPU lose more:
    /// what else the host has to do takes their CPU away for long
    #[arg(long)]
    pub busy_host: bool,
    /// Check as well what QEMU's CPUs do not do: keep what is written to
    /// DBGVCR, and have the SPSR that KVM sets for an exception that it injects
    #[arg(long)]
    pub real_cpu: bool,
}

/// What is changed under a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alter {
    /// Each register in its turn.
    All,
    /// None.
    None,
    /// This one.
    One(Subject),
}

impl Alter {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            name => subjects()
                .find(|subject| {
                    let known = subject.to_string().to_ascii_lowercase();
                    known == name || known.strip_suffix(".low") == Some(name)
                })
                .map(Self::One)
                .ok_or_else(|| {
                    let known: Vec<String> = subjects().map(|s| s.to_string()).collect();
                    format!("it is one of: all none {}", known.join(" "))
                }),
        }
    }
}

/// All registers.
fn subjects() -> impl Iterator<Item = Subject> {
    let halves = (0..DOUBLEWORDS)
        .flat_map(|register| [false, true].map(|high| Subject::Half { register, high }));
    let registers = Register::ALL.iter().copied();
    registers.map(Subject::Register).chain(halves)
}

impl Options {
    /// What is to be changed under the guest, in this order.
    pub fn alterations(&self) -> Vec<Alteration> {
        let chosen = |subject: &Subject| match &self.alter {
            Alter::All => self.real_cpu || *subject != Subject::Register(Register::Dbgvcr),
            Alter::None => false,
            Alter::One(one) => subject == one,
        };
        subjects()
            .filter(chosen)
            .filter_map(Alteration::of)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alterations(arguments: &[&str]) -> Vec<String> {
        let options = Options::parse_from([&["aarch32"], arguments].concat());
        let alterations = options.alterations();
        alterations.iter().map(|a| a.subject.to_string()).collect()
    }

    #[test]
    fn registers_are_found_by_their_names() {
        assert_eq!(alterations(&["--alter", "dacr"]), ["DACR"]);
        assert_eq!(alterations(&["--alter", "SPSR_abt"]), ["SPSR_abt"]);
        assert_eq!(alterations(&["--alter", "d7"]), ["D7.low"]);
        assert_eq!(alterations(&["--alter", "D7.high"]), ["D7.high"]);
        assert!(alterations(&["--alter", "none"]).is_empty());
        assert!(Alter::parse("d32").unwrap_err().contains("D31.high"));
    }

    #[test]
    fn all_are_all_but_what_the_cpu_lacks() {
        let all = alterations(&["--real-cpu"]);
        assert_eq!(all.len(), Register::ALL.len() + 2 * DOUBLEWORDS);
        let most = alterations(&[]);
        assert_eq!(most.len() + 1, all.len());
        assert!(!most.contains(&"DBGVCR".to_owned()));
    }

    #[test]
    fn preemptions_are_demanded_unless_the_host_is_busy() {
        let is_busy = |arguments: &[&str]| Options::parse_from(arguments).busy_host;
        assert!(!is_busy(&["aarch32"]) && is_busy(&["aarch32", "--busy-host"]));
    }

    #[test]
    fn there_is_a_vcpu_and_a_redistributor_for_each() {
        let with = |vcpus: &str| Options::try_parse_from(["aarch32", "--vcpus", vcpus]);
        assert!(with("8").is_ok());
        assert!(with("0").is_err() && with("9").is_err());
    }
}
