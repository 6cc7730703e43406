// SPDX-License-Identifier: GPL-2.0

//! Accesses of a guest hypervisor to `ZCR_EL2`.

#![forbid(unsafe_code)]

use crate::{
    hyp::{
        exits::ExitCode,
        fp,
        view::Accessed, //
    },
    vhe::{
        view::HostData,
        GuestContext, //
    }, //
};
use kernel::arm64::{
    registers::ZCR_EL2,
    sysreg::RegisterName, //
};

/// Loads the guest's FP registers before such an access, which the kernel emulates, and for which
/// it expects them in the CPU.
pub(super) fn load_registers(
    guest: &mut GuestContext<'_>,
    host: &mut HostData<'_>,
    exit_code: &mut ExitCode,
) {
    if guest.syndrome().accessed() == Accessed::by(ZCR_EL2::ENCODING) && !host.guest_owns_fp() {
        fp::handle_trap(guest, host, exit_code);
    }
}
