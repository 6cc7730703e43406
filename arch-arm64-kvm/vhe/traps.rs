// SPDX-License-Identifier: GPL-2.0

//! Traps under VHE: which of them come and go with an entry, and which stay for as long as a vCPU
//! is loaded.
//!
//! C source: [`arch/arm64/kvm/hyp/vhe/switch.c`](srctree/arch/arm64/kvm/hyp/vhe/switch.c)

#![forbid(unsafe_code)]

use super::{
    timer,
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
use kernel::{
    arm64::{
        barrier::isb,
        cpucap,
        fp_access::FpTrapsOpened,
        registers::*,
        world::Vhe, //
    },
    interrupt::LocalInterruptDisabled, //
};

/// What is in `HCR_EL2` while the kernel and its userspace run.
fn host_hcr() -> HCR_EL2 {
    HCR_EL2::from(0)
        .with_rw(true)
        .with_tge(true)
        .with_e2h(true)
        .with_amo(true)
        .with_imo(true)
        .with_fmo(true)
}

/// Bits of `HCR_EL2` that a guest hypervisor may set for itself, but that the CPU must not have for
/// it:
///
/// - TGE: its guest is to be at EL1;
/// - API and APK: `vcpu_load()` has taken them into account, and they change with the next;
/// - FIEN: injecting faults into the RAS extension is for nobody.
const NV_HCR_GUEST_EXCLUDE: u64 =
    HCR_EL2::TGE_MASK | HCR_EL2::API_MASK | HCR_EL2::APK_MASK | HCR_EL2::FIEN_MASK;

/// Sets the traps that stay while `guest` is loaded.
///
/// An IPI may want to update `PMUSERENR_EL0` for the host, see `kvm_set_pmuserenr()`, so interrupts
/// must be disabled.
pub(crate) fn load(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &mut HostData<'_>,
    _: &LocalInterruptDisabled,
) {
    traps::activate_common(guest, host, host_data);
}

/// Takes back what [`load`] has set. As for that.
pub(crate) fn put(
    guest: &mut GuestContext<'_>,
    host: &HostContext<'_>,
    host_data: &HostData<'_>,
    _: &LocalInterruptDisabled,
) {
    traps::deactivate_common(guest, host, host_data);
}

/// Sets the traps that come with an entry.
#[inline(always)]
pub(crate) fn activate(guest: &mut GuestContext<'_>, host: &mut HostData<'_>) {
    let hcr = if guest.has_nv() {
        compute_hcr(guest, host)
    } else {
        guest.hcr_el2()
    };
    traps::activate_hcr(guest, hcr);

    if cpucap::cpus_have_ecv_cntpoff() {
        timer::load_compare_value(guest);
    }

    cptr::activate(guest, host.guest_owns_fp());
    host.set_vectors(Vectors::Hypervisor);
}

/// Takes back what [`activate`] has set.
///
/// FP instructions need the ISB that the result asks for.
#[inline(always)]
pub(crate) fn deactivate(guest: &mut GuestContext<'_>, host: &mut HostData<'_>) -> FpTrapsOpened {
    traps::deactivate_hcr(guest);
    write_hcr(host_hcr());

    if cpucap::cpus_have_ecv_cntpoff() {
        timer::save_compare_value(guest);
    }

    // Errata 1165522 and 1530923: the above has to be complete before the translation regime of EL2
    // and EL0 is used by the host.
    if cpucap::cpus_have_workaround_speculative_at() {
        isb();
    }

    let opened = cptr::deactivate::<Vhe>();
    host.set_vectors(Vectors::Kernel);
    opened
}

/// Returns `HCR_EL2` for a guest with a virtual EL2: what the host wants, and what of the guest
/// hypervisor's own value takes effect where it is.
///
/// A guest that is entered at its virtual EL2 is left there too: only an ERET leads out of it, and
/// traps. The host notes it for the exit.
#[inline(never)]
pub(crate) fn compute_hcr(guest: &mut GuestContext<'_>, host: &mut HostData<'_>) -> HCR_EL2 {
    let own: u64 = guest.hcr_el2().into();
    let set = guest.get_sanitised::<HCR_EL2>();

    let (own, from_guest) = if guest.is_hyp_ctxt() {
        host.set_in_hyp_context(true);

        let own = HCR_EL2::from(own)
            .with_nv(true)
            .with_nv2(true)
            .with_at(true)
            .with_ttlb(true);
        let has_e2h = guest.el2_e2h_is_set();
        let own = if has_e2h { own } else { own.with_nv1(true) };

        // Where the guest hypervisor looks for its HCR_EL2.
        if cpucap::cpus_have_nv3() && has_e2h {
            guest.write_nvhcr(set);
        } else {
            let set: u64 = set.into();
            guest.set_sanitised(NVHCR_EL2::from(set));
        }
        guest.write_vncr_of_own_page();

        // At virtual EL2 its HCR_EL2 has no effect, but for bits that are fixed.
        (own.into(), guest.apply_reg_masks::<HCR_EL2>(0))
    } else {
        host.set_in_hyp_context(false);

        let mut from_guest = set;
        if from_guest.nv().into() {
            guest.write_vncr_of_fixmap();
            // In case that the guest hypervisor forgot.
            from_guest = from_guest.with_nv2(true);
        }
        // Its delay of traps of WFE is for traps that it has set, not for the host's.
        if !bool::from(from_guest.twe()) {
            from_guest = from_guest.with_tweden(false).with_const_twedel::<0>();
        }
        (own, from_guest.into())
    };

    host.bug_on_mapped_vncr();
    HCR_EL2::from(own | (from_guest & !NV_HCR_GUEST_EXCLUDE))
}
