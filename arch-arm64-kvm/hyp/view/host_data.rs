// SPDX-License-Identifier: GPL-2.0

//! What the hypervisor keeps for each physical CPU.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    arm64::{
        percpu::this_cpu_ptr,
        world::World, //
    },
    bindings, //
};

/// `struct kvm_host_data` of this CPU, in the image of the world `W`.
///
/// The kernel has one of its own in all modes. While it runs at EL1, EL2 knows nothing of that one.
///
/// # Invariants
///
/// `ptr` is this CPU's, and this code stays on this CPU for `'a`.
pub(crate) struct HostData<'a, W: World> {
    /// For the views of one world to reach its fields by.
    pub(crate) ptr: NonNull<bindings::kvm_host_data>,
    _data: PhantomData<(&'a mut bindings::kvm_host_data, W)>,
}

impl<W: World> HostData<'_, W> {
    /// Returns the data of this CPU.
    ///
    /// # Safety
    ///
    /// The code must run in the world `W`, and must not leave this CPU while the result is there.
    #[inline(always)]
    pub(crate) unsafe fn this_cpu() -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: By the safety requirements. Takes the address of a per-CPU variable of either
            // image; none is at NULL.
            ptr: unsafe {
                NonNull::new_unchecked(this_cpu_ptr::<W, _>(&raw mut bindings::kvm_host_data))
            },
            _data: PhantomData,
        }
    }

    /// Returns whether flag `number` is set, one of `KVM_HOST_DATA_FLAG_*`.
    #[inline(always)]
    pub(crate) fn flag(&self, number: u32) -> bool {
        self.has_flags(1 << number)
    }

    /// Returns whether one of the flags in `mask` is set.
    #[inline(always)]
    pub(crate) fn has_flags(&self, mask: usize) -> bool {
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { (&raw const (*self.ptr.as_ptr()).flags).read() & mask != 0 }
    }

    /// Sets flag `number` to `value`.
    ///
    /// Interrupts must be disabled, or nobody else change flags of this CPU.
    #[inline(always)]
    pub(crate) fn set_flag(&mut self, number: u32, value: bool) {
        let flag = 1 << number;
        // SAFETY: A field of the structure, by the type invariant. No other CPU writes it.
        unsafe {
            let flags = &raw mut (*self.ptr.as_ptr()).flags;
            let others = flags.read() & !flag;
            flags.write(if value { others | flag } else { others });
        }
    }

    /// Returns where the host's registers are kept while a guest has the CPU.
    #[inline(always)]
    pub(crate) fn context(&self) -> NonNull<bindings::kvm_cpu_context> {
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { NonNull::new_unchecked(&raw mut (*self.ptr.as_ptr()).host_ctxt) }
    }
}
