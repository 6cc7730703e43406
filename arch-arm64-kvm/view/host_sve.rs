// SPDX-License-Identifier: GPL-2.0

//! What the host has of SVE: the vector lengths that all CPUs have.

use crate::{
    sve::vector_lengths::VectorLengths,
    vector_length::VectorLength, //
};
use kernel::{
    bindings,
    warn_on_once, //
};

/// A variable that is written while the kernel boots, and not any more.
macro_rules! ro_after_init {
    ($($(#[$attribute:meta])* $name:ident;)*) => {
        $(
            $(#[$attribute])*
            #[cfg_attr(CONFIG_ARM64, no_mangle, link_section = ".data..ro_after_init")]
            #[allow(non_upper_case_globals)]
            pub(crate) static mut $name: core::ffi::c_uint = 0;
        )*
    };
}

ro_after_init! {
    /// The host's longest vector, in bytes. C code reads it, too.
    kvm_host_sve_max_vl;
    /// The longest vector that a guest can have, in bytes. C code reads it, too.
    kvm_sve_max_vl;
}

/// Bytes of the longest vectors.
pub(crate) struct MaxVls {
    /// The host's.
    pub(crate) host: u32,
    /// Guests'. Less than the host's if some CPUs have lengths that others lack, which cannot be
    /// hidden from a guest.
    pub(crate) guest: u32,
}

/// Asks the FP core, and keeps the answer, for EL2 as well.
///
/// Only for when KVM starts.
pub(crate) fn find_out_max_vls() -> MaxVls {
    // SAFETY: Reads what the FP core has found out when the CPUs came up.
    let (host, guest) = unsafe {
        (
            bindings::sve_max_vl() as u32,
            bindings::sve_max_virtualisable_vl() as u32,
        )
    };
    // Longer registers would need more than one slice in the ABI.
    let arch_max = VectorLength::MAX.bytes();
    warn_on_once!(guest > arch_max);
    let guest = guest.min(arch_max);
    // SAFETY: While the kernel boots, by which nobody reads them yet.
    unsafe {
        kvm_host_sve_max_vl = host;
        kvm_sve_max_vl = guest;
        bindings::__kvm_nvhe_kvm_host_sve_max_vl = host;
    }
    MaxVls { host, guest }
}

/// Returns the longest vector that a guest can have. Only where there is SVE.
pub(crate) fn max_vl_of_guests() -> VectorLength {
    // SAFETY: Nobody writes it any more.
    VectorLength::of_bytes(unsafe { (&raw const kvm_sve_max_vl).read() })
}

/// Returns the vector lengths that all CPUs have.
pub(crate) fn vector_lengths() -> VectorLengths {
    // SAFETY: The length is one of the architecture's, for each of which there is a bit.
    VectorLengths::of(|vl| unsafe { bindings::sve_vq_available(vl.quadwords()) })
}
