// SPDX-License-Identifier: GPL-2.0

//! The way into a guest and out of it: where the registers of guest and hypervisor change places.
//!
//! `__guest_enter()` is called, and returns, as any function; what happens in between is that the
//! guest runs. The hypervisor's registers that a function has to keep are in `kvm_hyp_ctxt` of this
//! CPU meanwhile, and a mark there says so: the vCPU, in `__hyp_running_vcpu`. Exceptions of the
//! guest come to the vectors in `hyp-entry.S`, which keep the guest's X0 and X1 on the stack and go
//! on here, at `__guest_exit`.
//!
//! ```text
//!   __guest_enter(vcpu) --- ERET ---> guest --- exception ---> hyp-entry.S ---> __guest_exit
//!        |                                                                          |
//!        +-- ret: an interrupt is pending already                     ret <---------+
//! ```
//!
//! Nothing here is code that a compiler could write: there is no stack frame to rely on, no
//! register to spare, and keys of pointer authentication change under the feet of the return
//! address.

use super::view::context::ContextRegister;
use core::{
    arch::global_asm,
    mem::offset_of, //
};
use kernel::{
    alternative_asm,
    arm64::registers::*,
    bindings::{
        self,
        kvm_cpu_context,
        kvm_host_data,
        kvm_vcpu, //
    }, //
};

/// Returns where register `R` is in a context.
const fn place<R: ContextRegister>() -> usize {
    offset_of!(kvm_cpu_context, sys_regs) + 8 * R::PLACE as usize
}

/// The keys of pointer authentication, one behind the other from here on, each in two registers.
const KEYS: usize = place::<APIAKEYLO_EL1>();

// They are saved and restored in pairs, by this distance.
const _: () = {
    assert!(place::<APIAKEYHI_EL1>() == KEYS + 8);
    assert!(place::<APIBKEYLO_EL1>() == KEYS + 16);
    assert!(place::<APIBKEYHI_EL1>() == KEYS + 24);
    assert!(place::<APDAKEYLO_EL1>() == KEYS + 32);
    assert!(place::<APDAKEYHI_EL1>() == KEYS + 40);
    assert!(place::<APDBKEYLO_EL1>() == KEYS + 48);
    assert!(place::<APDBKEYHI_EL1>() == KEYS + 56);
    assert!(place::<APGAKEYLO_EL1>() == KEYS + 64);
    assert!(place::<APGAKEYHI_EL1>() == KEYS + 72);
};

// The landing pad of a function whose address may be taken.
#[cfg(CONFIG_ARM64_BTI_KERNEL)]
macro_rules! landing_pad {
    () => {
        "hint #34"
    };
}
#[cfg(not(CONFIG_ARM64_BTI_KERNEL))]
macro_rules! landing_pad {
    () => {
        ""
    };
}

