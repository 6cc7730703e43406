// SPDX-License-Identifier: GPL-2.0

//! KVM/arm64 in Rust: the part that runs in the kernel proper, and at EL2 under VHE.
//!
//! This file is the boundary to C: it exports the functions that the rest of KVM calls, turns their
//! raw arguments into views and proofs, and hands over to the logic.
//!
//! | layer | where | unsafe |
//! |---|---|---|
//! | primitives | `kernel::arm64`, `kernel::preempt` | inline assembly and header inlines |
//! | views | [`view`], [`hyp::view`], `vhe::view` | raw pointers |
//! | logic | [`fpsimd`], [`user_sysreg_sr`], [`hyp`], [`vhe`] | none |
//!
//! See Documentation/virt/kvm/arm/rust/ for how a world switch travels through this code.

use core::ptr::NonNull;
use kernel::{
    arm64::world::{
        Kernel,
        Vhe, //
    },
    bindings,
    interrupt::LocalInterruptDisabled,
    preempt::PreemptionDisabled, //
    prelude::*,
};

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod faults;
mod fpsimd;
#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod hostile_host;
mod hyp;
#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod selector;
mod status;
mod user_sysreg_sr;
mod vhe;
mod view;

use vhe::{
    sysreg_sr,
    GuestContext,
    HostContext, //
};
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
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    hostile_host::load(&vcpu);
    unless_faulty!(load(&vcpu, preempt));
    fpsimd::load(&vcpu, preempt);
}

