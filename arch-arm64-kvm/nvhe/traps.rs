// SPDX-License-Identifier: GPL-2.0

//! Traps without VHE: all of them come and go with an entry, as the host is at EL1 itself.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/switch.c`](srctree/arch/arm64/kvm/hyp/nvhe/switch.c)

#![forbid(unsafe_code)]

use super::{
    view::{
        HostData,
        Vectors, //
    },
    GuestContext,
    HostContext, //
};
use crate::hyp::{
    cptr,
    traps,
    view::traps::write_hcr, //
};
use kernel::arm64::{
    barrier::isb,
    cpucap,
    registers::{
        SCTLR_EL1,
        TCR_EL1, //
    },
    world::Nvhe, //
};

/// Sets the traps for `guest`, whose registers and stage 2 are in the CPU.
#[inline(always)]
pub(crate) fn activate(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &mut HostData<'_>,
) {
    traps::activate_hcr(guest, guest.hcr_el2());
    host_data.activate_mdcr(guest.mdcr_el2());
    traps::activate_common(guest, host, host_data);
    cptr::activate(guest, host_data.guest_owns_fp());
    host_data.set_vectors(Vectors::Guest);

    if cpucap::cpus_have_workaround_speculative_at() {
        // Stage 2 is the guest's, and on, for the CPU from here on. So its stage 1 may come, which
        // `restore_el1_state()` has held back: the MMU first, and then the walks.
        isb();
        guest.restore_el1::<SCTLR_EL1>();
        isb();
        guest.restore_el1::<TCR_EL1>();
    }
}

/// Takes back what [`activate`] has set.
///
/// Not inlined, as a panic would have another copy of it.
#[inline(never)]
pub(crate) fn deactivate(
    guest: &mut GuestContext<'_>,
    host: &HostContext<'_>,
    host_data: &mut HostData<'_>,
) {
    traps::deactivate_hcr(guest);

    if cpucap::cpus_have_workaround_speculative_at() {
        // The other way around: no more walks, and then the MMU on, so that nothing is translated
        // without stage 1.
        let tcr = guest.read_el1::<TCR_EL1>();
        guest.write_el1(tcr.with_epd1(true).with_epd0(true));
        isb();
        let sctlr = guest.read_el1::<SCTLR_EL1>();
        guest.write_el1(sctlr.with_m(true));
        isb();
    }

    host_data.deactivate_mdcr();
    traps::deactivate_common(guest, host, host_data);
    write_hcr(host_data.host_hcr());
    // The ERET to the host synchronises it; who moves FP registers before that needs an ISB.
    let _ = cptr::deactivate::<Nvhe>();
    host_data.set_vectors(Vectors::Host);
}
