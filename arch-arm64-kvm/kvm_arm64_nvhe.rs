// SPDX-License-Identifier: GPL-2.0

//! KVM/arm64 in Rust: the part that runs at EL2 while the kernel runs at EL1.
//!
//! An object of its own, linked into the hypervisor's image (`kvm_nvhe.o`), whose addresses differ
//! from the kernel's. It can call nothing that is not in that image: no allocation, no `printk`, no
//! panic. What it uses of the `kernel` crate is inlined.
//!
//! This file is the boundary to C, as `kvm_arm64.rs` is for the other world.

use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*, //
};

mod hyp;
mod nvhe;

use hyp::view::HostData;
use nvhe::{
    pkvm,
    sysreg_sr,
    GuestContext,
    HostContext,
    HypVcpu, //
};

/// A context, as C hands it over: without saying whose.
enum AnyContext<'a> {
    Guest(GuestContext<'a>),
    Host(HostContext<'a>),
}

impl AnyContext<'_> {
    /// # Safety
    ///
    /// `ctxt` must be the context of a live vCPU that this CPU runs, or that of the host on this
    /// CPU, with the running vCPU noted in it.
    #[inline(always)]
    unsafe fn from_raw(ctxt: *mut bindings::kvm_cpu_context) -> Self {
        // SAFETY: By the safety requirement. Only the host's context notes a vCPU; a guest's is
        // part of its vCPU.
        unsafe {
            let ctxt = NonNull::new_unchecked(ctxt);
            match NonNull::new((*ctxt.as_ptr()).__hyp_running_vcpu) {
                Some(vcpu) => Self::Host(HostContext::for_vcpu(ctxt, vcpu)),
                None => {
                    let vcpu = kernel::container_of!(ctxt.as_ptr(), bindings::kvm_vcpu, arch.ctxt);
                    Self::Guest(GuestContext::of(NonNull::new_unchecked(vcpu)))
                }
            }
        }
    }
}

/// Saves all registers that guest and host take turns in.
///
/// # Safety
///
/// `ctxt` must be the context of a live vCPU that this CPU runs, or that of the host on this CPU,
/// with the running vCPU noted in it, and its registers must be in the CPU.
#[export]
unsafe extern "C" fn __sysreg_save_state_nvhe(ctxt: *mut bindings::kvm_cpu_context) {
    // SAFETY: By the safety requirements.
    match unsafe { AnyContext::from_raw(ctxt) } {
        AnyContext::Guest(mut guest) => sysreg_sr::save_state(&mut guest),
        AnyContext::Host(mut host) => sysreg_sr::save_state(&mut host),
    }
}

/// Restores all registers that guest and host take turns in.
///
/// # Safety
///
/// As for [`__sysreg_save_state_nvhe`]; the registers must have been saved.
#[export]
unsafe extern "C" fn __sysreg_restore_state_nvhe(ctxt: *mut bindings::kvm_cpu_context) {
    // SAFETY: By the safety requirements.
    match unsafe { AnyContext::from_raw(ctxt) } {
        AnyContext::Guest(guest) => sysreg_sr::restore_guest_state(&guest),
        AnyContext::Host(host) => sysreg_sr::restore_host_state(&host),
    }
}

/// Saves what an AArch32 guest has at EL1.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that this CPU runs.
#[export]
unsafe extern "C" fn __sysreg32_save_state(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirement.
    let mut guest = unsafe { GuestContext::of(NonNull::new_unchecked(vcpu)) };
    hyp::sysreg_sr::save_32bit_state(&mut guest);
}

/// Restores what an AArch32 guest has at EL1.
///
/// # Safety
///
/// As for [`__sysreg32_save_state`].
#[export]
unsafe extern "C" fn __sysreg32_restore_state(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirement.
    let guest = unsafe { GuestContext::of(NonNull::new_unchecked(vcpu)) };
    hyp::sysreg_sr::restore_32bit_state(&guest);
}

/// Takes from the host what is needed for running `hyp_vcpu`, under pKVM.
///
/// # Safety
///
/// `hyp_vcpu` must be a vCPU of EL2's that is loaded on this CPU.
#[export]
unsafe extern "C" fn flush_hyp_vcpu(hyp_vcpu: *mut bindings::pkvm_hyp_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call; EL2 does not leave its CPU.
    // Nobody writes the number of list registers once pKVM is set up.
    let (mut vcpu, mut host_data, nr_lr) = unsafe {
        (
            HypVcpu::from_raw(hyp_vcpu),
            HostData::this_cpu(),
            bindings::hyp_gicv3_nr_lr,
        )
    };
    pkvm::flush(&mut vcpu, &mut host_data, nr_lr);
}

/// Gives to the host what it has to know after `hyp_vcpu` was run, under pKVM.
///
/// # Safety
///
/// As for [`flush_hyp_vcpu`].
#[export]
unsafe extern "C" fn sync_hyp_vcpu(hyp_vcpu: *mut bindings::pkvm_hyp_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call.
    pkvm::sync(&mut unsafe { HypVcpu::from_raw(hyp_vcpu) });
}

/// Gives to the host the registers of `hyp_vcpu`, whose guest pKVM does not protect.
///
/// # Safety
///
/// As for [`flush_hyp_vcpu`].
#[export]
unsafe extern "C" fn sync_hyp_vcpu_state(hyp_vcpu: *mut bindings::pkvm_hyp_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call.
    pkvm::sync_registers(&mut unsafe { HypVcpu::from_raw(hyp_vcpu) });
}
