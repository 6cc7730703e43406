// SPDX-License-Identifier: GPL-2.0

//! The host's FP registers, which under VHE are the kernel's business alone.

#![forbid(unsafe_code)]

use crate::hyp::{
    fp::SaveHost,
    view::{
        fp::{
            FpRegisters,
            Free,
            HostOwned, //
        },
        Context,
        Guest, //
    }, //
};
use kernel::arm64::{
    fp_access::FpAccess,
    world::Vhe, //
};

impl SaveHost for Vhe {
    /// Has the kernel's FP core save them, which is a call away, and for which nothing has changed:
    /// the running task is the one that loaded the vCPU, and the vector length in force is the
    /// task's, as a guest's comes with its registers.
    #[inline(always)]
    fn save_host<'a>(
        guest: &mut Context<'_, Self, Guest>,
        registers: FpRegisters<'a, Self, HostOwned>,
        access: &FpAccess,
    ) -> Option<FpRegisters<'a, Self, Free>> {
        guest.note_host_saved();
        Some(registers.save_by_kernel(access))
    }
}
