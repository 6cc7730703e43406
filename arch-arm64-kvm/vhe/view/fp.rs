// SPDX-License-Identifier: GPL-2.0

//! The FP registers under VHE, where the kernel's FP core is a call away.

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
    #[inline(always)]
    pub(crate) fn save_by_kernel(self, _: &FpAccess) -> FpRegisters<'a, Vhe, Free> {
        // SAFETY: All exceptions are masked while the hypervisor runs, so nothing preempts it.
        fp::save_and_flush_cpu_state(unsafe { PreemptionDisabled::assume_disabled() });
        self.host_saved()
    }
}
