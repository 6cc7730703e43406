// SPDX-License-Identifier: GPL-2.0

//! A guest at its virtual EL2: its registers of EL2 stand in those of EL1.
//!
//! With the guest's `HCR_EL2.E2H` set, the two have the same layout, and the guest reaches them by
//! the names of EL1 without a trap. Without, the layouts differ: the guest's accesses trap, what is
//! in memory is up to date, and a translation of it goes to the CPU.
//!
//! C source: [`arch/arm64/kvm/hyp/vhe/sysreg-sr.c`](srctree/arch/arm64/kvm/hyp/vhe/sysreg-sr.c)

#![forbid(unsafe_code)]

use super::GuestContext;
use crate::hyp::view::translate;
use kernel::{
    arm64::{
        cpucap,
        registers::*, //
    },
    bindings, //
};

/// The bits of `CNTHCTL_EL2` that `CNTKCTL_EL1` has at the same places.
const CNTKCTL_VALID_BITS: u64 = bindings::CNTKCTL_VALID_BITS;

/// Saves what stands in the CPU.
pub(super) fn save_state(guest: &mut GuestContext<'_>) {
    let features = guest.features();

    // EL1 and EL2 have these in common.
    guest.save_par();
    guest.save::<TPIDR_EL1>();

    guest.save_el2::<ESR_EL2, ESR_EL1>();
    guest.save_el2::<AFSR0_EL2, AFSR0_EL1>();
    guest.save_el2::<AFSR1_EL2, AFSR1_EL1>();
    guest.save_el2::<FAR_EL2, FAR_EL1>();
    guest.save_el2::<MAIR_EL2, MAIR_EL1>();
    guest.save_el2::<VBAR_EL2, VBAR_EL1>();
    guest.save_el2::<CONTEXTIDR_EL2, CONTEXTIDR_EL1>();
    guest.save_el2::<AMAIR_EL2, AMAIR_EL1>();

    if guest.el2_e2h_is_set() {
        // Before FEAT_NV2p1 every access to CPACR_EL1 traps.
        if cpucap::cpus_have_nv2p1() {
            guest.save_el2::<CPTR_EL2, CPACR_EL1>();
        }
        guest.save_el2::<SCTLR_EL2, SCTLR_EL1>();
        guest.save_el2::<TTBR0_EL2, TTBR0_EL1>();
        guest.save_el2::<TTBR1_EL2, TTBR1_EL1>();
        guest.save_el2::<TCR_EL2, TCR_EL1>();

        if features.has_tcr2() {
            guest.save_el2::<TCR2_EL2, TCR2_EL1>();
            if features.has_s1pie() {
                guest.save_el2::<PIRE0_EL2, PIRE0_EL1>();
                guest.save_el2::<PIR_EL2, PIR_EL1>();
            }
            if features.has_s1poe() {
                guest.save_el2::<POR_EL2, POR_EL1>();
            }
        }

        save_cnthctl(guest);
    }

    guest.save_sp_el2();
    guest.save_el2::<ELR_EL2, ELR_EL1>();
    guest.save_el2::<SPSR_EL2, SPSR_EL1>();

    if features.has_sctlr2() {
        guest.save_el2::<SCTLR2_EL2, SCTLR2_EL1>();
    }
}

/// Saves `CNTHCTL_EL2`. Where `CNTKCTL_EL1` lacks bits of it, those in memory stay.
fn save_cnthctl(guest: &mut GuestContext<'_>) {
    let cntkctl: u64 = guest.read_el1::<CNTKCTL_EL1>().into();
    let value = if cpucap::cpus_have_nv2p1() {
        cntkctl
    } else {
        let kept: u64 = guest.get_sanitised::<CNTHCTL_EL2>().into();
        (kept & !CNTKCTL_VALID_BITS) | (cntkctl & CNTKCTL_VALID_BITS)
    };
    guest.set_sanitised(CNTHCTL_EL2::from(value));
}

/// Restores what is to stand in the CPU.
pub(super) fn restore_state(guest: &GuestContext<'_>) {
    let features = guest.features();

    // EL1 and EL2 have these in common.
    guest.restore::<PAR_EL1>();
    guest.restore::<TPIDR_EL1>();

    guest.set_identity(Some(guest.midr_el1()), guest.get::<MPIDR_EL1>().into());
    guest.restore_el2::<MAIR_EL2, MAIR_EL1>();
    guest.restore_el2::<VBAR_EL2, VBAR_EL1>();
    guest.restore_el2::<CONTEXTIDR_EL2, CONTEXTIDR_EL1>();
    guest.restore_el2::<AMAIR_EL2, AMAIR_EL1>();

    if guest.el2_e2h_is_set() {
        guest.restore_el2::<SCTLR_EL2, SCTLR_EL1>();
        guest.restore_el2::<CPTR_EL2, CPACR_EL1>();
        guest.restore_el2::<TTBR0_EL2, TTBR0_EL1>();
        guest.restore_el2::<TTBR1_EL2, TTBR1_EL1>();
        guest.restore_el2::<TCR_EL2, TCR_EL1>();
        guest.restore_el2::<CNTHCTL_EL2, CNTKCTL_EL1>();
    } else {
        // CNTHCTL_EL2 acts on EL1 alone, so there is nothing to restore of it.
        guest.write_el1(translate::sctlr(guest.get_sanitised()));
        guest.write_el1(translate::cptr(guest.get_sanitised()));
        guest.write_el1(translate::ttbr0(guest.get_sanitised()));
        guest.write_el1(translate::tcr(guest.get_sanitised()));
    }

    if features.has_tcr2() {
        guest.restore_el2::<TCR2_EL2, TCR2_EL1>();
        if features.has_s1pie() {
            guest.restore_el2::<PIR_EL2, PIR_EL1>();
            guest.restore_el2::<PIRE0_EL2, PIRE0_EL1>();
        }
        if features.has_s1poe() {
            guest.restore_el2::<POR_EL2, POR_EL1>();
        }
    }

    guest.restore_el2::<ESR_EL2, ESR_EL1>();
    guest.restore_el2::<AFSR0_EL2, AFSR0_EL1>();
    guest.restore_el2::<AFSR1_EL2, AFSR1_EL1>();
    guest.restore_el2::<FAR_EL2, FAR_EL1>();
    guest.restore_sp_el2();
    guest.restore_el2::<ELR_EL2, ELR_EL1>();
    guest.restore_el2::<SPSR_EL2, SPSR_EL1>();

    if features.has_sctlr2() {
        guest.restore_el2::<SCTLR2_EL2, SCTLR2_EL1>();
    }
}
