// SPDX-License-Identifier: GPL-2.0

//! The world switch without VHE: from the host at EL1 to a guest, and back.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/switch.c`](srctree/arch/arm64/kvm/hyp/nvhe/switch.c)

#![forbid(unsafe_code)]

use super::{
    exits,
    fp as host_fp,
    pkvm,
    pmu,
    sysreg_sr,
    timer,
    traps,
    view::{
        priority_mask,
        HostData,
        HypVcpu, //
    },
    GuestContext,
    HostContext, //
};
use crate::hyp::{
    exits::ExitCode,
    fp,
    sysreg_sr::{
        restore_32bit_state,
        save_32bit_state, //
    },
    view::fp::FpOwnership, //
};
use kernel::arm64::{
    barrier::{
        dsb,
        Nsh, //
    },
    cpucap, //
};

/// Runs a vCPU of the host's, which EL2 trusts, until something happens that the host has to see
/// to.
///
/// Context, here and below: EL2, all exceptions masked, in a call of the host's at EL1.
pub(crate) fn run_host_vcpu(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &mut HostData<'_>,
) -> ExitCode {
    let access = host_data.host_fp_access();
    if let FpOwnership::Guest(registers) = host_data.fp_registers() {
        fp::lazy_switch_to_guest(guest, &registers, &access);
    }
    access.end();

    let exit_code = run(guest, host, host_data);

    if let FpOwnership::Guest(registers) = host_data.fp_registers() {
        let access = registers.access_after_run();
        let host_max = Some(HostData::host_max_vl());
        fp::lazy_switch_to_host(guest, &registers, host_max, &access);
    }
    exit_code
}

/// Runs a vCPU that EL2 keeps itself, under pKVM, until something happens that the host has to see
/// to.
pub(crate) fn run_hyp_vcpu(
    vcpu: &mut HypVcpu<'_>,
    host_data: &mut HostData<'_>,
    nr_lr: u32,
) -> ExitCode {
    pkvm::flush(vcpu, host_data, nr_lr);
    let exit_code = {
        let (mut guest, mut host) = vcpu.contexts(host_data);
        run(&mut guest, &mut host, host_data)
    };
    {
        let (mut guest, _) = vcpu.contexts(host_data);
        host_fp::sync(&mut guest, host_data);
    }
    pkvm::sync(vcpu, exit_code);
    exit_code
}

/// Runs `guest` until something happens that the host has to see to.
///
/// Not inlined, as both of the above would have a copy of it.
#[inline(never)]
fn run(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &mut HostData<'_>,
) -> ExitCode {
    // With interrupts masked by priority, none would be signalled that could end the guest's run.
    if cpucap::system_uses_irq_prio_masking() {
        priority_mask::open();
    }

    host_data.set_running(guest);

    pmu::switch_to_guest(guest);

    sysreg_sr::save_state(host);
    // The buffers of SPE and TRBE are the host's, and are reached by its translation regime: they
    // are drained and stopped before that changes, and before MDCR_EL2 makes it that of EL2. With
    // them, branch records and trace of EL1 are stopped.
    let has_buffers = host_data.has_buffers();
    if has_buffers {
        guest.save_host_buffers();
    }

    // Walks of the host's tables that are under way have to be over before other tables come. The
    // same DSB completes the stop of branch records.
    //
    // Arm ARM (DDI 0487), rule LFHQG of "Out-of-context translation regimes".
    dsb::<Nsh>();

    guest.adjust_pc();

    // First, for erratum 852523 of Cortex-A57 and 853709 of Cortex-A72.
    restore_32bit_state(guest);
    // All of EL1 before stage 2, for errata 1319537 of Cortex-A57 and 1319367 of Cortex-A72.
    sysreg_sr::restore_guest_state(guest);
    guest.load_stage2();
    traps::activate(guest, host, host_data);

    guest.restore_vgic_state();
    timer::enable_traps(guest);

    guest.switch_debug_to_guest();

    let mut exit_code;
    loop {
        host_data.trace_entry();
        exit_code = ExitCode(guest.enter());
        host_data.trace_exit();
        if !exits::fixup_guest_exit(guest, host_data, &mut exit_code) {
            break;
        }
    }

    sysreg_sr::save_state(guest);
    save_32bit_state(guest);
    timer::disable_traps();
    guest.save_vgic_state();

    // As before, for walks of the guest's tables.
    dsb::<Nsh>();

    switch_to_host(guest, host, host_data);

    if host_data.guest_owns_fp() && guest.el1_is_32bit() {
        guest.save_fpexc32();
    }

    guest.switch_debug_to_host();
    // SPE may go on from here, by the host's tables.
    if has_buffers {
        guest.restore_host_buffers();
    }

    pmu::switch_to_host(guest);

    // The ERET to the host takes the mask of PSTATE away.
    if cpucap::system_uses_irq_prio_masking() {
        priority_mask::close();
    }

    host_data.set_not_running();
    exit_code
}

/// Gives EL1 back to the host.
#[inline(always)]
fn switch_to_host(
    guest: &mut GuestContext<'_>,
    host: &HostContext<'_>,
    host_data: &mut HostData<'_>,
) {
    traps::deactivate(guest, host, host_data);
    host_data.load_host_stage2();
    sysreg_sr::restore_host_state(host);
}

/// Gives the CPU back to the host when EL2 has to give up while `guest` runs.
#[inline(never)]
pub(crate) fn switch_to_host_for_panic(
    guest: &mut GuestContext<'_>,
    host: &HostContext<'_>,
    host_data: &mut HostData<'_>,
) {
    timer::disable_traps();
    switch_to_host(guest, host, host_data);
}
