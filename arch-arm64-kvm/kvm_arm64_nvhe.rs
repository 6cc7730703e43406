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
    arm64::world::Nvhe,
    bindings,
    ffi::c_int,
    prelude::*, //
};

mod hyp;
mod nvhe;
mod vector_length;

use nvhe::{
    pkvm,
    switch,
    view::panic,
    GuestContext,
    HostData,
    HypVcpu,
    VcpuState, //
};

/// Defines variables that C uses by these names, and that start as zeroes.
macro_rules! variables {
    ($($(#[$attribute:meta])* $name:ident: $type:ty;)*) => {
        $(
            $(#[$attribute])*
            #[no_mangle]
            #[allow(non_upper_case_globals)]
            // SAFETY: A structure of C's, of which zeroes are a value.
            static mut $name: $type = unsafe { core::mem::zeroed() };
        )*
    };
}

variables! {
    /// What EL2 keeps for each physical CPU.
    #[link_section = ".data..percpu"]
    kvm_host_data: bindings::kvm_host_data;
    /// Where EL2's own registers are while a guest has the CPU.
    #[link_section = ".data..percpu"]
    kvm_hyp_ctxt: bindings::kvm_cpu_context;
    /// Where exceptions of a guest go.
    #[link_section = ".data..percpu"]
    kvm_hyp_vector: usize;
    hfgrtr_masks: bindings::fgt_masks;
    hfgwtr_masks: bindings::fgt_masks;
    hfgitr_masks: bindings::fgt_masks;
    hdfgrtr_masks: bindings::fgt_masks;
    hdfgwtr_masks: bindings::fgt_masks;
    hafgrtr_masks: bindings::fgt_masks;
    hfgrtr2_masks: bindings::fgt_masks;
    hfgwtr2_masks: bindings::fgt_masks;
    hfgitr2_masks: bindings::fgt_masks;
    hdfgrtr2_masks: bindings::fgt_masks;
    hdfgwtr2_masks: bindings::fgt_masks;
    ich_hfgrtr_masks: bindings::fgt_masks;
    ich_hfgwtr_masks: bindings::fgt_masks;
    ich_hfgitr_masks: bindings::fgt_masks;
}

/// Runs `vcpu`, one of a host that EL2 trusts, until something happens that the host has to see to.
/// Returns the exit code.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that is loaded on this CPU, at an address that is good for EL2.
#[export]
unsafe extern "C" fn kvm_run_host_vcpu(vcpu: *mut bindings::kvm_vcpu) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call; EL2 does not leave its CPU.
    let (mut guest, mut host, mut host_data) = unsafe {
        let vcpu = NonNull::new_unchecked(vcpu);
        let host_data = HostData::this_cpu();
        (
            GuestContext::of(vcpu),
            host_data.host_context(vcpu),
            host_data,
        )
    };
    switch::run_host_vcpu(&mut guest, &mut host, &mut host_data).0 as c_int
}

/// Runs `hyp_vcpu`, which EL2 keeps itself under pKVM, until something happens that the host has to
/// see to. Returns the exit code.
///
/// # Safety
///
/// `hyp_vcpu` must be a vCPU of EL2's that is loaded on this CPU.
#[export]
unsafe extern "C" fn kvm_run_hyp_vcpu(hyp_vcpu: *mut bindings::pkvm_hyp_vcpu) -> c_int {
    // SAFETY: By the safety requirement, for the time of this call; EL2 does not leave its CPU.
    // Nobody writes the number of list registers once pKVM is set up.
    let (mut vcpu, mut host_data, nr_lr) = unsafe {
        (
            HypVcpu::from_raw(hyp_vcpu),
            HostData::this_cpu(),
            bindings::hyp_gicv3_nr_lr,
        )
    };
    switch::run_hyp_vcpu(&mut vcpu, &mut host_data, nr_lr).0 as c_int
}

/// Gives to the host the registers of `hyp_vcpu`, whose guest pKVM does not protect.
///
/// # Safety
///
/// As for [`kvm_run_hyp_vcpu`].
#[export]
unsafe extern "C" fn sync_hyp_vcpu_state(hyp_vcpu: *mut bindings::pkvm_hyp_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call.
    pkvm::sync_registers(&mut unsafe { HypVcpu::from_raw(hyp_vcpu) });
}

/// Takes the storage for SVE state from `host_vcpu` for `hyp_vcpu`, which is being made of it under
/// pKVM. Returns 0 or an error, after which no vCPU is made.
///
/// # Safety
///
/// `hyp_vcpu` must be a vCPU of EL2's that nobody else uses. `host_vcpu` must be what it is made
/// of, at an address that is good for EL2, aligned or not, and be pinned.
#[export]
unsafe extern "C" fn pkvm_vcpu_init_sve(
    hyp_vcpu: *mut bindings::pkvm_hyp_vcpu,
    host_vcpu: *mut bindings::kvm_vcpu,
) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call; EL2's is not at NULL.
    let (mut hyp, host) = unsafe {
        (
            VcpuState::new(NonNull::new_unchecked(&raw mut (*hyp_vcpu).vcpu)),
            VcpuState::of_host(host_vcpu),
        )
    };
    match pkvm::sve::init(&mut hyp, host.as_ref()) {
        Ok(()) => 0,
        Err(error) => error,
    }
}

/// Gives the storage for SVE state of `hyp_vcpu` back to the host.
///
/// # Safety
///
/// `hyp_vcpu` must be a vCPU of EL2's that nobody uses any more.
#[export]
unsafe extern "C" fn unpin_host_sve_state(hyp_vcpu: *mut bindings::pkvm_hyp_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call.
    pkvm::sve::destroy(&mut unsafe {
        VcpuState::new(NonNull::new_unchecked(&raw mut (*hyp_vcpu).vcpu))
    });
}

/// Handles an exception that EL2 has taken from itself.
///
/// # Safety
///
/// Only for the vectors.
#[export]
unsafe extern "C" fn kvm_unexpected_el2_exception() {
    hyp::unexpected_exception::handle::<Nvhe>();
}

/// Gives EL1 back to the host, and has it panic.
///
/// # Safety
///
/// Exceptions must be masked, and the registers must be those of the hypervisor.
#[export]
unsafe extern "C" fn hyp_panic() -> ! {
    // SAFETY: EL2 does not leave its CPU, and does nothing else after this. A vCPU that is noted as
    // running is live, and its features were worked out before that.
    unsafe {
        let why = panic::Reason::read();
        let mut host_data = HostData::this_cpu();
        if let Some(vcpu) = host_data.running_vcpu() {
            let (mut guest, host) = (GuestContext::of(vcpu), host_data.host_context(vcpu));
            switch::switch_to_host_for_panic(&mut guest, &host, &mut host_data);
        }
        panic::in_host(&host_data, why)
    }
}

/// As [`hyp_panic`], for when the stack is full.
///
/// # Safety
///
/// As for [`hyp_panic`].
#[export]
unsafe extern "C" fn hyp_panic_bad_stack() -> ! {
    // SAFETY: By the safety requirement.
    unsafe { hyp_panic() }
}
