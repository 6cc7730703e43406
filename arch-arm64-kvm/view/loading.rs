// SPDX-License-Identifier: GPL-2.0

//! The contexts of a guest and of the host while a vCPU is loaded or put.

use crate::hyp::view::{
    Context,
    Features,
    Guest, //
};
use core::ptr::NonNull;
use kernel::{
    arm64::world::World,
    bindings, //
};

impl<W: World> Context<'_, W, Guest> {
    /// Returns the context of `vcpu`, which is being loaded, for being run or for something else.
    ///
    /// # Safety
    ///
    /// As for [`Context::of`].
    #[inline(always)]
    pub(crate) unsafe fn of_loading(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // SAFETY: By the safety requirement.
        unsafe { Self::with_features(vcpu, Features::of_loading::<W>(vcpu)) }
    }
}
