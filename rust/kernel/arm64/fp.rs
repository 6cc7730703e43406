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

/// [`asm!`](core::arch::asm!) that changes V0 to V31, and with them, where there is SVE, Z0 to Z31.
///
/// Takes what `asm!` does, with a comma behind the last argument.
///
/// The kernel's target has no FP registers: the compiler keeps nothing in them, and saves none of
/// them on account of the clobbers. The caller must own them, as between `kernel_neon_begin()` and
/// `kernel_neon_end()`.
#[macro_export]
macro_rules! asm_clobbering_v_registers {
    ($($argument:tt)*) => {
        ::core::arch::asm!(
            $($argument)*
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
        )
    };
}
