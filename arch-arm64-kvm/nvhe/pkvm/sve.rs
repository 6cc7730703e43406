// SPDX-License-Identifier: GPL-2.0

//! SVE of a vCPU that EL2 makes of one of the host's.
//!
//! The state is kept in memory that the host has allocated and shares. EL2 pins it, so that the
//! host can give it to nobody else while EL2 stores to it.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/pkvm.c`](srctree/arch/arm64/kvm/hyp/nvhe/pkvm.c)

#![forbid(unsafe_code)]

use super::{
    HostData,
    KeptByHost,
    KeptByHyp,
    VcpuState, //
};
use crate::vector_length::VectorLength;
use kernel::{
    bindings,
    ffi::c_int, //
};

/// An error number for the host, which takes none but the C ones: negative.
type Errno = c_int;

const EINVAL: Errno = -(bindings::EINVAL as Errno);

/// Takes the host's storage for `hyp`, if it is to have SVE.
///
/// # Errors
///
/// EINVAL for no storage, or a length that is none, or where the host's vCPU is not even aligned;
/// EPERM if the host does not share all of it.
pub(crate) fn init(
    hyp: &mut VcpuState<'_, KeptByHyp>,
    host: Option<&VcpuState<'_, KeptByHost>>,
) -> Result<(), Errno> {
    // No view is made of such a vCPU later: EL2 makes none of its own from it.
    let host = host.ok_or(EINVAL)?;
    if !hyp.has_feature(bindings::KVM_ARM_VCPU_SVE) {
        // The host may have said so.
        hyp.set_sve_not_finalized();
        return Ok(());
    }
    // No longer than EL2 can have it. The host's own vCPU decides what userspace is told.
    let bytes = host.sve_max_vl().min(HostData::host_max_vl().bytes());
    let vl = VectorLength::from_bytes(bytes).ok_or(EINVAL)?;
    let state = host.sve_state().ok_or(EINVAL)?;
    hyp.pin_sve_state(state, vl)
}

/// Gives the storage back to the host.
pub(crate) fn destroy(hyp: &mut VcpuState<'_, KeptByHyp>) {
    hyp.unpin_sve_state();
}
