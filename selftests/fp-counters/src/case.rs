// SPDX-License-Identifier: GPL-2.0

//! The guests, and what must be counted while they run.

use anyhow::{ensure, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::counters::{Counted, Counters};

/// Reads that the VMM answers, between the two marks of a guest (selftests/exits).
const READS: u64 = 4096;
/// Entries between them: one after each, and one after the first mark.
const RUNS: u64 = READS + 1;
/// Softirqs of the machine's own that may use FP meanwhile.
const SOFTIRQS: u64 = 64;

/// A guest whose reads a VMM answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
pub enum Case {
    /// Neither uses FP.
    Idle,
    /// The VMM does.
    VmmUsesFp,
    /// The guest does, before each read.
    GuestUsesFp,
    /// It does, and so do softirqs.
    SoftirqsUseFp,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Idle,
        Self::VmmUsesFp,
        Self::GuestUsesFp,
        Self::SoftirqsUseFp,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::VmmUsesFp => "vmm-uses-fp",
            Self::GuestUsesFp => "guest-uses-fp",
            Self::SoftirqsUseFp => "softirqs-use-fp",
        }
    }

    /// The guest's file.
    pub fn guest(self) -> &'static str {
        match self {
            Self::Idle | Self::VmmUsesFp => "/kvm-rust/guest/exit-run-idle",
            Self::GuestUsesFp | Self::SoftirqsUseFp => "/kvm-rust/guest/exit-run-idle-fp-guest",
        }
    }

    /// Fails if what was counted is not what comes of it. Where `pkvm`, the host does not get to
    /// know what the guest does.
    pub fn check(self, counted: Counted, pkvm: bool) -> Result<()> {
        let Counted { counters, switches } = counted;
        let Counters {
            host_kept,
            host_saved,
            guest_loaded,
            guest_taken,
            guest_put,
            exits,
        } = counters;
        let about = |what: &str, count: u64, least: u64| {
            ensure!(
                (least..=least + switches).contains(&count),
                "{what} {count} times, expected {least}, or as many more as the vCPU's thread \
                 lost the CPU: {switches}"
            );
            Ok(())
        };
        if pkvm || matches!(self, Self::Idle | Self::VmmUsesFp) {
            about("a vCPU was loaded", host_kept + host_saved, RUNS)?;
            // The registers may be a softirq's when the vCPU is loaded.
            if self != Self::SoftirqsUseFp {
                about("the host's state was saved", host_saved, 0)?;
            }
            let others = Counters {
                host_kept: 0,
                host_saved: 0,
                ..counters
            };
            ensure!(
                others == Counters::default(),
                "nothing else may be counted of a guest that uses no FP, or of pKVM's: {others}"
            );
            return Ok(());
        }
        // The guest is known to use FP, but for the first run after the mark.
        ensure!(
            host_kept <= 1 + switches,
            "the host's state stayed {host_kept} times, expected once, or as many more as the \
             vCPU's thread lost the CPU: {switches}"
        );
        // One that stays is saved for the guest's first use, unless a softirq has taken the
        // registers, and saved it, before.
        let least = match self {
            Self::SoftirqsUseFp => RUNS.saturating_sub(host_kept),
            _ => RUNS,
        };
        ensure!(
            (least..=RUNS + switches).contains(&host_saved),
            "the host's state was saved {host_saved} times, expected {least} to {RUNS}, or as many \
             more as the vCPU's thread lost the CPU: {switches}"
        );
        ensure!(
            guest_loaded == guest_taken + guest_put,
            "the guest's state was loaded {guest_loaded} times, but taken {guest_taken} times and \
             put {guest_put} times"
        );
        ensure!(
            exits >= READS,
            "{exits} exits with the guest's state, expected {READS} at least"
        );
        if self == Self::SoftirqsUseFp {
            ensure!(guest_taken > 0, "no softirq has taken the registers");
            ensure!(
                guest_loaded >= READS,
                "the guest's state was loaded {guest_loaded} times, expected {READS} at least"
            );
        } else {
            about("the guest's state was loaded", guest_loaded, READS)?;
            ensure!(
                guest_taken <= SOFTIRQS,
                "the registers were taken {guest_taken} times, though nobody else uses them"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Counters = Counters {
        host_kept: RUNS,
        host_saved: 0,
        guest_loaded: 0,
        guest_taken: 0,
        guest_put: 0,
        exits: 0,
    };
    const USED: Counters = Counters {
        host_kept: 1,
        host_saved: RUNS,
        guest_loaded: READS,
        guest_taken: 0,
        guest_put: READS,
        exits: READS,
    };
    const TAKEN: Counters = Counters {
        guest_loaded: READS + 100,
        guest_taken: 100,
        exits: READS + 100,
        ..USED
    };

    /// Times that the CPU is lost, in these tests.
    const SWITCHES: u64 = 3;

    fn check(case: Case, counters: Counters, pkvm: bool) -> Result<()> {
        let switches = SWITCHES;
        case.check(Counted { counters, switches }, pkvm)
    }

    #[test]
    fn what_comes_of_it_passes() {
        for pkvm in [false, true] {
            check(Case::Idle, IDLE, pkvm).unwrap();
            check(Case::VmmUsesFp, IDLE, pkvm).unwrap();
        }
        check(Case::GuestUsesFp, USED, false).unwrap();
        check(Case::SoftirqsUseFp, TAKEN, false).unwrap();
        check(Case::GuestUsesFp, IDLE, true).unwrap();
        check(Case::SoftirqsUseFp, IDLE, true).unwrap();
    }

    #[test]
    fn a_busy_host_makes_more_loads_but_no_more_than_the_cpu_was_lost() {
        let busy = |loads: u64, switches: u64| {
            let counters = Counters {
                host_saved: RUNS + loads,
                ..TAKEN
            };
            Case::SoftirqsUseFp.check(Counted { counters, switches }, false)
        };
        busy(111, 126).unwrap();
        assert!(busy(111, 110).is_err());
    }

    #[test]
    fn a_softirq_may_save_what_had_stayed() {
        let counters = Counters {
            host_saved: RUNS - 1,
            ..TAKEN
        };
        let check = |case: Case, counters| {
            let switches = 2;
            case.check(Counted { counters, switches }, false)
        };
        check(Case::SoftirqsUseFp, counters).unwrap();
        assert!(check(Case::GuestUsesFp, counters).is_err());
        let less = Counters {
            host_saved: RUNS - 2,
            ..counters
        };
        assert!(check(Case::SoftirqsUseFp, less).is_err());
    }

    #[test]
    fn anything_else_fails() {
        let fails = |case, counted| assert!(check(case, counted, false).is_err());
        fails(Case::Idle, Counters::default());
        fails(Case::Idle, USED);
        let more = |of: fn(&mut Counters) -> &mut u64, by: u64, to: Counters| {
            let mut counted = to;
            *of(&mut counted) += by;
            counted
        };
        fails(Case::Idle, more(|c| &mut c.host_kept, SWITCHES + 1, IDLE));
        let saved = Counters {
            host_kept: 0,
            host_saved: RUNS,
            ..IDLE
        };
        fails(Case::Idle, saved);
        check(Case::SoftirqsUseFp, saved, true).unwrap();
        let fields: [fn(&mut Counters) -> &mut u64; 4] = [
            |c| &mut c.guest_loaded,
            |c| &mut c.guest_taken,
            |c| &mut c.guest_put,
            |c| &mut c.exits,
        ];
        for field in fields {
            fails(Case::Idle, more(field, 1, IDLE));
        }
        for case in [Case::GuestUsesFp, Case::SoftirqsUseFp] {
            fails(case, IDLE);
            fails(case, more(|c| &mut c.guest_put, 1, TAKEN));
            fails(case, more(|c| &mut c.host_kept, SWITCHES + 1, USED));
            fails(case, more(|c| &mut c.host_saved, SWITCHES + 1, USED));
            fails(case, Counters { exits: 0, ..TAKEN });
        }
        fails(Case::GuestUsesFp, TAKEN);
        fails(Case::SoftirqsUseFp, USED);
        assert!(check(Case::GuestUsesFp, USED, true).is_err());
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for case in Case::ALL {
            assert_eq!(Case::from_str(case.name(), false), Ok(case));
        }
        assert_eq!(Case::value_variants(), Case::ALL);
    }
}
