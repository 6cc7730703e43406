// SPDX-License-Identifier: GPL-2.0

//! The host's FP registers, where the kernel runs at EL1.
//!
//! pKVM's EL2 saves and restores them itself. So the host cannot tell from the CPU whether a guest
//! has used FP, and nothing of a guest's vectors is left in registers that the host could look at.
//!
//! Otherwise the kernel saves them: see `fpsimd`.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/hyp-main.c`](srctree/arch/arm64/kvm/hyp/nvhe/hyp-main.c)

#![forbid(unsafe_code)]

use super::{
    view::HostData,
    GuestContext, //
};
use crate::hyp::{
    fp::SaveHost,
    view::{
        fp::{
            change_zcr_el2,
            set_zcr_el1,
            set_zcr_el2,
            zcr_el1,
            FpOwnership,
            FpRegisters,
            Free,
            HostOwned, //
        },
        Context,
        Guest, //
    }, //
};
use kernel::arm64::{
    cpucap,
    fp_access::FpAccess,
    world::Nvhe, //
};

impl SaveHost for Nvhe {
    /// Under pKVM, saves what the host has in the registers: with SVE all of it, as there is no
    /// telling what of it is worth something.
    ///
    /// Otherwise that is the kernel's to do. A second copy of its code here, which knew less of
    /// what a task can have, is what host state was lost by: SVE, FPMR, and what a debugger had
    /// written.
    #[inline(never)]
    fn save_host<'a>(
        guest: &mut Context<'_, Self, Guest>,
        registers: FpRegisters<'a, Self, HostOwned>,
        access: &FpAccess,
    ) -> Option<FpRegisters<'a, Self, Free>> {
        if !cpucap::is_protected_kvm_enabled() {
            return None;
        }
        if cpucap::system_supports_sve() {
            registers.save_zcr(zcr_el1::<Nvhe>(access));
            set_zcr_el2(HostData::host_max_vl().zcr(), access);
            registers.save_sve(access);
        } else {
            registers.save_fpsimd(access);
        }
        if guest.features().has_fpmr() {
            registers.save_fpmr(access);
        }
        Some(registers.host_saved())
    }
}

/// Takes the guest's state out of the registers, if it is there, and puts the host's back.
///
/// The FP traps must have been opened since the guest was left.
pub(crate) fn sync(guest: &mut GuestContext<'_>, host: &mut HostData<'_>) {
    // It is not certain yet that the traps are open.
    let opened = host.traps_opened();
    let FpOwnership::Guest(registers) = host.fp_registers() else {
        return;
    };
    let access = opened.synchronise();

    if guest.features().has_sve() {
        guest.set(zcr_el1::<Nvhe>(&access));
        // The state in memory is always for the longest vector, the guest's as well as the host's.
        change_zcr_el2(guest.sve_max_vl().zcr(), &access);
        guest.save_sve(&registers, &access);
        set_zcr_el2(HostData::host_max_vl().zcr(), &access);
    } else {
        guest.save_fpsimd(&registers, &access);
    }
    let has_fpmr = guest.features().has_fpmr();
    if has_fpmr {
        guest.save_fpmr(&registers, &access);
    }

    let registers = registers.guest_saved();
    if cpucap::system_supports_sve() {
        // Also where the guest has no SVE.
        set_zcr_el2(HostData::host_max_vl().zcr(), &access);
        registers.load_sve(&access);
        set_zcr_el1::<Nvhe>(registers.zcr(), &access);
    } else {
        registers.load_fpsimd(&access);
    }
    if has_fpmr {
        registers.load_fpmr(&access);
    }
    registers.given_to_host();
}
