// SPDX-License-Identifier: GPL-2.0

//! The guest's timers that are in the CPU, which under VHE have names of their own.

use kernel::arm64::{
    registers::{
        CNTPOFF_EL2,
        CNTP_CTL_EL0,
        CNTP_CVAL_EL0,
        CNTV_CTL_EL0,
        CNTV_CVAL_EL0, //
    },
    sysreg,
    world::{
        Vhe,
        World, //
    }, //
};

/// Returns the controls of the physical timer.
#[inline(always)]
pub(crate) fn read_cntp_ctl() -> CNTP_CTL_EL0 {
    // SAFETY: EL2 may read it.
    unsafe { Vhe::read_el0() }
}

/// Returns what the physical timer compares with.
#[inline(always)]
pub(crate) fn read_cntp_cval() -> CNTP_CVAL_EL0 {
    // SAFETY: EL2 may read it.
    unsafe { Vhe::read_el0() }
}

/// Sets what the physical timer compares with.
#[inline(always)]
pub(crate) fn write_cntp_cval(value: CNTP_CVAL_EL0) {
    // SAFETY: EL2 may write it: while a vCPU is loaded, the timer is the guest's.
    unsafe { Vhe::write_el0(value) }
}

/// Returns the controls of the virtual timer.
#[inline(always)]
pub(crate) fn read_cntv_ctl() -> CNTV_CTL_EL0 {
    // SAFETY: EL2 may read it.
    unsafe { Vhe::read_el0() }
}

/// Returns what the virtual timer compares with.
#[inline(always)]
pub(crate) fn read_cntv_cval() -> CNTV_CVAL_EL0 {
    // SAFETY: EL2 may read it.
    unsafe { Vhe::read_el0() }
}

/// Returns the offset of the physical counter.
///
/// Only where the CPUs have `CNTPOFF_EL2`.
#[inline(always)]
pub(crate) fn read_cntpoff() -> u64 {
    // SAFETY: EL2 may read it.
    unsafe { sysreg::read::<CNTPOFF_EL2>() }.into()
}
