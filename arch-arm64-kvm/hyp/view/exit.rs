// SPDX-License-Identifier: GPL-2.0

//! The registers of EL2 that tell about an exit, and say where the next ERET goes.
//!
//! They are a guest's from its exit to its next entry, unless the hypervisor itself takes an
//! exception.

use super::Syndrome;
use kernel::arm64::{
    registers::*,
    sysreg,
    world::Hyp, //
};

/// Returns why the guest was left.
#[inline(always)]
pub(crate) fn syndrome<W: Hyp>() -> Syndrome {
    // SAFETY: A register of EL2.
    Syndrome(unsafe { W::read_el2::<ESR_EL2>() }.into())
}

/// Returns the faulting address.
#[inline(always)]
pub(crate) fn far<W: Hyp>() -> u64 {
    // SAFETY: A register of EL2.
    unsafe { W::read_el2::<FAR_EL2>() }.into()
}

/// Returns the faulting intermediate address.
#[inline(always)]
pub(crate) fn hpfar() -> HPFAR_EL2 {
    // SAFETY: A register of EL2.
    unsafe { sysreg::read() }
}

/// Returns the address that the guest goes on at.
#[inline(always)]
pub(crate) fn pc<W: Hyp>() -> u64 {
    // SAFETY: A register of EL2.
    unsafe { W::read_el2::<ELR_EL2>() }.into()
}

/// Sets the address that the guest goes on at.
#[inline(always)]
pub(crate) fn set_pc<W: Hyp>(value: u64) {
    // SAFETY: Code at EL2 does not depend on it until its ERET, at which the guest goes on there.
    unsafe { W::write_el2(ELR_EL2::from(value)) }
}

/// Returns the PSTATE that the guest goes on with.
#[inline(always)]
pub(crate) fn pstate<W: Hyp>() -> u64 {
    // SAFETY: A register of EL2.
    unsafe { W::read_el2::<SPSR_EL2>() }.into()
}

/// Sets the PSTATE that the guest goes on with, which must be one of EL1 or EL0: one that it was
/// left with, or that has the mode of one.
#[inline(always)]
pub(crate) fn set_pstate<W: Hyp>(value: u64) {
    // SAFETY: Code at EL2 does not depend on it until its ERET, and that leaves it for EL1 or EL0,
    // as the caller sees to.
    unsafe { W::write_el2(SPSR_EL2::from(value)) }
}

/// Returns the ISS that some Apple CPUs leave for a trapped access to the PMU.
// Only where the kernel is at EL2.
#[allow(dead_code)]
#[inline(always)]
pub(crate) fn afsr1() -> u64 {
    // SAFETY: A register of EL2.
    unsafe { sysreg::read::<AFSR1_EL2>() }.into()
}

/// Translates `address` as EL1 would for a read. Returns `PAR_EL1`, if there is one.
/// `ignoring_permissions` is for CPUs that have permission overlays.
///
/// The guest's own value of that register is kept.
#[inline(always)]
pub(crate) fn translate_at_el1(address: u64, ignoring_permissions: bool) -> Option<PAR_EL1> {
    // SAFETY: EL2 may access PAR_EL1, and with the guest's stage 1 in the CPU, AT uses that. There
    // is one that ignores permissions where there are overlays. The hypervisor's vectors handle an
    // exception of it.
    unsafe {
        let kept = sysreg::read_par();
        let done = sysreg::at_s1e1(address, ignoring_permissions);
        let result = done.then(|| sysreg::read_par());
        sysreg::write(kept);
        result
    }
}
