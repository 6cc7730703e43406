// SPDX-License-Identifier: GPL-2.0

//! When registers are switched without VHE.
//!
//! The kernel runs at EL1 and uses its registers, so guest and host take turns in them at each
//! entry and exit. It does not use what only EL0 does: a guest's is in the CPU from `vcpu_load()`
//! to `vcpu_put()`, as it is under VHE. The kernel sees to that (see `user_sysreg_sr`), except for
//! pKVM's protected guests: what the host has of their registers is up to EL2.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/sysreg-sr.c`](srctree/arch/arm64/kvm/hyp/nvhe/sysreg-sr.c)

#![forbid(unsafe_code)]

use super::{
    GuestContext,
    HostContext, //
};
use crate::hyp::{
    sysreg_sr::*,
    view::{
        Context,
        Owner, //
    }, //
};
use kernel::arm64::{
    registers::*,
    world::Nvhe, //
};

/// Saves the registers of guest or host.
pub(crate) fn save_state<O: Owner>(ctxt: &mut Context<'_, Nvhe, O>) {
    save_el1_state(ctxt);
    save_common_state(ctxt);
    if ctxt.features().is_protected() {
        save_user_state(ctxt);
    }
    save_el2_return_state(ctxt);
}

/// Restores the registers of a guest.
pub(crate) fn restore_guest_state(guest: &GuestContext<'_>) {
    restore_state(guest, || guest.midr_el1());
}

/// Restores the registers of the host.
pub(crate) fn restore_host_state(host: &HostContext<'_>) {
    restore_state(host, || host.midr_el1());
}

#[inline(always)]
fn restore_state<O: Owner>(ctxt: &Context<'_, Nvhe, O>, midr: impl FnOnce() -> u64) {
    // The CPU's own is there when a CPU has come up, and always after a guest that has another.
    let has_another = ctxt.features().has_writable_imp_id_regs();
    let midr = has_another.then(midr);
    restore_el1_state(ctxt, midr, ctxt.get::<MPIDR_EL1>().into());
    restore_common_state(ctxt);
    if ctxt.features().is_protected() {
        restore_user_state(ctxt);
    }
    restore_el2_return_state(ctxt);
}
