// SPDX-License-Identifier: GPL-2.0

//! Storage for SVE state.

use crate::vector_length::VectorLength;
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    alloc::{
        flags::GFP_KERNEL_ACCOUNT,
        KVec, //
    },
    bindings,
    error::to_result,
    prelude::*, //
};

/// Storage for the SVE state of a vCPU: zeroes at first, accounted to who runs the VM, and
/// accessible to EL2.
///
/// # Invariants
///
/// All of `bytes` is mapped at EL2, or shared with it under pKVM.
pub(crate) struct SveAllocation {
    bytes: KVec<u8>,
}

impl SveAllocation {
    /// Allocates storage for vectors of the length `vl`. May sleep.
    ///
    /// # Errors
    ///
    /// ENOMEM; and what EL2 says if it does not take it, under pKVM. Nothing is left behind then.
    pub(crate) fn new(vl: VectorLength) -> Result<Self> {
        let mut bytes = KVec::from_elem(0, vl.state_size(), GFP_KERNEL_ACCOUNT)?;
        let range = bytes.as_mut_ptr_range();
        // SAFETY: The range is an allocation's, which stays where it is until it is unshared.
        to_result(unsafe { bindings::kvm_share_hyp(range.start.cast(), range.end.cast()) })?;
        // INVARIANT: It has been shared just now.
        Ok(Self { bytes })
    }

    /// Hands it over to C, which has no more of it than where it is.
    pub(super) fn into_raw(self) -> NonNull<bindings::arm64_sve_state> {
        let mut allocation = ManuallyDrop::new(self);
        // SAFETY: An allocation is not at NULL.
        unsafe { NonNull::new_unchecked(allocation.bytes.as_mut_ptr().cast()) }
    }

    /// Takes it back from C.
    ///
    /// # Safety
    ///
    /// `state` must come from [`Self::into_raw`] of one that was made for `vl`, and not be used any
    /// more.
    pub(super) unsafe fn from_raw(
        state: NonNull<bindings::arm64_sve_state>,
        vl: VectorLength,
    ) -> Self {
        let size = vl.state_size();
        // INVARIANT: By the safety requirements, it was an allocation's, which is not unshared
        // before it goes away.
        Self {
            // SAFETY: By the safety requirements, this is an allocation of so many bytes, at least,
            // that have been initialised.
            bytes: unsafe { KVec::from_raw_parts(state.as_ptr().cast(), size, size) },
        }
    }
}

impl Drop for SveAllocation {
    fn drop(&mut self) {
        let range = self.bytes.as_mut_ptr_range();
        // SAFETY: By the type invariant, the range is shared; it is freed after this.
        unsafe { bindings::kvm_unshare_hyp(range.start.cast(), range.end.cast()) };
    }
}
