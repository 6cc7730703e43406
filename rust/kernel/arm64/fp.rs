// SPDX-License-Identifier: GPL-2.0

//! The FP core of the kernel, as seen by code that lends the FP registers to somebody else.
//!
//! C source: [`arch/arm64/kernel/fpsimd.c`](srctree/arch/arm64/kernel/fpsimd.c)

use crate::{
    arm64::{
        cpucap::{
            system_supports_sme,
            system_supports_sve, //
        },
        registers::CPACR_EL1,
        sysreg,
        thread_flag::ThreadFlag, //
    },
    interrupt::LocalInterruptDisabled,
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

/// Sets what of SVE and SME traps to the kernel while the running thread is in userspace, as the FP
/// core does when it loads the thread's state: what the thread has not used yet.
///
/// For code that has changed `CPACR_EL1` and leaves the thread's state in the registers. Where the
/// state is to be loaded again, the FP core sees to it.
#[inline(always)]
pub fn restore_user_traps(_: &LocalInterruptDisabled) {
    /// Accesses of the kernel's own do not trap.
    const KERNEL_ONLY: u64 = 0b01;
    /// No accesses trap.
    const OPEN: u64 = 0b11;

    // SAFETY: The kernel's own register, with an effect on userspace only: by the two constants the
    // kernel can use what it could before.
    unsafe {
        let old: u64 = sysreg::read::<CPACR_EL1>().into();
        let mut cpacr = CPACR_EL1::from(old);
        if system_supports_sve() {
            cpacr = match ThreadFlag::Sve.is_set() {
                true => cpacr.with_const_zen::<OPEN>(),
                false => cpacr.with_const_zen::<KERNEL_ONLY>(),
            };
        }
        if system_supports_sme() {
            cpacr = match ThreadFlag::Sme.is_set() {
                true => cpacr.with_const_smen::<OPEN>(),
                false => cpacr.with_const_smen::<KERNEL_ONLY>(),
            };
        }
        if u64::from(cpacr) != old {
            sysreg::write(cpacr);
        }
    }
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
