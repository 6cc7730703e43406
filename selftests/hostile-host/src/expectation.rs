// SPDX-License-Identifier: GPL-2.0

//! What must come of each lie.

use std::time::Duration;

use anyhow::{ensure, Result};

use crate::guest::{End, ENOUGH};

/// What a guest must do while the host lies about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// EL2 does not use what it is told, or only what a host may say: the guest passes.
    Unaffected,
    /// The entry is an illegal exception return, which KVM_RUN reports as EINVAL.
    IllegalReturn,
    /// The host may say so, and it ruins the guest: the guest must not pass, and that is all.
    Lost,
    /// EL2 does not make a vCPU of it: the first KVM_RUN fails.
    SetUpRefused,
}

use Expectation::{IllegalReturn, Lost, SetUpRefused, Unaffected};

/// All lies, as named in the kernel (hostile_host.rs).
pub const LIES: &[(&str, Expectation)] = &[
    ("used_lrs_huge", Unaffected),
    ("list_registers_ones", Unaffected),
    ("debug_owner_unknown", Unaffected),
    ("hcr_el2_ones", Unaffected),
    ("hcr_el2_zero", Unaffected),
    ("mdcr_el2_ones", Unaffected),
    ("iflags_el2_sync", Lost),
    ("iflags_el2_irq", Lost),
    ("iflags_el2_serror", Lost),
    ("pstate_el2h", Unaffected),
    ("pstate_el2t", Unaffected),
    ("pstate_el3h", IllegalReturn),
    ("pstate_aarch32_hyp", IllegalReturn),
    ("pstate_aarch32_monitor", IllegalReturn),
    ("sve_max_vl_huge", Unaffected),
    ("sve_max_vl_zero", Unaffected),
    ("sve_state_elsewhere", Unaffected),
    ("system_registers_ones", Lost),
    ("mpidr_of_another", Unaffected),
    ("vncr_array_elsewhere", Unaffected),
    ("running_vcpu_elsewhere", Unaffected),
    ("vsesr_and_pid_ones", Unaffected),
    ("other_cpu_writes", Unaffected),
    ("set_up_with_vl_zero", SetUpRefused),
    ("set_up_with_vl_odd", SetUpRefused),
    ("set_up_without_sve_state", SetUpRefused),
    ("set_up_with_sve_state_elsewhere", SetUpRefused),
];

impl Expectation {
    /// How long a guest may run.
    pub fn limit(self) -> Duration {
        match self {
            // It runs until the limit, in an endless loop of exceptions of its own.
            Self::Lost => Duration::from_secs(3),
            _ => ENOUGH,
        }
    }

    /// Fails if the guest's end is not as it must be.
    pub fn check(self, end: &End) -> Result<()> {
        let is_met = match self {
            Self::Unaffected => *end == End::Passed,
            Self::IllegalReturn => {
                let texts = ["KVM_RUN failed", "os error 22"];
                matches!(end, End::Failed(why) if texts.iter().all(|text| why.contains(text)))
            }
            Self::Lost => *end != End::Passed,
            Self::SetUpRefused => false,
        };
        ensure!(is_met, "expected {self:?}, but the guest {end}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_expected_passes() {
        let passed = End::Passed;
        let refused = End::Failed("vmm: KVM_RUN failed at pc 0x1: ... (os error 22)".into());
        let other = End::Failed("vmm: the guest asked for a reset".into());
        for (expectation, good) in [
            (Unaffected, [true, false, false, false]),
            (IllegalReturn, [false, true, false, false]),
            (Lost, [false, true, true, true]),
        ] {
            let ends = [&passed, &refused, &other, &End::StillRunning];
            assert_eq!(
                ends.map(|end| expectation.check(end).is_ok()),
                good,
                "{expectation:?}"
            );
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = LIES.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LIES.len());
    }
}
