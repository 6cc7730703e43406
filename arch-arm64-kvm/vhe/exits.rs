// SPDX-License-Identifier: GPL-2.0

//! What is done about an exit under VHE before the kernel sees it.
//!
//! C source: [`arch/arm64/kvm/hyp/vhe/switch.c`](srctree/arch/arm64/kvm/hyp/vhe/switch.c)

#![forbid(unsafe_code)]

mod cpacr;
mod eret;
pub(crate) mod timer;
mod tlbi;
mod zcr;

use super::{
    view::HostData,
    GuestContext, //
};
use crate::hyp::{
    exits::{
        self,
        memory,
        mops,
        sysreg,
        ExitCode, //
    },
    fp,
    pstate::{
        EL1H,
        EL1T,
        EL2H,
        EL2T,
        MODE, //
    },
    view::{
        classes_for_the_kernel,
        exit,
        Class,
        Syndrome, //
    }, //
};
use kernel::arm64::{
    cpucap,
    registers::*, //
};

/// Handles an exit, if that can be done here. Returns whether to go back to the guest.
#[inline(always)]
pub(super) fn fixup_guest_exit(
    guest: &mut GuestContext<'_>,
    host: &mut HostData<'_>,
    exit_code: &mut ExitCode,
) -> bool {
    exits::synchronise_pstate(guest);
    if guest.has_nv() {
        fixup_nv_guest_exit(guest, host);
    }
    exits::fixup_guest_exit(guest, exit_code, |guest, exit_code| {
        handle(guest, host, exit_code)
    })
}

/// Handles a trap by its class. Returns false for what is left to the kernel.
#[inline(always)]
fn handle(guest: &mut GuestContext<'_>, host: &mut HostData<'_>, exit_code: &mut ExitCode) -> bool {
    match guest.syndrome().class() {
        Class::Cp15_32 => sysreg::handle_vgic(guest),
        Class::Sys64 => {
            (guest.has_nv() && handle_nv_sysreg(guest, host, exit_code)) || sysreg::handle(guest)
        }
        Class::Sve | Class::FpAsimd => fp::handle_trap(guest, host, exit_code),
        Class::IabtLow | Class::WatchptLow => memory::handle_fault(guest),
        Class::DabtLow => memory::handle_data_abort(guest, exit_code),
        Class::Eret => eret::handle(guest),
        Class::Mops => mops::handle(guest),
        Class::AppleImpDef => handle_impdef(guest),
        classes_for_the_kernel!() | Class::Hvc64 => false,
    }
}

/// Handles accesses of a guest with a virtual EL2 that are not for the kernel.
#[inline(never)]
pub(crate) fn handle_nv_sysreg(
    guest: &mut GuestContext<'_>,
    host: &mut HostData<'_>,
    exit_code: &mut ExitCode,
) -> bool {
    tlbi::handle(guest) || timer::handle(guest) || cpacr::handle(guest, host) || {
        zcr::load_registers(guest, host, exit_code);
        false
    }
}

/// Makes of what some Apple CPUs report for an access to the PMU the system register access that it
/// is. Its ISS is in `AFSR1_EL2`; these CPUs have AArch64 state only.
fn handle_impdef(guest: &mut GuestContext<'_>) -> bool {
    if cpucap::cpus_have_workaround_pmuv3_impdef_traps() {
        guest.set_syndrome(Syndrome::new(Class::Sys64, Syndrome(exit::afsr1()).iss()));
    }
    false
}

/// Gives a guest that was entered at its virtual EL2 the PSTATE of that level, and the emulation
/// the `HCR_EL2` that the guest has set there.
#[inline(never)]
pub(crate) fn fixup_nv_guest_exit(guest: &mut GuestContext<'_>, host: &HostData<'_>) {
    let entered_there = host.is_in_hyp_context();
    if entered_there {
        let pstate = guest.cpsr();
        let mode = match pstate & MODE {
            EL1T => EL2T,
            EL1H => EL2H,
            other => other,
        };
        guest.set_cpsr(pstate & !MODE | mode);

        let hcr: u64 = if cpucap::cpus_have_nv3() && guest.el2_e2h_is_set() {
            guest.read_nvhcr().into()
        } else {
            guest.get_sanitised::<NVHCR_EL2>().into()
        };
        guest.set_sanitised(HCR_EL2::from(hcr));
    }

    // It cannot have got out of there, or in, by itself.
    host.bug_unless(entered_there == guest.is_hyp_ctxt());
}
