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
    /// The kernel has saved them when it loaded the vCPU, so there is nothing to save: they are never
    /// the host's when a guest runs.
    #[inline(always)]
    fn save_host<'a>(
        _: &Context<'_, Self, Guest>,
        registers: FpRegisters<'a, Self, HostOwned>,
        _: &FpAccess,
    ) -> FpRegisters<'a, Self, Free> {
        registers.host_saved()
    }
}
