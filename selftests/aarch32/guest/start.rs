// SPDX-License-Identifier: GPL-2.0

//! Where vCPUs start, and where they take exceptions.
//!
//! The guest runs in System mode, so that the registers that are banked for
//! the other modes are free for patterns. An exception saves what it returns
//! with, and all else, on the stack of System mode, and uses no register of
//! its own mode but those that the CPU itself has changed.

use core::arch::global_asm;

use crate::interface::{exception, STACKS, STACK_SIZE};

global_asm!(
    ".pushsection .text.start, \"ax\"",
    ".arm",
    // R0: number of the vCPU, R1: flags.
    ".global _start",
    "_start:",
    "cps    #0x1f",
    "ldr    r2, ={STACKS} - 8",
    "add    r3, r0, #1",
    "mov    r12, #{STACK_SIZE}",
    "mla    sp, r3, r12, r2",
    "mov    r11, #0",
    "bl     guest_main",
    ".ltorg",

    // What an exception of the kind {kind} does: see exception::Frame.
    ".macro exception_entry name, kind",
    "\\name:",
    "srsdb  sp!, #0x1f",
    "cps    #0x1f",
    "push   {{r0-r3, r12, lr}}",
    "mov    r0, sp",
    "mov    r1, #\\kind",
    "bl     handle_exception",
    "pop    {{r0-r3, r12, lr}}",
    "rfeia  sp!",
    ".endm",
    "exception_entry undefined, {UNDEFINED}",
    "exception_entry supervisor_call, {SUPERVISOR_CALL}",
    "exception_entry prefetch_abort, {PREFETCH_ABORT}",
    "exception_entry data_abort, {DATA_ABORT}",
    "exception_entry irq, {IRQ}",
    "exception_entry fiq, {FIQ}",
    ".popsection",

    // As many copies as VECTORS_CHOICE asks for.
    ".pushsection .vectors, \"ax\"",
    ".arm",
    ".rept 128",
    "b      .",
    "b      undefined",
    "b      supervisor_call",
    "b      prefetch_abort",
    "b      data_abort",
    "b      .",
    "b      irq",
    "b      fiq",
    ".endr",
    ".popsection",
    STACKS = const STACKS,
    STACK_SIZE = const STACK_SIZE,
    UNDEFINED = const exception::UNDEFINED,
    SUPERVISOR_CALL = const exception::SUPERVISOR_CALL,
    PREFETCH_ABORT = const exception::PREFETCH_ABORT,
    DATA_ABORT = const exception::DATA_ABORT,
    IRQ = const exception::IRQ,
    FIQ = const exception::FIQ,
);
