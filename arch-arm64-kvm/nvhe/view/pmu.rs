// SPDX-License-Identifier: GPL-2.0

//! Which counters of the PMU count.

use kernel::arm64::{
    registers::{
        PMCNTENCLR_EL0,
        PMCNTENSET_EL0, //
    },
    sysreg, //
};

/// Stops the counters whose bits are set. Only where there are any.
#[inline(always)]
pub(crate) fn disable_counters(counters: u64) {
    // SAFETY: EL2 may write it. The kernel has named the counters, so there is a PMU.
    unsafe { sysreg::write(PMCNTENCLR_EL0::from(counters)) }
}

/// Starts the counters whose bits are set. As for [`disable_counters`].
#[inline(always)]
pub(crate) fn enable_counters(counters: u64) {
    // SAFETY: As for `disable_counters`.
    unsafe { sysreg::write(PMCNTENSET_EL0::from(counters)) }
}
