// SPDX-License-Identifier: GPL-2.0

//! KVM/arm64 in Rust: the part that runs in the kernel proper, and at EL2 under VHE.
//!
//! This file is the boundary to C: it exports the functions that the rest of KVM calls, turns their
//! raw arguments into views and proofs, and hands over to the logic.
//!
//! | layer | where | unsafe |
//! |---|---|---|
//! | primitives | `kernel::arm64`, `kernel::preempt` | inline assembly and header inlines |
//! | views | [`view`] | raw pointers |
//! | logic | [`fpsimd`] | none |
//!
//! See Documentation/virt/kvm/arm/rust/ for how a world switch travels through this code.

use kernel::{
    bindings,
    interrupt::LocalInterruptDisabled,
    preempt::PreemptionDisabled, //
    prelude::*,
};

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod faults;
mod fpsimd;
mod status;
mod view;

use view::Vcpu;

module! {
    type: status::Status,
    name: "kvm_arm64_rust",
    authors: ["KVM/arm64 Rust authors"],
    description: "KVM/arm64 FP/SIMD handling in Rust",
    license: "GPL",
}

/// Hands the call to the fault that is switched on for this hook, if one is.
///
/// Without `CONFIG_KVM_ARM64_RUST_FAULTS` this is nothing at all.
macro_rules! unless_faulty {
    ($hook:ident($($argument:expr),*)) => {
        #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
        if faults::$hook($($argument),*).is_break() {
            return;
        }
    };
}

/// Lends the FP registers of this CPU to `vcpu`; called by `vcpu_load()`.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, and preemption must be disabled.
#[export]
unsafe extern "C" fn kvm_arch_vcpu_load_fp(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (vcpu, preempt) = unsafe { (Vcpu::from_raw(vcpu), PreemptionDisabled::assume_disabled()) };
    unless_faulty!(load(&vcpu, preempt));
    fpsimd::load(&vcpu, preempt);
}

/// Finds out, right before the guest is entered, whether the registers are still lent to it.
///
/// # Safety
///
/// Interrupts must be disabled.
#[export]
unsafe extern "C" fn kvm_arch_vcpu_ctxflush_fp(_vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call.
    let irqs = unsafe { LocalInterruptDisabled::assume_disabled() };
    unless_faulty!(ctxflush(irqs));
    fpsimd::ctxflush(irqs);
}

/// Tells the FP core, right after the guest was left, what the guest has in the registers.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, and interrupts must be disabled.
#[export]
unsafe extern "C" fn kvm_arch_vcpu_ctxsync_fp(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (vcpu, irqs) = unsafe {
        (
            Vcpu::from_raw(vcpu),
            LocalInterruptDisabled::assume_disabled(),
        )
    };
    unless_faulty!(ctxsync(&vcpu, irqs));
    fpsimd::ctxsync(&vcpu, irqs);
}

/// Takes the FP registers back from `vcpu`; called by `vcpu_put()`, from the run loop and from the
/// scheduler, so with interrupts on or off.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, and preemption must be disabled.
#[export]
unsafe extern "C" fn kvm_arch_vcpu_put_fp(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (vcpu, preempt) = unsafe { (Vcpu::from_raw(vcpu), PreemptionDisabled::assume_disabled()) };
    unless_faulty!(put(&vcpu, preempt));
    fpsimd::put(&vcpu, preempt);
}
