// SPDX-License-Identifier: GPL-2.0

//! The FP core of the kernel, as seen by code that lends the FP registers to somebody else.
//!
//! C source: [`arch/arm64/kernel/fpsimd.c`](srctree/arch/arm64/kernel/fpsimd.c)

use crate::{
    arm64::cpucap::system_supports_sme,
    preempt::PreemptionDisabled, //
};

/// Saves whatever state the FP registers of this CPU hold to where it belongs, and marks the
/// registers as nobody's.
///
/// Afterwards `TIF_FOREIGN_FPSTATE` is set for the running thread, and where the system has SME,
/// `PSTATE.SM` and `PSTATE.ZA` are 0. Interrupts may be on or off. Does nothing on a system without
/// FP/SIMD.
#[inline(always)]
pub fn save_and_flush_cpu_state(_: PreemptionDisabled<'_>) {
    // SAFETY: The one precondition is that preemption is disabled, which the token proves.
    unsafe { bindings::fpsimd_save_and_flush_cpu_state() }
}

/// Returns whether this CPU is in streaming mode or has ZA enabled.
///
/// `false` where the system does not offer SME, whose control register then cannot be read.
#[inline(always)]
pub fn sme_state_is_live(_: PreemptionDisabled<'_>) -> bool {
    // SAFETY: SVCR can be read at EL1 and above where SME is implemented and enabled, which the
    // capability says.
    system_supports_sme() && unsafe { bindings::read_svcr() } != 0
}