// What is done more than once, as macros of the assembler, here and in `nvhe/host_call.rs`.
global_asm!(
    // This CPU's copy of a per-CPU variable, by way of another register.
    ".macro this_cpu to, variable, by
    adrp \\to, \\variable
    add \\to, \\to, :lo12:\\variable
    mrs \\by, tpidr_el2
    add \\to, \\to, \\by
    .endm",
    // X4 to X17: registers that a function may change, but for those that it returns.
    ".macro save_temporary context
    stp x4, x5, [\\context, #{X} + 8 * 4]
    stp x6, x7, [\\context, #{X} + 8 * 6]
    stp x8, x9, [\\context, #{X} + 8 * 8]
    stp x10, x11, [\\context, #{X} + 8 * 10]
    stp x12, x13, [\\context, #{X} + 8 * 12]
    stp x14, x15, [\\context, #{X} + 8 * 14]
    stp x16, x17, [\\context, #{X} + 8 * 16]
    .endm",
    ".macro restore_temporary context
    ldp x4, x5, [\\context, #{X} + 8 * 4]
    ldp x6, x7, [\\context, #{X} + 8 * 6]
    ldp x8, x9, [\\context, #{X} + 8 * 8]
    ldp x10, x11, [\\context, #{X} + 8 * 10]
    ldp x12, x13, [\\context, #{X} + 8 * 12]
    ldp x14, x15, [\\context, #{X} + 8 * 14]
    ldp x16, x17, [\\context, #{X} + 8 * 16]
    .endm",
    // The registers that a function has to keep, X18 among them, which the platform may use.
    ".macro save_callee_saved context
    str x18, [\\context, #{X} + 8 * 18]
    stp x19, x20, [\\context, #{X} + 8 * 19]
    stp x21, x22, [\\context, #{X} + 8 * 21]
    stp x23, x24, [\\context, #{X} + 8 * 23]
    stp x25, x26, [\\context, #{X} + 8 * 25]
    stp x27, x28, [\\context, #{X} + 8 * 27]
    stp x29, x30, [\\context, #{X} + 8 * 29]
    .endm",
    // X29 comes last, so it may be that which leads there.
    ".macro restore_callee_saved context
    ldr x18, [\\context, #{X} + 8 * 18]
    ldp x19, x20, [\\context, #{X} + 8 * 19]
    ldp x21, x22, [\\context, #{X} + 8 * 21]
    ldp x23, x24, [\\context, #{X} + 8 * 23]
    ldp x25, x26, [\\context, #{X} + 8 * 25]
    ldp x27, x28, [\\context, #{X} + 8 * 27]
    ldp x29, x30, [\\context, #{X} + 8 * 29]
    .endm",
    ".macro save_sp_el0 context, by
    mrs \\by, sp_el0
    str \\by, [\\context, #{SP}]
    .endm",
    ".macro restore_sp_el0 context, by
    ldr \\by, [\\context, #{SP}]
    msr sp_el0, \\by
    .endm",
    // RGSR_EL1 and GCR_EL1, by which tags are chosen.
    ".macro save_tag_controls context, by
    mrs \\by, S3_0_C1_C0_5
    str \\by, [\\context, #{RGSR}]
    mrs \\by, S3_0_C1_C0_6
    str \\by, [\\context, #{GCR}]
    .endm",
    ".macro restore_tag_controls context, by
    ldr \\by, [\\context, #{RGSR}]
    msr S3_0_C1_C0_5, \\by
    ldr \\by, [\\context, #{GCR}]
    msr S3_0_C1_C0_6, \\by
    .endm",
    // The keys APIA, APIB, APDA, APDB and APGA, two registers each.
    ".macro save_keys at, low, high
    mrs \\low, S3_0_C2_C1_0
    mrs \\high, S3_0_C2_C1_1
    stp \\low, \\high, [\\at]
    mrs \\low, S3_0_C2_C1_2
    mrs \\high, S3_0_C2_C1_3
    stp \\low, \\high, [\\at, #16]
    mrs \\low, S3_0_C2_C2_0
    mrs \\high, S3_0_C2_C2_1
    stp \\low, \\high, [\\at, #32]
    mrs \\low, S3_0_C2_C2_2
    mrs \\high, S3_0_C2_C2_3
    stp \\low, \\high, [\\at, #48]
    mrs \\low, S3_0_C2_C3_0
    mrs \\high, S3_0_C2_C3_1
    stp \\low, \\high, [\\at, #64]
    .endm",
    ".macro restore_keys at, low, high
    ldp \\low, \\high, [\\at]
    msr S3_0_C2_C1_0, \\low
    msr S3_0_C2_C1_1, \\high
    ldp \\low, \\high, [\\at, #16]
    msr S3_0_C2_C1_2, \\low
    msr S3_0_C2_C1_3, \\high
    ldp \\low, \\high, [\\at, #32]
    msr S3_0_C2_C2_0, \\low
    msr S3_0_C2_C2_1, \\high
    ldp \\low, \\high, [\\at, #48]
    msr S3_0_C2_C2_2, \\low
    msr S3_0_C2_C2_3, \\high
    ldp \\low, \\high, [\\at, #64]
    msr S3_0_C2_C3_0, \\low
    msr S3_0_C2_C3_1, \\high
    .endm",
    // Marks in the hypervisor's context of this CPU which guest's registers are in the CPU.
    ".macro mark_loaded vcpu, context, by
    this_cpu \\context, kvm_hyp_ctxt, \\by
    str \\vcpu, [\\context, #{RUNNING_VCPU}]
    .endm",
    X = const offset_of!(kvm_cpu_context, regs),
    SP = const offset_of!(kvm_cpu_context, regs.sp),
    RGSR = const place::<RGSR_EL1>(),
    GCR = const place::<GCR_EL1>(),
    RUNNING_VCPU = const offset_of!(kvm_cpu_context, __hyp_running_vcpu),
);

global_asm!(
    ".pushsection .text, \"ax\"",
    ".balign 4",
    ".global __guest_enter",
    ".type __guest_enter, @function",
    // u64 __guest_enter(struct kvm_vcpu *vcpu)
    "__guest_enter:",
    landing_pad!(),
    "this_cpu x1, kvm_hyp_ctxt, x2",
    "save_callee_saved x1",
    "save_sp_el0 x1, x2",

    // From here on an SError would be taken for the guest's. One that is pending already is the
    // host's, and with it, or with an interrupt, the guest is not entered. Before the RAS
    // extension any SError was fatal, so that nobody has to wait for it.
    alternative_asm!("nop\nnop", "dsb nshst\nisb", "{RAS_EXTN}"),
    "mrs x1, isr_el1",
    "cbz x1, 1f",
    // Who calls this relies on a context synchronisation event, which the ERET would be.
    "isb",
    "mov x0, #{EXCEPTION_IRQ}",
    "ret",

    "1:",
    "mark_loaded x0, x1, x2",
    "add x29, x0, #{VCPU_CONTEXT}",

    // If the guest has MTE: HCR_EL2.ATA.
    alternative_asm!("b .Lguest_enter_no_mte", "nop", "{MTE}"),
    "mrs x2, hcr_el2",
    "tbz x2, #{HCR_ATA_SHIFT}, .Lguest_enter_no_mte",
    "save_tag_controls x1, x2",
    "restore_tag_controls x29, x2",
    ".Lguest_enter_no_mte:",

    // If the guest may use pointer authentication: HCR_EL2.API or APK. The hypervisor's own keys
    // have been in its context since the vCPU was loaded.
    alternative_asm!("b .Lguest_enter_no_keys", "nop", "{ADDRESS_AUTH}"),
    "mrs x0, hcr_el2",
    "and x0, x0, #{HCR_API_APK}",
    "cbz x0, .Lguest_enter_no_keys",
    "add x0, x29, #{KEYS}",
    "restore_keys x0, x1, x2",
    ".Lguest_enter_no_keys:",

    "restore_sp_el0 x29, x0",
    "ldp x0, x1, [x29, #{X} + 8 * 0]",
    "ldp x2, x3, [x29, #{X} + 8 * 2]",
    "restore_temporary x29",
    "restore_callee_saved x29",

    // No register is the hypervisor's any more.
    "eret",
    // Speculation must not go on here.
    alternative_asm!("dsb nsh\nisb", ".inst 0xd50330ff\nnop", "{SB}"),

    // An exception that has no place in __kvm_ex_table was taken from EL2. X0 to X30 are as they
    // were then, what ELR_EL2 was is in the hypervisor's context, and nothing is on the stack: if a
    // vCPU is loaded, what becomes its X0 and X1 below is not the guest's. Nothing runs it again.
    ".global __guest_exit_restore_elr_and_panic",
    "__guest_exit_restore_elr_and_panic:",
    "this_cpu x0, kvm_hyp_ctxt, x1",
    "ldr x0, [x0, #{ELR_EL2}]",
    "msr elr_el2, x0",

    // An exception that nobody expects was taken from EL2 or from a guest. X2 to X30 are as they
    // were then, and X0 and X1 on the stack.
    ".global __guest_exit_panic",
    "__guest_exit_panic:",
    "this_cpu x1, kvm_hyp_ctxt, x0",
    "ldr x0, [x1, #{RUNNING_VCPU}]",
    "cbnz x0, 1f",
    "b hyp_panic",

    // A guest's registers are in the CPU. Leave it, but return to hyp_panic() instead of who
    // entered it. What is saved as the guest's is right if it had got all of its registers.
    "1:",
    "this_cpu x0, kvm_hyp_ctxt, x1",
    "adrp x1, hyp_panic",
    "add x1, x1, :lo12:hyp_panic",
    "str x1, [x0, #{X} + 8 * 30]",
    "this_cpu x0, kvm_host_data, x1",
    "ldr x1, [x0, #{HOST_CONTEXT} + {RUNNING_VCPU}]",

    // X0: the exit code. X1: the vCPU. X2 to X30 are the guest's, and X0 and X1 are on the stack.
    ".global __guest_exit",
    "__guest_exit:",
    "add x1, x1, #{VCPU_CONTEXT}",
    // MSR PAN, #1: the kernel must not access what userspace may.
    alternative_asm!("nop", ".inst 0xd500419f", "{PAN}"),
    "stp x2, x3, [x1, #{X} + 8 * 2]",
    "ldp x2, x3, [sp], #16",
    "stp x2, x3, [x1, #{X} + 8 * 0]",
    "save_temporary x1",
    "save_callee_saved x1",
    "save_sp_el0 x1, x2",

    "this_cpu x2, kvm_hyp_ctxt, x3",

    // Before anything returns by an address that the hypervisor's keys have signed.
    alternative_asm!("b .Lguest_exit_no_keys", "nop", "{ADDRESS_AUTH}"),
    "mrs x3, hcr_el2",
    "and x3, x3, #{HCR_API_APK}",
    "cbz x3, .Lguest_exit_no_keys",
    "add x3, x1, #{KEYS}",
    "save_keys x3, x4, x5",
    "add x3, x2, #{KEYS}",
    "restore_keys x3, x4, x5",
    "isb",
    ".Lguest_exit_no_keys:",

    alternative_asm!("b .Lguest_exit_no_mte", "nop", "{MTE}"),
    "mrs x3, hcr_el2",
    "tbz x3, #{HCR_ATA_SHIFT}, .Lguest_exit_no_mte",
    "save_tag_controls x1, x3",
    "restore_tag_controls x2, x3",
    "isb",
    ".Lguest_exit_no_mte:",

    "restore_sp_el0 x2, x3",
    "restore_callee_saved x2",
    "mark_loaded xzr, x2, x3",

    // With the RAS extension, the ESB in the vectors has deferred an SError of the guest to
    // DISR_EL1. Without, unmask them for the time of one instruction if one is pending.
    alternative_asm!(
        "dsb sy
        isb
        mrs x2, isr_el1
        tbnz x2, #{ISR_A_SHIFT}, .Lguest_exit_serror
        ret
        nop",
        "mrs x2, S3_0_C12_C1_1
        str x2, [x1, #{FAULT_DISR}]
        cbz x2, .Lguest_exit_done
        msr S3_0_C12_C1_1, xzr
        orr x0, x0, #{WITH_SERROR}
        ret",
        "{RAS_EXTN}"
    ),
    ".Lguest_exit_done:",
    "ret",

    ".Lguest_exit_serror:",
    "mrs x2, elr_el2",
    "mrs x3, esr_el2",
    "mrs x4, spsr_el2",
    "mov x5, x0",
    "msr daifclr, #4",
    // It is taken at the earliest here, and at the latest behind the ISB.
    ".Lguest_exit_serror_first:",
    "isb",
    ".Lguest_exit_serror_last:",
    "msr daifset, #4",
    "ret",

    // It was taken, and goes with the exception by which the guest was left.
    ".Lguest_exit_serror_taken:",
    "msr daifset, #4",
    "mov x0, #{WITH_SERROR}",
    "msr elr_el2, x2",
    "msr esr_el2, x3",
    "msr spsr_el2, x4",
    "orr x0, x0, x5",
    "ret",
    ".size __guest_enter, . - __guest_enter",
    ".popsection",

    ".pushsection __kvm_ex_table, \"a\"",
    ".balign 8",
    ".long .Lguest_exit_serror_first - ., .Lguest_exit_serror_taken - .",
    ".long .Lguest_exit_serror_last - ., .Lguest_exit_serror_taken - .",
    ".popsection",

    X = const offset_of!(kvm_cpu_context, regs),
    KEYS = const KEYS,
    ELR_EL2 = const place::<ELR_EL2>(),
    RUNNING_VCPU = const offset_of!(kvm_cpu_context, __hyp_running_vcpu),
    HOST_CONTEXT = const offset_of!(kvm_host_data, host_ctxt),
    VCPU_CONTEXT = const offset_of!(kvm_vcpu, arch.ctxt),
    FAULT_DISR = const offset_of!(kvm_vcpu, arch.fault.disr_el1)
        - offset_of!(kvm_vcpu, arch.ctxt),
    HCR_ATA_SHIFT = const HCR_EL2::ATA_SHIFT,
    HCR_API_APK = const HCR_EL2::API_MASK | HCR_EL2::APK_MASK,
    ISR_A_SHIFT = const 8,
    EXCEPTION_IRQ = const bindings::ARM_EXCEPTION_IRQ,
    WITH_SERROR = const 1u32 << bindings::ARM_EXIT_WITH_SERROR_BIT,
    RAS_EXTN = const bindings::ARM64_HAS_RAS_EXTN,
    MTE = const bindings::ARM64_MTE,
    ADDRESS_AUTH = const bindings::ARM64_HAS_ADDRESS_AUTH,
    PAN = const bindings::ARM64_HAS_PAN,
    SB = const bindings::ARM64_HAS_SB,
);
