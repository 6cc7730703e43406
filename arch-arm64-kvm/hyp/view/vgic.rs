// SPDX-License-Identifier: GPL-2.0

//! Accesses of a guest to its interrupt controller that C code at EL2 answers.

use super::{
    Context,
    Guest, //
};
use kernel::{
    arm64::world::Hyp,
    bindings,
    static_key_is_enabled, //
};

/// Returns whether accesses to the CPU interface of a GICv3 trap.
#[inline(always)]
pub(crate) fn v3_cpuif_traps() -> bool {
    // SAFETY: A static key of both worlds.
    unsafe { static_key_is_enabled!(bindings::vgic_v3_cpuif_trap) }
}

/// Emulates the access that the guest was left for. Returns whether it was one to the CPU
/// interface.
#[inline(always)]
pub(crate) fn perform_v3_cpuif_access<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    // SAFETY: A vCPU by the type invariant; a function of both worlds.
    unsafe { bindings::__vgic_v3_perform_cpuif_access(guest.vcpu.as_ptr()) == 1 }
}

/// Returns whether the guest's accesses to the CPU interface of a GICv2 have to be passed on.
#[inline(always)]
pub(crate) fn v2_cpuif_traps() -> bool {
    // SAFETY: A static key of both worlds.
    unsafe { static_key_is_enabled!(bindings::vgic_v2_cpuif_trap) }
}

/// What came of an access that could be one to the CPU interface of a GICv2.
pub(crate) enum V2Access {
    /// It has been passed on.
    Done,
    /// It is not one.
    NotOne,
    /// It is one that the device does not allow.
    Illegal,
}

/// Passes on the access that the guest was left for, if it is one to the CPU interface.
#[inline(always)]
pub(crate) fn perform_v2_cpuif_access<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> V2Access {
    // SAFETY: A vCPU by the type invariant; a function of both worlds.
    match unsafe { bindings::__vgic_v2_perform_cpuif_access(guest.vcpu.as_ptr()) } {
        1 => V2Access::Done,
        -1 => V2Access::Illegal,
        _ => V2Access::NotOne,
    }
}
