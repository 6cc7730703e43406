// SPDX-License-Identifier: GPL-2.0

//! TLB maintenance of a guest hypervisor for its own stage 1.
//!
//! For a guest hypervisor that uses VHE these are the instructions of EL1. They have to trap all
//! the same, as FEAT_NV2 does not let writes to `HCR_EL2.TGE` trap, so it is not known when they
//! are for its guest instead.

#![forbid(unsafe_code)]

use crate::{
    hyp::exits::skip::skip_instruction,
    vhe::GuestContext, //
};

/// Handles the instruction. Returns false if the kernel has to.
///
/// There is nothing to forward: with E2H and TGE the guest hypervisor is its own host.
pub(super) fn handle(guest: &mut GuestContext<'_>) -> bool {
    if !guest.is_hyp_ctxt() {
        return false;
    }

    let syndrome = guest.syndrome();
    let instruction = syndrome.accessed();
    let operand = guest.general_register(syndrome.rt());

    let is_own_host = guest.el2_e2h_is_set() && guest.el2_tge_is_set();
    let is_for_el2 =
        (is_own_host && guest.has_tlbi_of_el1(instruction)) || guest.has_tlbi_of_el2(instruction);
    if !is_for_el2 || !guest.invalidate_tlb_of_el2(operand, instruction) {
        return false;
    }

    // Whether entries for its VNCR page are among them, the kernel finds out. A walk that fills
    // them counts itself before it begins, so that none is missed.
    if is_own_host && guest.vm_has_vncr_tlbs() {
        return false;
    }

    skip_instruction(guest);
    true
}
