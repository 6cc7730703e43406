// SPDX-License-Identifier: GPL-2.0

//! The registers that only EL0 uses, where the kernel runs at EL1.
//!
//! They need not change with every entry to the guest and exit from it: the kernel does not use
//! them, and the VMM's own code, which does, does not run between `vcpu_load()` and `vcpu_put()`.
//! VHE has always switched the first two there, and it is the same kernel that runs in between:
//!
//! - `TPIDR_EL0`: read and written for the running thread when threads are switched, made or
//!   changed by their own system calls. A vCPU is put before its thread is switched. Otherwise only
//!   a stack overflow uses it, on the way to a panic.
//! - `TPIDRRO_EL0`: the same, and scratch space of the vectors that EL0 enters the kernel by
//!   (`CONFIG_UNMAP_KERNEL_AT_EL0`). No EL0 enters by them in between.
//! - `TFSRE0_EL1`: looked at and cleared when EL0 enters the kernel. Asynchronous tag check faults
//!   of the kernel's own accesses to user memory gather there, too, but such accesses are not
//!   checked for a thread that asks for asynchronous checks (PSTATE.TCO stays as the exception set
//!   it). With asymmetric checks, or with KASAN that uses tags, a VMM that maps the guest's memory
//!   with PROT_MTE could make the guest see one of its own faults, as it can under VHE.
//!
//! A protected guest of pKVM is different: EL2 switches all of its registers (`nvhe::sysreg_sr`),
//! and the host gets no more of them than it needs (`nvhe::pkvm::registers`).

#![forbid(unsafe_code)]

use crate::hyp::{
    sysreg_sr::{
        restore_user_state,
        save_user_state, //
    },
    view::{
        Context,
        Guest,
        Host, //
    }, //
};
use kernel::arm64::{
    registers::TFSRE0_EL1,
    world::Kernel, //
};

pub(crate) type GuestContext<'a> = Context<'a, Kernel, Guest>;
pub(crate) type HostContext<'a> = Context<'a, Kernel, Host>;

/// Puts the guest's registers into the CPU, for `vcpu_load()`.
///
/// Context: the kernel at EL1, preemption disabled, interrupts on or off.
pub(crate) fn load(guest: &GuestContext<'_>, host: &mut HostContext<'_>) {
    if guest.features().is_protected() {
        return;
    }
    save_user_state(host);
    restore_user_state(guest);
    if guest.features().has_mte() {
        host.save_user::<TFSRE0_EL1>();
        guest.restore_user::<TFSRE0_EL1>();
    }
}

/// Takes the guest's registers from the CPU, for `vcpu_put()`. Context: as for [`load`].
pub(crate) fn put(guest: &mut GuestContext<'_>, host: &HostContext<'_>) {
    if guest.features().is_protected() {
        return;
    }
    save_user_state(guest);
    restore_user_state(host);
    if guest.features().has_mte() {
        guest.save_user::<TFSRE0_EL1>();
        host.restore_user::<TFSRE0_EL1>();
    }
}
