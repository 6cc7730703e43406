// SPDX-License-Identifier: GPL-2.0

//! Who owns the FP registers of a CPU.

use kernel::bindings;

/// Owner of the FP/SIMD/SVE registers of a CPU while a vCPU is loaded on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FpOwner {
    /// Nobody: what the registers hold is saved elsewhere, or worth nothing.
    Free,
    /// The host: the registers are the only place where the state of the task that runs the vCPU,
    /// or for pKVM's EL2, of whatever the host had there, is up to date.
    Host,
    /// The guest: the registers are the only place where its state is up to date.
    Guest,
}

impl FpOwner {
    /// Reads the C representation, `enum { FP_STATE_FREE, ... }` in `struct kvm_host_data`.
    #[inline(always)]
    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            bindings::kvm_host_data_FP_STATE_HOST_OWNED => Self::Host,
            bindings::kvm_host_data_FP_STATE_GUEST_OWNED => Self::Guest,
            // FP_STATE_FREE. No code stores a fourth value, and one that got there by
            // accident must not make anybody save the registers somewhere.
            _ => Self::Free,
        }
    }
}
