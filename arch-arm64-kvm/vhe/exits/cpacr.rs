// SPDX-License-Identifier: GPL-2.0

//! Accesses of a guest hypervisor to its `CPTR_EL2` by the name `CPACR_EL1`.
//!
//! They trap where the CPU lacks FEAT_NV2p1, see `hyp::cptr`.

#![forbid(unsafe_code)]

use crate::{
    hyp::{
        cptr,
        exits::skip::skip_instruction,
        view::Accessed, //
    },
    vhe::{
        view::HostData,
        GuestContext, //
    }, //
};
use kernel::arm64::{
    cpucap,
    registers::{
        CPACR_EL1,
        CPTR_EL2, //
    },
    sysreg::RegisterName, //
};

/// Handles the access. Returns false if it is none of these.
pub(super) fn handle(guest: &mut GuestContext<'_>, host: &HostData<'_>) -> bool {
    if cpucap::cpus_have_nv2p1() {
        return false;
    }

    let syndrome = guest.syndrome();
    if !guest.is_hyp_ctxt() || syndrome.accessed() != Accessed::by(CPACR_EL1::ENCODING) {
        return false;
    }

    if syndrome.is_read() {
        let value: u64 = guest.get_sanitised::<CPTR_EL2>().into();
        guest.set_general_register(syndrome.rt(), value);
    } else {
        let value = guest.general_register(syndrome.rt());
        guest.write_cptr_el2(CPTR_EL2::from(value));
        cptr::activate(guest, host.guest_owns_fp());
    }

    skip_instruction(guest);
    true
}
