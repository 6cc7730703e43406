// SPDX-License-Identifier: GPL-2.0

//! How a VMM ended, and what that means.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Exit status of a program that found nothing to test.
const SKIP: i32 = 4;

/// What a VMM says where a guest has come to a bad end by itself. No error of the host
/// may do that to it.
const LOST: [&str; 4] = [
    "the guest asked for a reset",
    "the guest reported a crash",
    "the guest caused system event",
    "KVM_RUN ended with",
];

/// All that is known of a VMM that has ended.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// It was killed by this program.
    pub killed: bool,
    /// Allocations of it were made to fail.
    pub faulty: bool,
    /// The kernel killed it, as there was no memory.
    pub out_of_memory: bool,
    /// Its time was up.
    pub hung: bool,
    /// Whether the guest says how much it compared.
    pub counts: bool,
    /// Comparisons of its registers that the guest reported.
    pub checks: u64,
    /// Those that found something else.
    pub corruptions: u64,
    /// The last lines that it printed.
    pub lines: Vec<String>,
}

/// What an end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The guest found everything as it must be.
    Passed,
    /// This host cannot have such guests.
    Skipped,
    /// It was killed in the middle.
    Killed,
    /// It ended with an error because an allocation failed.
    EndedByFault,
    /// This must not happen.
    Wrong(String),
}

impl Ended {
    /// What it means.
    pub fn meaning(&self) -> Meaning {
        if self.corruptions > 0 {
            return Meaning::Wrong(format!("{} corruptions", self.corruptions));
        }
        if let Some(line) = self.lost() {
            return Meaning::Wrong(format!("the guest was lost: {line}"));
        }
        if self.killed {
            return Meaning::Killed;
        }
        if self.hung {
            return Meaning::Wrong("did not come to its end".to_owned());
        }
        match (self.status.code(), self.status.signal()) {
            (Some(0), _) if self.counts && self.checks == 0 => {
                Meaning::Wrong("did not check anything".to_owned())
            }
            (Some(0), _) => Meaning::Passed,
            (Some(SKIP), _) => Meaning::Skipped,
            (_, Some(libc::SIGKILL)) if self.out_of_memory => Meaning::Killed,
            _ if self.faulty => Meaning::EndedByFault,
            _ => Meaning::Wrong(format!("failed: {}", self.status)),
        }
    }

    /// The line that says that the guest, and not the VMM, cannot go on.
    fn lost(&self) -> Option<&str> {
        let says_so = |line: &&String| LOST.iter().any(|text| line.contains(text));
        self.lines.iter().find(says_so).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32) -> Ended {
        Ended {
            status: ExitStatus::from_raw(code << 8),
            counts: true,
            checks: 5,
            ..Default::default()
        }
    }

    fn signal(signal: i32) -> Ended {
        Ended {
            status: ExitStatus::from_raw(signal),
            ..exit(0)
        }
    }

    fn is_wrong(ended: &Ended) -> bool {
        matches!(ended.meaning(), Meaning::Wrong(_))
    }

    #[test]
    fn only_a_guest_that_checked_and_found_all_right_passes() {
        assert_eq!(exit(0).meaning(), Meaning::Passed);
        assert!(is_wrong(&Ended {
            checks: 0,
            ..exit(0)
        }));
        assert!(is_wrong(&Ended {
            corruptions: 1,
            ..exit(0)
        }));
        assert!(is_wrong(&exit(1)) && is_wrong(&signal(libc::SIGSEGV)));
        let bare = Ended {
            checks: 0,
            counts: false,
            ..exit(0)
        };
        assert_eq!(bare.meaning(), Meaning::Passed);
        assert_eq!(exit(SKIP).meaning(), Meaning::Skipped);
    }

    #[test]
    fn a_failed_allocation_excuses_the_vmm_and_not_the_guest() {
        let faulty = |ended: Ended| Ended {
            faulty: true,
            ..ended
        };
        assert_eq!(faulty(exit(1)).meaning(), Meaning::EndedByFault);
        assert_eq!(
            faulty(signal(libc::SIGSEGV)).meaning(),
            Meaning::EndedByFault
        );
        let lost = Ended {
            lines: vec!["vmm: vCPU 0: the guest asked for a reset (with panic=-1 ...)".into()],
            ..faulty(exit(1))
        };
        assert!(is_wrong(&lost));
        assert!(is_wrong(&Ended {
            corruptions: 1,
            ..faulty(exit(1))
        }));
        assert!(is_wrong(&Ended {
            hung: true,
            ..faulty(signal(libc::SIGKILL))
        }));
    }

    #[test]
    fn who_was_killed_is_excused_but_for_what_it_found_before() {
        let killed = Ended {
            killed: true,
            checks: 0,
            ..signal(libc::SIGKILL)
        };
        assert_eq!(killed.meaning(), Meaning::Killed);
        assert!(is_wrong(&Ended {
            corruptions: 2,
            ..killed.clone()
        }));
        // By somebody else.
        assert!(is_wrong(&signal(libc::SIGKILL)));
        assert_eq!(
            Ended {
                out_of_memory: true,
                ..signal(libc::SIGKILL)
            }
            .meaning(),
            Meaning::Killed
        );
    }
}
