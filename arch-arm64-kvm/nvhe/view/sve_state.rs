// SPDX-License-Identifier: GPL-2.0

//! Memory of the host's that EL2 keeps the SVE state of a vCPU in, under pKVM.

use super::vcpu_state::{
    KeptByHost,
    KeptByHyp,
    VcpuState, //
};
use crate::{
    hyp::view::Vm,
    vector_length::VectorLength, //
};
use core::ptr::NonNull;
use kernel::{
    arm64::world::{
        Nvhe,
        World, //
    },
    bindings,
    ffi::c_int, //
};

/// Where the host says that its storage is, by the address that EL2 has for it. Not to be used
/// before it is pinned.
pub(crate) struct HostSveState(NonNull<bindings::arm64_sve_state>);

impl VcpuState<'_, KeptByHost> {
    /// Returns what the host says is the longest vector, in bytes.
    #[inline]
    pub(crate) fn sve_max_vl(&self) -> u32 {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { (&raw const (*self.vcpu.as_ptr()).arch.sve_max_vl).read_volatile() }
    }

    /// Returns where the host says that its storage is, if it has any.
    #[inline]
    pub(crate) fn sve_state(&self) -> Option<HostSveState> {
        // SAFETY: A field of the vCPU, by the type invariant.
        let state = unsafe { (&raw const (*self.vcpu.as_ptr()).arch.sve_state).read_volatile() };
        // EL2 takes its own NULL for no storage, too.
        NonNull::new(state)?;
        NonNull::new(Nvhe::kern_hyp_va(state)).map(HostSveState)
    }
}

impl VcpuState<'_, KeptByHyp> {
    /// Returns whether the VM's vCPUs have the feature `feature`.
    #[inline]
    pub(crate) fn has_feature(&self, feature: u32) -> bool {
        // SAFETY: By the type invariant; EL2 has made the VM before its vCPUs.
        unsafe { Vm::<Nvhe>::of(self.vcpu) }.vcpu_feature(feature)
    }

    /// Has the vCPU count as one whose SVE is not finalised.
    #[inline]
    pub(crate) fn set_sve_not_finalized(&mut self) {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe {
            let cflags = &raw mut (*self.vcpu.as_ptr()).arch.cflags;
            cflags.write(cflags.read() & !bindings::VCPU_SVE_FINALIZED);
        }
    }

    /// Pins `state`, and keeps the registers there for vectors of up to `vl`.
    ///
    /// # Errors
    ///
    /// What `hyp_pin_shared_mem()` says: EPERM if the host does not share all of it.
    #[inline]
    pub(crate) fn pin_sve_state(
        &mut self,
        state: HostSveState,
        vl: VectorLength,
    ) -> Result<(), c_int> {
        let state = state.0.as_ptr();
        let range = range(state, vl);
        // SAFETY: Takes any addresses, and finds out whose they are.
        match unsafe { bindings::hyp_pin_shared_mem(range[0], range[1]) } {
            0 => (),
            error => return Err(error),
        }
        // SAFETY: Fields of the vCPU, by the type invariant.
        unsafe {
            let arch = &raw mut (*self.vcpu.as_ptr()).arch;
            (&raw mut (*arch).sve_state).write(state);
            (&raw mut (*arch).sve_max_vl).write(vl.bytes());
        }
        Ok(())
    }

    /// Undoes [`Self::pin_sve_state`], if it has been done.
    #[inline]
    pub(crate) fn unpin_sve_state(&mut self) {
        // SAFETY: Fields of the vCPU, by the type invariant.
        let (state, vl) = unsafe {
            let arch = &raw const (*self.vcpu.as_ptr()).arch;
            (
                (&raw const (*arch).sve_state).read(),
                VectorLength::of_bytes((&raw const (*arch).sve_max_vl).read()),
            )
        };
        if !state.is_null() {
            let range = range(state, vl);
            // SAFETY: It is EL2's copy, which says so once the range has been pinned.
            unsafe { bindings::hyp_unpin_shared_mem(range[0], range[1]) };
        }
    }
}

/// Returns where the storage begins and where it ends.
fn range(state: *mut bindings::arm64_sve_state, vl: VectorLength) -> [*mut core::ffi::c_void; 2] {
    let start = state.cast::<u8>();
    [start, start.wrapping_add(vl.state_size())].map(|end| end.cast())
}
