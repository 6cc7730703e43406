// SPDX-License-Identifier: GPL-2.0

//! When registers are switched under VHE.
//!
//! The kernel runs at EL2 and uses none of the registers of EL1, so a guest's stay in the CPU from
//! `vcpu_load()` to `vcpu_put()`. Those of EL0 only concern userspace, so they are switched at the
//! same time. What is left for each entry and exit is what EL2 returns with, and what acts on all
//! exception levels.
//!
//! C source: [`arch/arm64/kvm/hyp/vhe/sysreg-sr.c`](srctree/arch/arm64/kvm/hyp/vhe/sysreg-sr.c)

#![forbid(unsafe_code)]

use super::{
    virtual_el2,
    GuestContext,
    HostContext, //
};
use crate::hyp::sysreg_sr::*;
use kernel::arm64::{
    barrier::{
        dsb,
        Nsh, //
    },
    cpucap,
    registers::*, //
};

/// Makes room for a guest that is about to be entered.
// These run with the hypervisor's vectors, where there must be no function that can be probed.
#[inline(always)]
pub(crate) fn save_host_state(host: &mut HostContext<'_>) {
    save_common_state(host);
}

/// Sets what is left to set for a guest that is about to be entered.
#[inline(always)]
pub(crate) fn restore_guest_state(guest: &GuestContext<'_>) {
    restore_common_state(guest);
    restore_el2_return_state(guest);
}

/// Saves what will not stay in the CPU for a guest that was left.
#[inline(always)]
pub(crate) fn save_guest_state(guest: &mut GuestContext<'_>) {
    save_common_state(guest);
    save_el2_return_state(guest);
}

/// Takes back what the kernel needs after a guest was left.
#[inline(always)]
pub(crate) fn restore_host_state(host: &HostContext<'_>) {
    restore_common_state(host);
}

/// Puts the guest's registers into the CPU, for `vcpu_load()`.
pub(crate) fn load(guest: &mut GuestContext<'_>, host: &mut HostContext<'_>) {
    save_user_state(host);

    // Another vCPU is loaded after a context switch, whose DSB has completed the speculative walks
    // of the tables of EL1. From vEL1 to vEL2 and back there is none.
    if guest.has_nv() {
        dsb::<Nsh>();
    }

    // First, for erratum 852523 of Cortex-A57 and 853709 of Cortex-A72.
    restore_32bit_state(guest);
    restore_user_state(guest);
    load_mpam(guest);

    if guest.is_hyp_ctxt() {
        virtual_el2::restore_state(guest);
    } else if guest.has_nv() {
        // What L1 has set for L2.
        let midr = guest.get::<VPIDR_EL2>().into();
        let mpidr = guest.get::<VMPIDR_EL2>().into();
        restore_el1_state(guest, Some(midr), mpidr);
    } else {
        let mpidr = guest.get::<MPIDR_EL1>().into();
        restore_el1_state(guest, Some(guest.midr_el1()), mpidr);
    }

    guest.set_sysregs_on_cpu(true);
}

/// Takes the guest's registers from the CPU, for `vcpu_put()`.
pub(crate) fn put(guest: &mut GuestContext<'_>, host: &HostContext<'_>) {
    if guest.is_hyp_ctxt() {
        virtual_el2::save_state(guest);
    } else {
        save_el1_state(guest);
    }

    save_user_state(guest);
    save_32bit_state(guest);
    restore_user_state(host);

    guest.set_sysregs_on_cpu(false);
}

/// Gives EL1 of the guest the partition of the VMM, whose thread has it in `MPAM0_EL1`.
fn load_mpam(guest: &GuestContext<'_>) {
    if !cpucap::system_supports_mpam() {
        return;
    }
    let vmm = guest.mpam0_el1_of_vmm();
    guest.write_el1(
        MPAM1_EL1::from(0)
            .with_partid_i(vmm.partid_i())
            .with_partid_d(vmm.partid_d())
            .with_pmg_i(vmm.pmg_i())
            .with_pmg_d(vmm.pmg_d())
            .with_mpamen(true),
    );
}
