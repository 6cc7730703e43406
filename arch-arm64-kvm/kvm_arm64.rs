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
//! | logic | [`fpsimd`], [`sve`], [`user_sysreg_sr`], [`hyp`], [`vhe`] | none |
//!
//! See Documentation/virt/kvm/arm/rust/ for how a world switch travels through this code.

use core::ptr::NonNull;
use kernel::{
    arm64::{
        barrier::pmr_sync,
        daif,
        world::{
            Kernel,
            Vhe, //
        }, //
    },
    bindings,
    error::from_result,
    ffi::{
        c_int,
        c_ulong, //
    },
    interrupt::LocalInterruptDisabled,
    preempt::PreemptionDisabled, //
    prelude::*,
    uaccess::UserPtr,
};

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod controls;
#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod faults;
mod fpsimd;
#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod hostile_host;
mod hyp;
#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
mod selector;
mod sve;
mod user_sysreg_sr;
mod vector_length;
mod vhe;
mod view;

use vhe::{
    switch,
    GuestContext,
    HostContext,
    HostData, //
};
use view::Vcpu;

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
module! {
    type: controls::Controls,
    name: "kvm_arm64_rust",
    authors: ["KVM/arm64 Rust authors"],
    description: "Controls of KVM/arm64 in Rust for tests",
    license: "GPL",
}

/// What messages begin with; [`module!`] has it as well.
#[cfg(not(CONFIG_KVM_ARM64_RUST_FAULTS))]
const __LOG_PREFIX: &[u8] = b"KVM\0";

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
    let (vcpu, irqs) = unsafe {
        (
            Vcpu::from_raw(vcpu),
            LocalInterruptDisabled::assume_disabled(),
        )
    };
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    hostile_host::ctxflush(&vcpu, irqs);
    unless_faulty!(ctxflush(irqs));
    fpsimd::ctxflush(&vcpu, irqs);
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

