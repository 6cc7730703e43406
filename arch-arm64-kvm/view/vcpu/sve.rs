// SPDX-License-Identifier: GPL-2.0

//! What a vCPU has of SVE, as a state of which follows what can be done with it.

use super::Vcpu;
use crate::{
    hyp::view::Vm,
    vector_length::VectorLength,
    view::sve_allocation::SveAllocation, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    arm64::world::Kernel,
    bindings,
    prelude::*, //
};

/// What a vCPU has of SVE.
pub(crate) enum Sve<'a> {
    /// Nothing, or nothing yet.
    Absent,
    /// A longest vector that can be changed, and no registers.
    Configurable(ConfigurableSve<'a>),
    /// A longest vector that is final, and registers.
    Finalized(FinalizedSve<'a>),
}

/// The SVE of a vCPU whose vector lengths are not final.
///
/// # Invariants
///
/// `arch` is a vCPU's for `'a`, and nobody else uses what it has of SVE: a valid `sve_max_vl`, and
/// no `sve_state`.
pub(crate) struct ConfigurableSve<'a> {
    arch: NonNull<bindings::kvm_vcpu_arch>,
    _arch: PhantomData<&'a mut bindings::kvm_vcpu_arch>,
}

/// The SVE of a vCPU whose vector lengths are final.
///
/// # Invariants
///
/// `arch` is a vCPU's for `'a`, which is not loaded, and nobody else uses what it has of SVE: its
/// `sve_state` is that of an [`SveAllocation`] for its `sve_max_vl`.
pub(crate) struct FinalizedSve<'a> {
    arch: NonNull<bindings::kvm_vcpu_arch>,
    _arch: PhantomData<&'a mut bindings::kvm_vcpu_arch>,
}

impl Vcpu<'_> {
    /// Returns what the vCPU has of SVE. Only for a vCPU that is not loaded.
    pub(crate) fn sve(&mut self) -> Sve<'_> {
        // SAFETY: By the type invariant, as the VM lives at least as long as its vCPU.
        let (has_sve, arch) = unsafe {
            (
                bindings::kvm_vcpu_has_sve(self.ptr.as_ptr()),
                NonNull::new_unchecked(self.arch()),
            )
        };
        if !has_sve {
            return Sve::Absent;
        }
        // SAFETY: A field of the vCPU, which only the holder of its mutex changes.
        let cflags = unsafe { (&raw const (*arch.as_ptr()).cflags).read() };
        if cflags & bindings::VCPU_SVE_FINALIZED != 0 {
            // INVARIANT: The flag is set with the storage, and neither changes after that.
            Sve::Finalized(FinalizedSve {
                arch,
                _arch: PhantomData,
            })
        } else {
            // INVARIANT: All vCPUs of a VM have SVE or none has, and each gets its length when it
            // is initialised. Before that only `offer_sve` comes here, which asks for no length.
            Sve::Configurable(ConfigurableSve {
                arch,
                _arch: PhantomData,
            })
        }
    }

    /// Returns whether userspace has asked for the feature `feature`.
    pub(crate) fn has_feature(&self, feature: u32) -> bool {
        // SAFETY: By the type invariant.
        unsafe { Vm::<Kernel>::of(self.ptr) }.vcpu_feature(feature)
    }

    /// Has the vCPU, and with it its VM, have SVE, with vectors of up to `longest`. Not for one
    /// that is finalised.
    pub(crate) fn offer_sve(&mut self, longest: VectorLength) {
        if let Sve::Finalized(_) = self.sve() {
            return;
        }
        // SAFETY: A field of the vCPU, and one of its VM that is modified atomically.
        unsafe {
            (&raw mut (*self.arch()).sve_max_vl).write(longest.bytes());
            let kvm = (&raw const (*self.ptr.as_ptr()).kvm).read();
            bindings::set_bit(
                bindings::KVM_ARCH_FLAG_GUEST_HAS_SVE as usize,
                &raw mut (*kvm).arch.flags,
            );
        }
    }

    /// Frees the storage for the vCPU's registers, if there is any. Only for when the vCPU goes
    /// away.
    pub(crate) fn free_sve_state(&mut self) {
        let arch = self.arch();
        // SAFETY: Fields of the vCPU.
        let (state, vl) = unsafe {
            (
                (&raw mut (*arch).sve_state).replace(core::ptr::null_mut()),
                VectorLength::of_bytes((&raw const (*arch).sve_max_vl).read()),
            )
        };
        if let Some(state) = NonNull::new(state) {
            // SAFETY: `ConfigurableSve::finalize` has put it there, for this length, and nobody
            // finds it there any more.
            drop(unsafe { SveAllocation::from_raw(state, vl) });
        }
    }
}

impl ConfigurableSve<'_> {
    /// Returns the longest vector.
    pub(crate) fn max_vl(&self) -> VectorLength {
        // SAFETY: A field of the vCPU, by the type invariant.
        VectorLength::of_bytes(unsafe { (&raw const (*self.arch.as_ptr()).sve_max_vl).read() })
    }

    /// Changes the longest vector.
    pub(crate) fn set_max_vl(&mut self, longest: VectorLength) {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { (&raw mut (*self.arch.as_ptr()).sve_max_vl).write(longest.bytes()) }
    }

    /// Makes the longest vector final, and allocates storage for the registers. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`SveAllocation::new`]. Nothing has changed then.
    pub(crate) fn finalize(self) -> Result {
        let state = SveAllocation::new(self.max_vl())?.into_raw();
        // SAFETY: Fields of the vCPU, by the type invariant. The flags beside that of SVE are
        // changed by who holds the vCPU's mutex, as the caller does, or has it loaded, as nobody
        // has meanwhile.
        unsafe {
            let arch = self.arch.as_ptr();
            (&raw mut (*arch).sve_state).write(state.as_ptr());
            let cflags = &raw mut (*arch).cflags;
            cflags.write(cflags.read() | bindings::VCPU_SVE_FINALIZED);
        }
        Ok(())
    }
}

impl FinalizedSve<'_> {
    /// Returns the longest vector, for which the registers are laid out.
    pub(crate) fn vl(&self) -> VectorLength {
        // SAFETY: A field of the vCPU, by the type invariant.
        VectorLength::of_bytes(unsafe { (&raw const (*self.arch.as_ptr()).sve_max_vl).read() })
    }

    /// Returns the registers: Z0 to Z31, P0 to P15 and FFR.
    pub(crate) fn state(&mut self) -> &mut [u8] {
        let size = self.vl().state_size();
        // SAFETY: By the type invariant, so many bytes are there. They were zeroes at first, so
        // they have been initialised.
        unsafe {
            let state = (&raw const (*self.arch.as_ptr()).sve_state).read();
            core::slice::from_raw_parts_mut(state.cast(), size)
        }
    }
}
