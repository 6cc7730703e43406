// SPDX-License-Identifier: GPL-2.0

//! What contexts can do without VHE only.

use crate::hyp::view::{
    Context,
    Guest,
    Host,
    HostData, //
};
use kernel::{
    arm64::{
        registers::MIDR_EL1,
        sysreg,
        world::Nvhe, //
    },
    bindings, //
};

mod vcpu_state;

pub(crate) use vcpu_state::{
    DebugOwner,
    HypVcpu,
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

impl HostData<'_, Nvhe> {
    /// Notes that the FP registers are the host's.
    ///
    /// Only for pKVM, where EL2 saves them itself.
    #[inline(always)]
    pub(crate) fn give_fp_to_host(&mut self) {
        let owner = bindings::kvm_host_data_FP_STATE_HOST_OWNED;
        // SAFETY: A field of the structure, by the type invariant; nobody else uses it.
        unsafe { (&raw mut (*self.ptr.as_ptr()).fp_owner).write(owner) };
    }
}