/// Defines per-CPU variables that C uses by these names, and that start as zeroes.
macro_rules! per_cpu {
    ($($(#[$attribute:meta])* $name:ident: $type:ty;)*) => {
        $(
            $(#[$attribute])*
            #[no_mangle]
            #[link_section = ".data..percpu"]
            #[allow(non_upper_case_globals)]
            // SAFETY: A structure of C's, of which zeroes are a value.
            static mut $name: $type = unsafe { core::mem::zeroed() };
        )*
    };
}

per_cpu! {
    /// What KVM keeps for each physical CPU.
    kvm_host_data: bindings::kvm_host_data;
    /// Where the kernel's own registers are while a guest has the CPU.
    kvm_hyp_ctxt: bindings::kvm_cpu_context;
    /// Where exceptions of a guest go.
    kvm_hyp_vector: usize;
}

/// Returns the contexts of `vcpu` and of the host, and what KVM keeps for this CPU.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, whose features have been worked out; the
/// code must stay on this CPU for as long as the results are used.
#[inline(always)]
unsafe fn contexts<'a>(
    vcpu: NonNull<bindings::kvm_vcpu>,
) -> (GuestContext<'a>, HostContext<'a>, HostData<'a>) {
    // SAFETY: By the safety requirements.
    unsafe {
        let host_data = HostData::this_cpu();
        let host = HostContext::for_vcpu(host_data.context(), vcpu);
        (GuestContext::of(vcpu), host, host_data)
    }
}

/// Gets this CPU ready for `vcpu`.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that no other thread runs, and preemption must be disabled.
#[export]
unsafe extern "C" fn kvm_vcpu_load_vhe(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (mut guest, mut host, mut host_data) = unsafe {
        let vcpu = NonNull::new_unchecked(vcpu);
        // The guest's first: it works out the features.
        let guest = GuestContext::of_loading(vcpu);
        let mut host_data = HostData::this_cpu();
        host_data.set_loaded_vcpu(Some(vcpu));
        let host = HostContext::for_vcpu(host_data.context(), vcpu);
        (guest, host, host_data)
    };
    switch::load(&mut guest, &mut host, &mut host_data);
}

/// Gives this CPU back to the kernel.
///
/// # Safety
///
/// As for [`kvm_vcpu_load_vhe`]; the vCPU must be loaded on this CPU.
#[export]
unsafe extern "C" fn kvm_vcpu_put_vhe(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    let (mut guest, mut host, mut host_data) = unsafe { contexts(NonNull::new_unchecked(vcpu)) };
    switch::put(&mut guest, &mut host, &host_data);
    host_data.set_loaded_vcpu(None);
}

/// Runs `vcpu` until something happens that the kernel has to see to. Returns the exit code.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that is loaded on this CPU, and interrupts must be disabled.
#[export]
unsafe extern "C" fn __kvm_vcpu_run(vcpu: *mut bindings::kvm_vcpu) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call.
    let (mut guest, mut host, mut host_data) = unsafe { contexts(NonNull::new_unchecked(vcpu)) };
    let exit_code = daif::with_all_masked(|| {
        // With interrupts masked by priority, none would be signalled that could end the guest's
        // run; masking by PSTATE has unmasked that. The redistributor has to know.
        pmr_sync();
        switch::run(&mut guest, &mut host, &mut host_data)
    });
    exit_code.0 as c_int
}

/// Handles an exception that the hypervisor has taken from itself.
///
/// # Safety
///
/// Only for the vectors.
#[export]
unsafe extern "C" fn kvm_unexpected_el2_exception() {
    hyp::unexpected_exception::handle::<Vhe>();
}

/// Has the kernel panic while a guest has the CPU.
///
/// # Safety
///
/// Exceptions must be masked, and the registers must be those of the hypervisor.
#[export]
unsafe extern "C" fn hyp_panic() -> ! {
    // SAFETY: By the safety requirement, nothing else is done on this CPU after this. A vCPU that
    // is noted as loaded is live, and its features were worked out before that.
    unsafe {
        let why = vhe::panic::Reason::read();
        let host_data = HostData::this_cpu();
        let vcpu = host_data.loaded_vcpu();
        if let Some(vcpu) = vcpu {
            let (mut guest, host, mut host_data) = contexts(vcpu);
            switch::switch_to_host_for_panic(&mut guest, &host, &mut host_data);
        }
        vhe::panic::now(why, vcpu)
    }
}

/// Puts into the CPU the registers of `vcpu` that only EL0 uses, where the kernel runs at EL1.
///
/// # Safety
///
/// As for [`kvm_vcpu_load_vhe`].
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
/// As for [`kvm_vcpu_put_vhe`].
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

/// Finds out how long SVE's vectors can be. Returns 0.
///
/// # Safety
///
/// Only for when KVM starts.
#[export]
#[link_section = ".init.text"]
unsafe extern "C" fn kvm_arm_init_sve() -> c_int {
    sve::init();
    0
}

/// Resets what `vcpu` has of SVE.
///
/// # Safety
///
/// `vcpu` must be a live vCPU that is not loaded, in the hands of the thread that holds its mutex.
#[export]
unsafe extern "C" fn kvm_vcpu_reset_sve(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirements, for the time of this call.
    sve::reset(&mut unsafe { Vcpu::from_raw(vcpu) });
}

/// Makes the feature `feature` of `vcpu` final. Returns 0 or an error. May sleep.
///
/// # Safety
///
/// As for [`kvm_vcpu_reset_sve`].
#[export]
unsafe extern "C" fn kvm_arm_vcpu_finalize(vcpu: *mut bindings::kvm_vcpu, feature: c_int) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call.
    let vcpu = &mut unsafe { Vcpu::from_raw(vcpu) };
    from_result(|| sve::finalize(vcpu, feature).map(|()| 0))
}

/// Returns whether all features of `vcpu` are final that have to be.
///
/// # Safety
///
/// As for [`kvm_vcpu_reset_sve`].
#[export]
unsafe extern "C" fn kvm_arm_vcpu_is_finalized(vcpu: *mut bindings::kvm_vcpu) -> bool {
    // SAFETY: By the safety requirements, for the time of this call.
    sve::is_finalized(&mut unsafe { Vcpu::from_raw(vcpu) })
}

/// Frees what `vcpu` has of SVE.
///
/// # Safety
///
/// `vcpu` must be a vCPU that nobody uses any more.
#[export]
unsafe extern "C" fn kvm_vcpu_destroy_sve(vcpu: *mut bindings::kvm_vcpu) {
    // SAFETY: By the safety requirement, for the time of this call.
    sve::destroy(&mut unsafe { Vcpu::from_raw(vcpu) });
}

