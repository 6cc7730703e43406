// SPDX-License-Identifier: GPL-2.0

//! The world switch under VHE.
//!
//! C source: [`arch/arm64/kvm/hyp/vhe/switch.c`](srctree/arch/arm64/kvm/hyp/vhe/switch.c)

#![forbid(unsafe_code)]

use super::{
    exits,
    sysreg_sr,
    traps,
    view::HostData,
    GuestContext,
    HostContext, //
};
use crate::hyp::{
    exits::ExitCode,
    fp,
    view::fp::FpOwnership, //
};
use kernel::interrupt::local_interrupt_disable;

/// Gets the CPU ready for `guest`, for `vcpu_load()`.
///
/// Context: EL2, preemption disabled, interrupts on or off.
pub(crate) fn load(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &mut HostData<'_>,
) {
    sysreg_sr::load(guest, host);
    traps::load(guest, host, host_data, &local_interrupt_disable());
    guest.load_stage2();
}

/// Gives the CPU back to the kernel, for `vcpu_put()`. Context: as for [`load`].
pub(crate) fn put(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &HostData<'_>,
) {
    traps::put(guest, host, host_data, &local_interrupt_disable());
    sysreg_sr::put(guest, host);
}

/// Runs `guest`, which is loaded, until something happens that the kernel has to see to.
///
/// All exceptions must be masked.
#[inline(always)]
pub(crate) fn run(
    guest: &mut GuestContext<'_>,
    host: &mut HostContext<'_>,
    host_data: &mut HostData<'_>,
) -> ExitCode {
    let access = host_data.kernel_fp_access();
    if let FpOwnership::Guest(registers) = host_data.fp_registers() {
        fp::lazy_switch_to_guest(guest, &registers, &access);
    }
    access.end();

    sysreg_sr::save_host_state(host);

    // Erratum 1165522: stage 1 and stage 2 have to be the guest's before TGE is cleared. They have
    // been since `load`.
    traps::activate(guest, host_data);

    guest.adjust_pc();

    sysreg_sr::restore_guest_state(guest);
    guest.switch_debug_to_guest();

    let mut exit_code;
    loop {
        exit_code = ExitCode(guest.enter());
        if !exits::fixup_guest_exit(guest, host_data, &mut exit_code) {
            break;
        }
    }

    sysreg_sr::save_guest_state(guest);

    let opened = traps::deactivate(guest, host_data);

    sysreg_sr::restore_host_state(host);

    guest.switch_debug_to_host();

    // All that was written has to be in force for the host. That includes the FP traps, which under
    // VHE act on EL2.
    let access = opened.synchronise();

    if let FpOwnership::Guest(registers) = host_data.fp_registers() {
        fp::lazy_switch_to_host(guest, &registers, None, &access);
        if guest.el1_is_32bit() {
            guest.save_fpexc32();
        }
    }

    exit_code
}

/// Gives the CPU back to the kernel when the hypervisor has to give up while `guest` is loaded.
pub(crate) fn switch_to_host_for_panic(
    guest: &mut GuestContext<'_>,
    host: &HostContext<'_>,
    host_data: &mut HostData<'_>,
) {
    let _ = traps::deactivate(guest, host_data);
    sysreg_sr::restore_host_state(host);
}
