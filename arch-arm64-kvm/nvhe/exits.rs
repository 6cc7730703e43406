// SPDX-License-Identifier: GPL-2.0

//! What EL2 does about an exit before the kernel sees it, where that runs at EL1.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/switch.c`](srctree/arch/arm64/kvm/hyp/nvhe/switch.c)

#![forbid(unsafe_code)]

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
    view::{
        classes_for_the_kernel,
        Class, //
    }, //
};

/// Handles an exit, if that can be done here. Returns whether to go back to the guest.
#[inline(always)]
pub(super) fn fixup_guest_exit(
    guest: &mut GuestContext<'_>,
    host: &mut HostData<'_>,
    exit_code: &mut ExitCode,
) -> bool {
    exits::synchronise_pstate(guest);

    let is_protected = guest.features().is_protected();
    if is_protected && guest.mode_is_32bit() {
        // Protected guests may not use AArch32 state, and nothing in the architecture keeps a guest
        // from EL0 in that state, where the CPU has it. The host is not to be trusted with
        // stopping it: each run ends at its first exit. Nothing at EL2 refuses the next one, in
        // C either.
        guest.invalidate();
        *exit_code = exit_code.replaced_by(ExitCode::ILLEGAL);
    }

    exits::fixup_guest_exit(guest, exit_code, |guest, exit_code| {
        handle(guest, host, exit_code)
    })
}

/// Handles a trap by its class. Returns false for what is left to the kernel, which sees no more of
/// a protected guest than it needs.
#[inline(always)]
fn handle(guest: &mut GuestContext<'_>, host: &mut HostData<'_>, exit_code: &mut ExitCode) -> bool {
    let is_protected = guest.features().is_protected();
    match guest.syndrome().class() {
        Class::Hvc64 => is_protected && guest.handle_protected_hvc(exit_code),
        // What has to be worked around comes first: the other may make it undefined.
        Class::Sys64 => {
            sysreg::handle(guest) || (is_protected && guest.handle_protected_sysreg(exit_code))
        }
        // Protected guests have neither AArch32 state nor SVE.
        Class::Cp15_32 => !is_protected && sysreg::handle_vgic(guest),
        Class::Sve if is_protected => guest.handle_restricted(exit_code),
        Class::Sve | Class::FpAsimd => fp::handle_trap(guest, host, exit_code),
        Class::IabtLow | Class::WatchptLow => memory::handle_fault(guest),
        Class::DabtLow => memory::handle_data_abort(guest, exit_code),
        Class::Mops => mops::handle(guest),
        // No guest here has a virtual EL2. What Apple CPUs trap by a class of their own is asked
        // for where the kernel is at EL2, and nowhere else.
        classes_for_the_kernel!() | Class::Eret | Class::AppleImpDef => false,
    }
}
