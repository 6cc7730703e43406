// SPDX-License-Identifier: GPL-2.0

//! The counters as a guest sees them: the CPU's, less an offset.

use super::{
    context::{
        context_registers,
        ContextRegister, //
    },
    Context,
    Guest, //
};
use kernel::{
    arm64::{
        registers::{
            CNTHCTL_EL2,
            CNTHP_CVAL_EL2,
            CNTP_CTL_EL0,
            CNTP_CVAL_EL0,
            CNTV_CTL_EL0,
            CNTV_CVAL_EL0, //
        },
        sysreg,
        world::Hyp, //
    },
    bindings,
    static_key_is_enabled, //
};

context_registers! {
    CNTHCTL_EL2 CNTHP_CVAL_EL2 CNTP_CTL_EL0 CNTP_CVAL_EL0 CNTV_CTL_EL0 CNTV_CVAL_EL0
}

/// A timer of a guest.
// Only guests with a virtual EL2 have those of EL2.
#[allow(dead_code)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Timer {
    /// The physical timer of EL1.
    Physical = bindings::kvm_arch_timers_TIMER_PTIMER,
    /// The virtual timer of EL1.
    Virtual = bindings::kvm_arch_timers_TIMER_VTIMER,
    /// The virtual timer of EL2.
    HypVirtual = bindings::kvm_arch_timers_TIMER_HVTIMER,
    /// The physical timer of EL2.
    HypPhysical = bindings::kvm_arch_timers_TIMER_HPTIMER,
}

/// Returns how far behind the physical counter `timer` counts.
#[inline(always)]
pub(crate) fn offset<W: Hyp>(guest: &Context<'_, W, Guest>, timer: Timer) -> u64 {
    // SAFETY: A field of the vCPU, by the type invariant; the array has an element for each timer.
    // The pointers in it are NULL, or lead to a field of the VM or of the vCPU.
    unsafe {
        let timers = &raw const (*guest.vcpu.as_ptr()).arch.timer_cpu.timers;
        let timer = timers
            .cast::<bindings::arch_timer_context>()
            .add(timer as usize);
        read::<W>((*timer).offset.vm_offset).wrapping_add(read::<W>((*timer).offset.vcpu_offset))
    }
}

/// Returns what is at `place`, or 0 if that is NULL.
///
/// # Safety
///
/// If it is not NULL, it must lead to a number, for the kernel.
#[inline(always)]
unsafe fn read<W: Hyp>(place: *mut u64) -> u64 {
    if place.is_null() {
        return 0;
    }
    // SAFETY: By the safety requirement. Volatile, as the VMM may set it while the guest runs.
    unsafe { W::kern_hyp_va(place).read_volatile() }
}

/// Returns whether some CPU has a `CNTVOFF_EL2` that has no effect.
// Under VHE the kernel sets the traps itself, here and below.
#[allow(dead_code)]
#[inline(always)]
pub(crate) fn has_broken_cntvoff() -> bool {
    // SAFETY: A static key of both images.
    unsafe { static_key_is_enabled!(bindings::broken_cntvoff_key) }
}

/// Clears and sets bits of `CNTHCTL_EL2`, if that changes it.
#[allow(dead_code)]
#[inline(always)]
pub(crate) fn change_cnthctl(clear: u64, set: u64) {
    // SAFETY: EL2 may access it. Its traps are of lower levels.
    unsafe {
        let old: u64 = sysreg::read::<CNTHCTL_EL2>().into();
        let new = (old & !clear) | set;
        if new != old {
            sysreg::write(CNTHCTL_EL2::from(new));
        }
    }
}

/// Returns what `timer` counts to.
pub(crate) fn count<W: Hyp>(guest: &Context<'_, W, Guest>, timer: Timer) -> u64 {
    sysreg::read_cntpct().wrapping_sub(offset(guest, timer))
}

/// Returns whether the guest hypervisor lets its guest read the physical counter.
pub(crate) fn may_read_physical_counter<W: Hyp>(guest: &Context<'_, W, Guest>) -> bool {
    const EL1PCTEN: u64 = bindings::CNTHCTL_EL1PCTEN as u64;
    let controls: u64 = guest.get_sanitised::<CNTHCTL_EL2>().into();
    // With E2H, what is in bits 1 and 0 without it is in bits 11 and 10.
    let bit = if guest.el2_e2h_is_set() {
        EL1PCTEN << 10
    } else {
        EL1PCTEN
    };
    controls & bit != 0
}

/// Returns whether the guest hypervisor traps its guest's reads of the virtual counter.
pub(crate) fn virtual_counter_traps<W: Hyp>(guest: &Context<'_, W, Guest>) -> bool {
    const EL1TVCT: u64 = bindings::CNTHCTL_EL1TVCT as u64;
    let controls: u64 = guest.get_sanitised::<CNTHCTL_EL2>().into();
    controls & EL1TVCT != 0
}
