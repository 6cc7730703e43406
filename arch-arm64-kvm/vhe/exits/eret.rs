// SPDX-License-Identifier: GPL-2.0

//! ERET of a guest hypervisor.
//!
//! If it goes to virtual EL2 itself, or to userspace of a guest hypervisor that uses VHE, the
//! registers and stage 2 are those that are in the CPU already: it is enough to return to the right
//! place.

#![forbid(unsafe_code)]

use crate::{
    hyp::{
        pstate::{
            EL1H,
            EL1T,
            EL2H,
            EL2T,
            MODE, //
        },
        view::exit, //
    },
    vhe::GuestContext, //
};
use kernel::{
    arm64::{
        cpucap,
        registers::{
            ELR_EL1,
            SPSR_EL1, //
        },
        world::Vhe, //
    },
    bindings, //
};

const EL0T: u64 = bindings::PSR_MODE_EL0t as u64;

/// Handles the trap. Returns false if the kernel has to: it changes from L1 to L2, or gives the
/// guest an exception.
pub(super) fn handle(guest: &mut GuestContext<'_>) -> bool {
    // With FEAT_NV3 the CPU does by itself what is done here.
    if cpucap::cpus_have_nv3() && guest.el2_e2h_is_set() {
        return false;
    }

    // KVM does not trap ERET of L2, so L1 does, and is to know.
    if guest.is_nested_ctxt() {
        return false;
    }

    let pstate: u64 = guest.read_el1::<SPSR_EL1>().into();
    let mode = match pstate & MODE {
        EL0T if guest.el2_e2h_is_set() && guest.el2_tge_is_set() => EL0T,
        EL2T => EL1T,
        EL2H => EL1H,
        _ => return false,
    };

    let target = if guest.syndrome().is_eretax() {
        match guest.authenticated_eret_target() {
            Some(target) => target,
            None => return false,
        }
    } else {
        guest.read_el1::<ELR_EL1>().into()
    };

    exit::set_pstate::<Vhe>(pstate & !MODE | mode);
    exit::set_pc::<Vhe>(target);
    true
}
