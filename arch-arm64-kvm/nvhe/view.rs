// SPDX-License-Identifier: GPL-2.0

//! What contexts can do without VHE only.

use crate::hyp::view::{
    Context,
    Guest,
    Host, //
};
use kernel::arm64::{
    registers::MIDR_EL1,
    sysreg,
    world::Nvhe, //
};

mod guest;
mod host_data;
pub(crate) mod panic;
pub(crate) mod pmu;
pub(crate) mod priority_mask;
mod sve_state;
mod vcpu_state;

pub(crate) use host_data::{
    HostData,
    Vectors, //
};
pub(crate) use vcpu_state::{
    DebugOwner,
    HypVcpu,
    KeptByEither,
    KeptByHost,
    KeptByHyp,
    VcpuState, //
};

pub(crate) type GuestContext<'a> = Context<'a, Nvhe, Guest>;
pub(crate) type HostContext<'a> = Context<'a, Nvhe, Host>;

impl HostContext<'_> {
    /// Returns what the host reads from `MIDR_EL1`.
    #[inline(always)]
    pub(crate) fn midr_el1(&self) -> u64 {
        // SAFETY: Can be read at EL2, where it is the CPU's own.
        unsafe { sysreg::read::<MIDR_EL1>() }.into()
    }
}
