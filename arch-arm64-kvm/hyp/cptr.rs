// SPDX-License-Identifier: GPL-2.0

//! Traps of FP, SVE, SME and what else `CPTR_EL2` controls.
//!
//! C header: [`hyp/switch.h`](srctree/arch/arm64/kvm/hyp/include/hyp/switch.h)

#![forbid(unsafe_code)]

use super::view::{
    cptr::{
        self,
        CptrE2h,
        CptrNvhe, //
    },
    Context,
    Guest, //
};
use kernel::arm64::{
    cpucap,
    fp_access::FpTrapsOpened,
    registers::CPACR_EL1,
    world::Hyp, //
};

/// Both bits of a field with which nothing traps at any level.
const OPEN: u64 = 0b11;

/// Traps what the guest must not do: SME, activity monitors and trace, which KVM offers no guest,
/// and FP and SVE as long as the registers are not the guest's.
///
/// The ERET to the guest synchronises it.
#[inline(always)]
pub(crate) fn activate<W: Hyp>(guest: &Context<'_, W, Guest>, guest_owns_fp: bool) {
    if !guest_owns_fp && guest.el1_is_32bit() && cpucap::system_supports_fpsimd() {
        guest.enable_fpexc();
    }

    cptr::activate::<W>(
        || {
            let own = for_guest_e2h(guest, guest_owns_fp);
            if guest.has_nv() {
                add_nv_traps(guest, own)
            } else {
                own
            }
        },
        || for_guest_nvhe(guest, guest_owns_fp),
    );
}

/// Opens everything that the system offers to the hypervisor and the host.
///
/// FP instructions need the ISB that the result asks for.
#[inline(always)]
pub(crate) fn deactivate<W: Hyp>() -> FpTrapsOpened {
    cptr::open::<W>(for_host_e2h, for_host_nvhe)
}

#[inline(always)]
fn for_guest_e2h<W: Hyp>(guest: &Context<'_, W, Guest>, guest_owns_fp: bool) -> CptrE2h {
    let value = CPACR_EL1::from(0).with_tam(true).with_tta(true);
    if !guest_owns_fp {
        return value;
    }
    let value = value.with_const_fpen::<OPEN>();
    if guest.features().has_sve() {
        value.with_const_zen::<OPEN>()
    } else {
        value
    }
}

/// Adds what a guest hypervisor has set to trap, and what it must not set without a trap.
fn add_nv_traps<W: Hyp>(guest: &Context<'_, W, Guest>, own: CptrE2h) -> CptrE2h {
    if guest.is_hyp_ctxt() {
        // It writes to its CPTR_EL2 by way of CPACR_EL1, where TCPAC and TTA are RES0 to it.
        // FEAT_NV2p1 has the remedy; without it, what cannot be set is what makes the
        // access trap.
        let must_trap = !cpucap::cpus_have_nv2p1() && guest.el2_e2h_is_set();
        return if must_trap { own.with_tcpac(true) } else { own };
    }

    // With TGE clear, as it is for L2, the low bit of a field decides alone: 1 is open.
    let set = guest.sanitised_cptr_el2();
    let mut value = own;
    if set.fpen().get() & 1 == 0 {
        value = value.with_const_fpen::<0>();
    }
    if set.zen().get() & 1 == 0 {
        value = value.with_const_zen::<0>();
    }
    if guest.features().has_s1poe() {
        value = value.with_e0poe(set.e0poe());
    }
    if set.tcpac().into() {
        value = value.with_tcpac(true);
    }
    value
}

#[inline(always)]
fn for_guest_nvhe<W: Hyp>(guest: &Context<'_, W, Guest>, guest_owns_fp: bool) -> CptrNvhe {
    let value = CptrNvhe::OPEN
        .trapping_amu()
        .trapping_trace()
        .trapping_sme();
    if !guest_owns_fp {
        value.trapping_sve().trapping_fp()
    } else if !guest.features().has_sve() {
        value.trapping_sve()
    } else {
        value
    }
}

#[inline(always)]
fn for_host_e2h() -> CptrE2h {
    let mut value = CPACR_EL1::from(0).with_const_fpen::<OPEN>();
    if cpucap::system_supports_sve() {
        value = value.with_const_zen::<OPEN>();
    }
    if cpucap::system_supports_sme() {
        value = value.with_const_smen::<OPEN>();
    }
    if cpucap::system_supports_poe() {
        value = value.with_e0poe(true);
    }
    value
}

#[inline(always)]
fn for_host_nvhe() -> CptrNvhe {
    let mut value = CptrNvhe::OPEN;
    if !cpucap::system_supports_sve() {
        value = value.trapping_sve();
    }
    if !cpucap::system_supports_sme() {
        value = value.trapping_sme();
    }
    value
}
