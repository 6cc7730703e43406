// SPDX-License-Identifier: GPL-2.0

//! The host's call to run a vCPU, which it makes more often than any other.
//!
//! `__host_exit` in `host.S` saves and restores all of the host's registers, for calls that look at
//! any of them, and C finds the function for one in a table. A host that EL2 trusts has another way
//! here. The callee keeps X19 to X28 as for any caller, X0 and X1 are what the call returns, and
//! the caller knows that X2 and X3 may change ("Register usage" in the SMC Calling Convention, Arm
//! DEN 0028). So X4 to X18, X29 and X30 are left to be saved.
//!
//! They go where `__host_exit` puts them: should EL2 panic, the host's handler finds its frame and
//! its shadow call stack. pKVM takes no calls here, as it does not run with the host's keys of
//! pointer authentication; nor does a hypervisor with tracing, in which each call of the host is an
//! event.

use core::{
    arch::global_asm,
    mem::offset_of, //
};
use kernel::{
    alternative_asm,
    arm64::world::{
        Nvhe,
        World, //
    },
    bindings::{
        self,
        kvm_cpu_context,
        kvm_host_data,
        kvm_vcpu, //
    },
    ffi::c_int, //
};

/// `KVM_HOST_SMCCC_ID(__kvm_vcpu_run)`: a fast call by SMC64 to the vendor's hypervisor.
const VCPU_RUN: u32 =
    0xc600_0000 | bindings::__kvm_host_smccc_func___KVM_HOST_SMCCC_FUNC___kvm_vcpu_run;

/// Runs `vcpu`, and returns the exit code.
///
/// # Safety
///
/// As for `kvm_run_host_vcpu`, but at the address that the host has for it.
unsafe extern "C" fn handle_vcpu_run(vcpu: *mut kvm_vcpu) -> c_int {
    // SAFETY: By the safety requirement, and this makes it the address that EL2 has.
    unsafe { crate::kvm_run_host_vcpu(Nvhe::kern_hyp_va(vcpu)) }
}

global_asm!(
    ".pushsection .text, \"ax\"",
    ".balign 4",
    ".global __host_vcpu_run",
    ".type __host_vcpu_run, @function",
    // Any call of the host but those for a stub. X0 and X1 are on the stack, and still in the CPU.
    "__host_vcpu_run:",
    "mov w1, #{VCPU_RUN_LOW}",
    "movk w1, #{VCPU_RUN_HIGH}, lsl #16",
    "cmp x0, x1",
    "b.eq 1f",
    "b __host_exit",

    "1:",
    "this_cpu x0, kvm_host_data, x1",
    "add x0, x0, #{HOST_CONTEXT}",
    "save_temporary x0",
    "str x18, [x0, #{X} + 8 * 18]",
    "stp x29, x30, [x0, #{X} + 8 * 29]",
    "mov x29, x0",

    // The vCPU is the host's X1.
    "ldr x0, [sp, #8]",
    "add sp, sp, #16",
    "bl {handle_vcpu_run}",

    "sxtw x1, w0",
    "mov x0, #{SUCCESS}",
    "restore_temporary x29",
    "ldr x18, [x29, #{X} + 8 * 18]",
    "ldp x29, x30, [x29, #{X} + 8 * 29]",
    "eret",
    // Speculation must not go on here.
    alternative_asm!("dsb nsh\nisb", ".inst 0xd50330ff\nnop", "{SB}"),
    ".size __host_vcpu_run, . - __host_vcpu_run",
    ".popsection",

    VCPU_RUN_LOW = const VCPU_RUN & 0xffff,
    VCPU_RUN_HIGH = const VCPU_RUN >> 16,
    HOST_CONTEXT = const offset_of!(kvm_host_data, host_ctxt),
    X = const offset_of!(kvm_cpu_context, regs),
    SUCCESS = const bindings::SMCCC_RET_SUCCESS,
    SB = const bindings::ARM64_HAS_SB,
    handle_vcpu_run = sym handle_vcpu_run,
);
