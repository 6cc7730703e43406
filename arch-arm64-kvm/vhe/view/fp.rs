// SPDX-License-Identifier: GPL-2.0

//! The FP registers under VHE, where the kernel's FP core is a call away.

use super::GuestContext;
use crate::hyp::view::fp::{
    FpRegisters,
    Free,
    HostOwned, //
};
use kernel::{
    arm64::{
        fp,
        fp_access::FpAccess,
        world::Vhe, //
    },
    preempt::PreemptionDisabled, //
};

impl<'a> FpRegisters<'a, Vhe, HostOwned> {
    /// Has the kernel save the state of the running task.
    ///
    /// It runs with the hypervisor's vectors, to which the BRK of a WARN() is an exception that
    /// ends in `hyp_panic()`: where the FP core finds its own state to be wrong, the machine stops.
    #[inline(always)]
    pub(crate) fn save_by_kernel(self, _: &FpAccess) -> FpRegisters<'a, Vhe, Free> {
        // SAFETY: All exceptions are masked while the hypervisor runs, so nothing preempts it.
        fp::save_and_flush_cpu_state(unsafe { PreemptionDisabled::assume_disabled() });
        self.host_saved()
    }
}

impl GuestContext<'_> {
    /// Notes that the host's registers were saved for the guest's first use, for the kernel, which
    /// counts and traces it after the exit: there is no tracing with a guest's system registers.
    #[inline(always)]
    pub(crate) fn note_host_saved(&mut self) {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { (&raw mut (*self.vcpu.as_ptr()).arch.has_saved_host_fp).write(true) }
    }
}
