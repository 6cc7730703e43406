// SPDX-License-Identifier: GPL-2.0

//! SVE for guests, as userspace configures it and accesses its registers.
//!
//! ```text
//!  Absent --KVM_ARM_VCPU_INIT--> Configurable --KVM_ARM_VCPU_FINALIZE--> Finalized
//!          with SVE              |       ^                              |       ^
//!                                +-------+                              +-------+
//!                          KVM_REG_ARM64_SVE_VLS                  Z, P and FFR; KVM_RUN;
//!                 KVM_ARM_VCPU_INIT: to the default          KVM_ARM_VCPU_INIT: to zeroes
//! ```
//!
//! What a vCPU's state is decides what can be called; the errors are those of the ABI,
//! Documentation/virt/kvm/api.rst.
//!
//! C sources: [`arch/arm64/kvm/guest.c`](srctree/arch/arm64/kvm/guest.c),
//! [`arch/arm64/kvm/reset.c`](srctree/arch/arm64/kvm/reset.c)

#![forbid(unsafe_code)]

pub(crate) mod one_reg;
mod register;
pub(crate) mod vector_lengths;

use crate::view::{
    host_sve,
    Sve,
    Vcpu, //
};
use kernel::{
    arm64::cpucap::system_supports_sve,
    bindings,
    error::code::{
        EINVAL,
        EPERM, //
    },
    ffi::c_int,
    prelude::*, //
};

/// Finds out how long vectors can be; called once, when KVM starts.
pub(crate) fn init() {
    if !system_supports_sve() {
        return;
    }
    let lengths = host_sve::find_out_max_vls();
    if lengths.guest < lengths.host {
        pr_warn!(
            "SVE vector length for guests limited to {} bytes\n",
            lengths.guest
        );
    }
}

/// Resets the SVE state of a vCPU, on KVM_ARM_VCPU_INIT and on PSCI's CPU_ON.
///
/// A vCPU that is to have SVE gets the longest vectors that the host has. Once it is finalised, its
/// length stays, and the registers become 0.
pub(crate) fn reset(vcpu: &mut Vcpu<'_>) {
    if let Sve::Finalized(mut sve) = vcpu.sve() {
        sve.state().fill(0);
    } else if vcpu.has_feature(bindings::KVM_ARM_VCPU_SVE) {
        vcpu.offer_sve(host_sve::max_vl_of_guests());
    }
}

/// Makes a vCPU's vector lengths final, and gives it storage for its registers:
/// KVM_ARM_VCPU_FINALIZE.
///
/// # Errors
///
/// EINVAL for a feature that needs no finalising, or that the vCPU does not have; EPERM the second
/// time; ENOMEM without memory, and what EL2 says if it does not take it. After the last two, it
/// can be tried again.
pub(crate) fn finalize(vcpu: &mut Vcpu<'_>, feature: c_int) -> Result {
    if feature != bindings::KVM_ARM_VCPU_SVE as c_int {
        return Err(EINVAL);
    }
    match vcpu.sve() {
        Sve::Absent => Err(EINVAL),
        Sve::Finalized(_) => Err(EPERM),
        Sve::Configurable(sve) => sve.finalize(),
    }
}

/// Returns whether nothing is left to be finalised before a vCPU can run.
pub(crate) fn is_finalized(vcpu: &mut Vcpu<'_>) -> bool {
    !matches!(vcpu.sve(), Sve::Configurable(_))
}

/// Takes a vCPU's storage back: nobody will use the vCPU any more.
pub(crate) fn destroy(vcpu: &mut Vcpu<'_>) {
    vcpu.free_sve_state();
}
