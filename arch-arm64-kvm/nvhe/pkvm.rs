// SPDX-License-Identifier: GPL-2.0

//! What passes between the host and EL2 when the host has EL2 run a vCPU under pKVM.
//!
//! EL2 keeps a vCPU of its own for each of the host's, and runs that. Before a run it takes from
//! the host's what is the host's to say, and afterwards it gives back what the host has to know.
//!
//! - A protected guest's registers go both ways, each time: the host emulates for it.
//! - Another guest's stay with EL2 until the host has a use for them: to emulate something, which
//!   EL2 can tell from the exit, or to put the vCPU, for which it asks. Then they are the host's,
//!   who marks them as dirty, and EL2 takes them back.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/hyp-main.c`](srctree/arch/arm64/kvm/hyp/nvhe/hyp-main.c)

#![forbid(unsafe_code)]

mod registers;
pub(crate) mod sve;

use super::view::{
    DebugOwner,
    HostData,
    HypVcpu,
    KeptByHost,
    KeptByHyp,
    VcpuState, //
};
use crate::hyp::exits::ExitCode;
use kernel::bindings;

/// Takes from the host what EL2 needs for running `vcpu`, on a CPU with `nr_lr` list registers.
pub(crate) fn flush(vcpu: &mut HypVcpu<'_>, host_data: &mut HostData<'_>, nr_lr: u32) {
    // Until the guest's first FP access: EL2 saves the host's registers itself, and then it has to.
    host_data.give_fp_to_host();

    let (mut hyp, host) = vcpu.states();
    flush_debug_state(&mut hyp, &host);

    hyp.set_iflags(host.iflags());
    let features = hyp.features();
    let is_protected = features.is_protected();
    if is_protected || hyp.is_host_state_dirty() {
        registers::flush(&mut hyp, &host, features);
    }

    // What the host may say of HCR_EL2: which waits to trap, whether a virtual SError is pending,
    // and for a guest that trusts it, interrupts and registers to trap. The rest is EL2's.
    let hcr_of_host = if is_protected {
        bindings::PKVM_HCR_EL2_HOST_PVM
    } else {
        bindings::PKVM_HCR_EL2_HOST_NPVM
    };
    hyp.set_hcr_el2(hyp.hcr_el2() & !hcr_of_host | host.hcr_el2() & hcr_of_host);
    hyp.set_mdcr_el2(host.mdcr_el2());
    hyp.set_vsesr_el2(host.vsesr_el2());
    flush_vgic_state(&mut hyp, &host, nr_lr);
    hyp.set_pid(host.pid());
}

/// Gives to the host what it has to know after `vcpu` was run and left for `exit_code`, and its FP
/// state taken from the CPU.
pub(crate) fn sync(vcpu: &mut HypVcpu<'_>, exit_code: ExitCode) {
    let (hyp, mut host) = vcpu.states();
    sync_debug_state(&hyp, &mut host);

    // The host knows by the same rule what it was given: see handle_exit_pkvm_state().
    let features = hyp.features();
    if features.is_protected() || exit_code.is_about_registers() {
        registers::sync(&hyp, &mut host, features);
    } else {
        // The host looks at these before it asks for the rest: it traces the PC, and steps by
        // PSTATE.SS.
        host.set_pc(hyp.pc());
        host.set_pstate(hyp.pstate());
    }

    host.copy_fault(&hyp);
    host.set_iflags(hyp.iflags());
    sync_vgic_state(&hyp, &mut host);
}

/// Gives to the host the registers of `vcpu`, whose guest is not a protected one.
pub(crate) fn sync_registers(vcpu: &mut HypVcpu<'_>) {
    let (hyp, mut host) = vcpu.states();
    registers::sync(&hyp, &mut host, hyp.features());
}

fn flush_debug_state(hyp: &mut VcpuState<'_, KeptByHyp>, host: &VcpuState<'_, KeptByHost>) {
    let owner = host.debug_owner();
    hyp.set_debug_owner(owner);

    match owner {
        DebugOwner::Guest => hyp
            .of_either_mut()
            .copy_guest_debug_registers(&host.of_either()),
        DebugOwner::Host => {
            hyp.of_either_mut()
                .copy_host_debug_registers(&host.of_either());
            // The world switch takes MDSCR_EL1 from there then.
            hyp.set_external_mdscr_el1(host.external_mdscr_el1());
        }
        DebugOwner::Free => {}
    }
}

fn sync_debug_state(hyp: &VcpuState<'_, KeptByHyp>, host: &mut VcpuState<'_, KeptByHost>) {
    match hyp.debug_owner() {
        DebugOwner::Guest => host
            .of_either_mut()
            .copy_guest_debug_registers(&hyp.of_either()),
        DebugOwner::Host => host
            .of_either_mut()
            .copy_host_debug_registers(&hyp.of_either()),
        DebugOwner::Free => {}
    }
}

fn flush_vgic_state(
    hyp: &mut VcpuState<'_, KeptByHyp>,
    host: &VcpuState<'_, KeptByHost>,
    nr_lr: u32,
) {
    let used_lrs = host.used_lrs().min(nr_lr);

    hyp.set_vgic_hcr(host.vgic_hcr());
    // No bypass, and system registers, whatever the host says.
    hyp.set_vgic_sre(
        bindings::ICC_SRE_EL1_DIB | bindings::ICC_SRE_EL1_DFB | bindings::ICC_SRE_EL1_SRE,
    );
    hyp.set_used_lrs(used_lrs);
    hyp.copy_list_registers(host, used_lrs);
}

fn sync_vgic_state(hyp: &VcpuState<'_, KeptByHyp>, host: &mut VcpuState<'_, KeptByHost>) {
    host.set_vgic_hcr(hyp.vgic_hcr());
    host.set_vgic_vmcr(hyp.vgic_vmcr());
    host.copy_list_registers(hyp, hyp.used_lrs());
}
