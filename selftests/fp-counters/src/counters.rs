// SPDX-License-Identifier: GPL-2.0

//! The six counters (Documentation/fp-ownership.rst).

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What KVM has counted, or what was counted from one time to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Loads at which the task's state stayed in the registers.
    pub host_kept: u64,
    /// Times that it was saved.
    pub host_saved: u64,
    /// Times that the guest's was loaded.
    pub guest_loaded: u64,
    /// Times that the kernel took the registers from the guest.
    pub guest_taken: u64,
    /// Puts that saved the guest's state.
    pub guest_put: u64,
    /// Exits with the guest's state in the registers. They are not traced.
    pub exits: u64,
}

impl Counters {
    /// Those that `read` finds by their names.
    pub fn read(read: impl Fn(&str) -> Result<u64>) -> Result<Self> {
        let read = |name| read(name).with_context(|| format!("no counter {name}"));
        Ok(Self {
            host_kept: read("fp_host_kept")?,
            host_saved: read("fp_host_saved")?,
            guest_loaded: read("fp_guest_loaded")?,
            guest_taken: read("fp_guest_taken")?,
            guest_put: read("fp_guest_put")?,
            exits: read("fp_exits")?,
        })
    }

    /// What came to them since they were `earlier`.
    pub fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            host_kept: self.host_kept.checked_sub(earlier.host_kept)?,
            host_saved: self.host_saved.checked_sub(earlier.host_saved)?,
            guest_loaded: self.guest_loaded.checked_sub(earlier.guest_loaded)?,
            guest_taken: self.guest_taken.checked_sub(earlier.guest_taken)?,
            guest_put: self.guest_put.checked_sub(earlier.guest_put)?,
            exits: self.exits.checked_sub(earlier.exits)?,
        })
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "host kept {}, saved {}; guest loaded {}, taken {}, put {}; exits {}",
            self.host_kept,
            self.host_saved,
            self.guest_loaded,
            self.guest_taken,
            self.guest_put,
            self.exits
        )
    }
}

/// What was counted at a mark of a guest, or from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What KVM counted.
    pub counters: Counters,
    /// Times that the vCPU's thread lost the CPU. It is put then, and loaded when it goes on,
    /// unless it is in userspace.
    pub switches: u64,
}

impl Counted {
    /// What came to it since it was `earlier`.
    pub fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            counters: self.counters.since(earlier.counters)?,
            switches: self.switches.checked_sub(earlier.switches)?,
        })
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; CPU lost {}", self.counters, self.switches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_is_read_by_its_name_and_compared() {
        let names = [
            "fp_host_kept",
            "fp_host_saved",
            "fp_guest_loaded",
            "fp_guest_taken",
            "fp_guest_put",
            "fp_exits",
        ];
        let number = |name: &str| names.iter().position(|n| *n == name).map(|at| at as u64);
        let read = |name: &str| number(name).context("unknown");
        let all = Counters::read(read).unwrap();
        let text = "host kept 0, saved 1; guest loaded 2, taken 3, put 4; exits 5";
        assert_eq!(all.to_string(), text);
        assert_eq!(all.since(all), Some(Counters::default()));
        assert_eq!(all.since(Counters::default()), Some(all));
        assert_eq!(Counters::default().since(all), None);
    }

    #[test]
    fn what_is_counted_between_two_marks_is_what_the_second_has_more() {
        let at = |exits, switches| Counted {
            counters: Counters {
                exits,
                ..Counters::default()
            },
            switches,
        };
        assert_eq!(at(9, 5).since(at(2, 4)), Some(at(7, 1)));
        assert_eq!(at(9, 5).since(at(2, 6)), None);
        assert_eq!(at(1, 5).since(at(2, 4)), None);
    }
}
