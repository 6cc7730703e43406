// SPDX-License-Identifier: GPL-2.0

//! The tracepoint of what becomes of the FP registers.
//!
//! C header: [`arch/arm64/kvm/rust/trace.h`](srctree/arch/arm64/kvm/rust/trace.h)

use crate::hyp::view::FpEvent;
use kernel::{
    ffi::{
        c_int,
        c_uint, //
    },
    tracepoint::declare_trace, //
};

declare_trace! {
    /// Traces `event`, a value of [`FpEvent`], of the vCPU with the number `vcpu_id`.
    ///
    /// # Safety
    ///
    /// Only from code of the kernel that may be traced, and so not while a guest's registers are
    /// in the CPU.
    unsafe fn kvm_fp(vcpu_id: c_int, event: c_uint);
}

/// Traces what has become of the FP registers.
#[inline(always)]
pub(super) fn fp(vcpu_id: c_int, event: FpEvent) {
    // SAFETY: The hooks of `fpsimd` are code of the kernel, before and after a guest.
    unsafe { kvm_fp(vcpu_id, event as c_uint) }
}