/// Copies a register of SVE to userspace. Returns 0 or an error. May sleep.
///
/// # Safety
///
/// As for [`kvm_vcpu_reset_sve`]; `reg` must be valid for reading.
#[export]
unsafe extern "C" fn get_sve_reg(
    vcpu: *mut bindings::kvm_vcpu,
    reg: *const bindings::kvm_one_reg,
) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call.
    let (vcpu, reg) = unsafe { (&mut Vcpu::from_raw(vcpu), reg.read()) };
    let user = UserPtr::from_addr(reg.addr as usize);
    from_result(|| sve::one_reg::get(vcpu, reg.id, user).map(|()| 0))
}

/// Copies a register of SVE from userspace. Returns 0 or an error. May sleep.
///
/// # Safety
///
/// As for [`get_sve_reg`].
#[export]
unsafe extern "C" fn set_sve_reg(
    vcpu: *mut bindings::kvm_vcpu,
    reg: *const bindings::kvm_one_reg,
) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call.
    let (vcpu, reg) = unsafe { (&mut Vcpu::from_raw(vcpu), reg.read()) };
    let user = UserPtr::from_addr(reg.addr as usize);
    from_result(|| sve::one_reg::set(vcpu, reg.id, user).map(|()| 0))
}

/// Returns how many registers of SVE `vcpu` has.
///
/// # Safety
///
/// As for [`kvm_vcpu_reset_sve`].
#[export]
unsafe extern "C" fn num_sve_regs(vcpu: *mut bindings::kvm_vcpu) -> c_ulong {
    // SAFETY: By the safety requirements, for the time of this call.
    sve::one_reg::count(&mut unsafe { Vcpu::from_raw(vcpu) }) as c_ulong
}

/// Copies the ids of the registers of SVE to userspace. Returns how many, or an error. May sleep.
///
/// # Safety
///
/// As for [`kvm_vcpu_reset_sve`].
#[export]
unsafe extern "C" fn copy_sve_reg_indices(
    vcpu: *mut bindings::kvm_vcpu,
    uindices: *mut u64,
) -> c_int {
    // SAFETY: By the safety requirements, for the time of this call.
    let vcpu = &mut unsafe { Vcpu::from_raw(vcpu) };
    let user = UserPtr::from_ptr(uindices.cast());
    from_result(|| sve::one_reg::list(vcpu, user).map(|count| count as c_int))
}

/// Keeps kprobes away from functions that run between a guest and the host's own state: exceptions
/// go to the hypervisor's vectors there. `kprobes/vhe` in `make test` finds those that are missing.
macro_rules! nokprobe {
    ($($function:path;)*) => {
        $(#[cfg(CONFIG_KPROBES)]
        const _: () = {
            #[link_section = "_kprobe_blacklist"]
            #[used]
            static ADDRESS: Address = Address($function as *const ());
        };)*
    };
}

/// The address of a function, for a table.
#[cfg(CONFIG_KPROBES)]
#[repr(transparent)]
struct Address(*const ());

#[cfg(CONFIG_KPROBES)]
// SAFETY: Nobody writes to it, or to what it points to.
unsafe impl Sync for Address {}

nokprobe! {
    __kvm_vcpu_run;
    hyp::exits::memory::access_v2_cpuif::<Vhe>;
    hyp::exits::memory::handle_fault::<Vhe>;
    hyp::exits::mops::handle::<Vhe>;
    hyp::exits::skip::skip_instruction::<Vhe>;
    hyp::exits::sysreg::handle::<Vhe>;
    hyp::fp::handle_trap::<Vhe>;
    hyp::pstate::from_above_el1;
    hyp::view::fp::moves::load_fpsimd;
    hyp::view::fp::moves::load_sve;
    hyp_panic;
    vhe::exits::fixup_nv_guest_exit;
    vhe::exits::handle_nv_sysreg;
    vhe::exits::timer::hyp_physical_compare_value;
    vhe::traps::compute_hcr;
    vhe::view::panic::now;
}