/// Finds out, right before the guest is entered, whether the registers are still lent to it.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, and interrupts must be disabled.
#[export]
unsafe extern "C" fn kvm_arch_vcpu_ctxflush_fp(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (_vcpu, irqs) = unsafe {
        (
            Vcpu::from_raw(vcpu),
            LocalInterruptDisabled::assume_disabled(),
        )
    };
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    hostile_host::ctxflush(&_vcpu, irqs);
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
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    hostile_host::ctxsync(&vcpu, irqs);
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

/// Returns the context of `vcpu`.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that is loaded on this CPU, and stays so while the context is used.
#[inline(always)]
unsafe fn guest_context<'a>(ctxt: *mut bindings::kvm_cpu_context) -> GuestContext<'a> {
    // SAFETY: A guest's context is part of its vCPU.
    unsafe {
        let vcpu = kernel::container_of!(ctxt, bindings::kvm_vcpu, arch.ctxt);
        GuestContext::of(NonNull::new_unchecked(vcpu))
    }
}

/// Returns the host's context at `ctxt`.
///
/// # Safety
///
/// `ctxt` must be the host's on this CPU, with a live vCPU noted in it that is loaded, and stay so
/// while the context is used.
#[inline(always)]
unsafe fn host_context<'a>(ctxt: *mut bindings::kvm_cpu_context) -> HostContext<'a> {
    // SAFETY: By the safety requirement.
    unsafe {
        let vcpu = NonNull::new_unchecked((*ctxt).__hyp_running_vcpu);
        HostContext::for_vcpu(NonNull::new_unchecked(ctxt), vcpu)
    }
}

/// Saves what the host has in registers that change with every switch.
///
/// # Safety
///
/// `ctxt` must be the host's context on this CPU, with the loaded vCPU noted in it, and preemption
/// must be disabled.
#[export]
unsafe extern "C" fn sysreg_save_host_state_vhe(ctxt: *mut bindings::kvm_cpu_context) {
    // SAFETY: By the safety requirements.
    sysreg_sr::save_host_state(&mut unsafe { host_context(ctxt) });
}

/// Restores what the host has in registers that change with every switch.
///
/// # Safety
///
/// As for [`sysreg_save_host_state_vhe`].
#[export]
unsafe extern "C" fn sysreg_restore_host_state_vhe(ctxt: *mut bindings::kvm_cpu_context) {
    // SAFETY: By the safety requirements.
    sysreg_sr::restore_host_state(&unsafe { host_context(ctxt) });
}

/// Saves what the guest has in registers that change with every switch.
///
/// # Safety
///
/// `ctxt` must be the context of the vCPU that is loaded on this CPU, and preemption must be
/// disabled.
#[export]
unsafe extern "C" fn sysreg_save_guest_state_vhe(ctxt: *mut bindings::kvm_cpu_context) {
    // SAFETY: By the safety requirements.
    sysreg_sr::save_guest_state(&mut unsafe { guest_context(ctxt) });
}

/// Restores what the guest has in registers that change with every switch.
///
/// # Safety
///
/// As for [`sysreg_save_guest_state_vhe`].
#[export]
unsafe extern "C" fn sysreg_restore_guest_state_vhe(ctxt: *mut bindings::kvm_cpu_context) {
    // SAFETY: By the safety requirements.
    sysreg_sr::restore_guest_state(&unsafe { guest_context(ctxt) });
}

/// Puts into the CPU the registers of `vcpu` that the host does not use.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, and preemption must be disabled.
#[export]
unsafe extern "C" fn __vcpu_load_switch_sysregs(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (mut guest, mut host) = unsafe {
        let vcpu = NonNull::new_unchecked(vcpu);
        // The guest's first: it works out the features.
        let guest = GuestContext::of_loading(vcpu);
        let host = hyp::view::HostData::<Vhe>::this_cpu().context();
        let host = HostContext::for_vcpu(host, vcpu);
        (guest, host)
    };
    sysreg_sr::load(&mut guest, &mut host);
}

/// Takes from the CPU the registers of `vcpu` that the host does not use.
///
/// # Safety
///
/// As for [`__vcpu_load_switch_sysregs`]; the vCPU must be loaded on this CPU.
#[export]
unsafe extern "C" fn __vcpu_put_switch_sysregs(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (mut guest, host) = unsafe {
        let vcpu = NonNull::new_unchecked(vcpu);
        let guest = GuestContext::of(vcpu);
        let host = hyp::view::HostData::<Vhe>::this_cpu().context();
        let host = HostContext::for_vcpu(host, vcpu);
        (guest, host)
    };
    sysreg_sr::put(&mut guest, &host);
}

/// Puts into the CPU the registers of `vcpu` that only EL0 uses, where the kernel runs at EL1.
///
/// # Safety
///
/// As for [`__vcpu_load_switch_sysregs`].
#[export]
unsafe extern "C" fn kvm_vcpu_load_user_sysregs(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (guest, mut host) = unsafe {
        let vcpu = NonNull::new_unchecked(vcpu);
        // The guest's first: it works out the features.
        let guest = user_sysreg_sr::GuestContext::of_loading(vcpu);
        let host = hyp::view::HostData::<Kernel>::this_cpu().context();
        let host = user_sysreg_sr::HostContext::for_vcpu(host, vcpu);
        (guest, host)
    };
    user_sysreg_sr::load(&guest, &mut host);
}

/// Takes from the CPU the registers of `vcpu` that only EL0 uses, where the kernel runs at EL1.
///
/// # Safety
///
/// As for [`__vcpu_put_switch_sysregs`].
#[export]
unsafe extern "C" fn kvm_vcpu_put_user_sysregs(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (mut guest, host) = unsafe {
        let vcpu = NonNull::new_unchecked(vcpu);
        let guest = user_sysreg_sr::GuestContext::of(vcpu);
        let host = hyp::view::HostData::<Kernel>::this_cpu().context();
        let host = user_sysreg_sr::HostContext::for_vcpu(host, vcpu);
        (guest, host)
    };
    user_sysreg_sr::put(&mut guest, &host);
}

/// Keeps kprobes away from functions that run between a guest and the host's own state.
macro_rules! nokprobe {
    ($($function:ident,)*) => {
        $(#[cfg(CONFIG_KPROBES)]
        const _: () = {
            #[link_section = "_kprobe_blacklist"]
            #[used]
            static ADDRESS: unsafe extern "C" fn(*mut bindings::kvm_cpu_context) = $function;
        };)*
    };
}

nokprobe! {
    sysreg_save_host_state_vhe,
    sysreg_restore_host_state_vhe,
    sysreg_save_guest_state_vhe,
    sysreg_restore_guest_state_vhe,
}
