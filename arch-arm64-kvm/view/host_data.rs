// SPDX-License-Identifier: GPL-2.0

//! What KVM keeps for each physical CPU.

use crate::hyp::view::FpOwner;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    preempt::PreemptionDisabled, //
};

/// `struct kvm_host_data` of the CPU that this code runs on, for as long as it cannot leave it.
///
/// Which copy that is depends on the mode, as `host_data_ptr()` decides in C: the kernel's own
/// under VHE and under pKVM, the hypervisor's under nVHE and hVHE, where EL2 writes it while a
/// guest runs.
///
/// # Invariants
///
/// `ptr` is this CPU's `struct kvm_host_data`, and this code stays on this CPU for `'a`.
pub(crate) struct KernelHostData<'a> {
    ptr: NonNull<bindings::kvm_host_data>,
    _cpu: PhantomData<PreemptionDisabled<'a>>,
}

impl<'a> KernelHostData<'a> {
    /// Returns the data of this CPU.
    #[inline(always)]
    pub(crate) fn this_cpu(_: PreemptionDisabled<'a>) -> Self {
        // SAFETY: Takes the address of a per-CPU variable, which stays that of this CPU for 'a
        // because preemption is disabled. KVM has allocated both copies before it makes a vCPU.
        let ptr = unsafe { NonNull::new_unchecked(bindings::kvm_this_cpu_host_data()) };
        // INVARIANT: As argued above.
        Self {
            ptr,
            _cpu: PhantomData,
        }
    }

    /// Returns who owns the FP registers.
    #[inline(always)]
    pub(crate) fn fp_owner(&self) -> FpOwner {
        // SAFETY: By the type invariant the pointer is valid and no other CPU writes the field.
        // EL2 writes it only between guest entry and exit, when this code does not run.
        FpOwner::from_raw(unsafe { (&raw const (*self.ptr.as_ptr()).fp_owner).read() })
    }

    /// Notes that the FP registers are nobody's.
    ///
    /// The kernel notes this and [`Self::leave_fp_to_host`] alone. The guest becomes owner at EL2,
    /// by the trap of its first FP access.
    #[inline(always)]
    pub(crate) fn free_fp(&self) {
        self.set_fp_owner(bindings::kvm_host_data_FP_STATE_FREE);
    }

    /// Notes that the FP registers have the state of the running task, and nowhere else is.
    #[inline(always)]
    pub(crate) fn leave_fp_to_host(&self) {
        self.set_fp_owner(bindings::kvm_host_data_FP_STATE_HOST_OWNED);
    }

    #[inline(always)]
    fn set_fp_owner(&self, owner: u32) {
        // SAFETY: As for `fp_owner`.
        unsafe { (&raw mut (*self.ptr.as_ptr()).fp_owner).write(owner) };
    }
}
