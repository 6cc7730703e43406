// SPDX-License-Identifier: GPL-2.0

//! The priority from which on interrupts are signalled to the CPU, where the kernel masks them by
//! that: pseudo-NMIs.
//!
//! C header: [`arch/arm64/include/asm/arch_gicv3.h`](srctree/arch/arm64/include/asm/arch_gicv3.h)

use kernel::{
    arm64::{
        barrier::pmr_sync,
        registers::ICC_PMR_EL1,
        sysreg, //
    },
    bindings, //
};

/// Has all interrupts signalled, so that they end a guest's run. EL2 itself masks them in PSTATE.
#[inline(always)]
pub(crate) fn open() {
    let unmasked = bindings::GICV3_PRIO_UNMASKED | bindings::GICV3_PRIO_PSR_I_SET;
    // SAFETY: EL2 may write it; the CPU has the register, as the kernel uses it.
    unsafe { sysreg::write(ICC_PMR_EL1::from(u64::from(unmasked))) };
    pmr_sync();
}

/// Masks the interrupts that the host had masked when it called.
#[inline(always)]
pub(crate) fn close() {
    // SAFETY: As for `open`.
    unsafe { sysreg::write(ICC_PMR_EL1::from(u64::from(bindings::GICV3_PRIO_IRQ))) }
}
