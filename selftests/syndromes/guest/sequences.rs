// SPDX-License-Identifier: GPL-2.0

//! One instruction, or a few, for each other way to trap.
//!
//! x0 is a function id that belongs to nobody, x1 and x3 point to memory, x2 is 64. x4 is the GIC's
//! distributor, x5 the UART, x6 to x8 are addresses without memory, x9 is memory of EL1 and x10
//! such that EL1 cannot execute.

use core::arch::{asm, global_asm};

use crate::outcomes::Shown;
use crate::probe::{self, Level, Setting, END};
use crate::say;
use crate::start::{ALL_ENABLED, SCTLR};
use crate::timer::Pending;

/// A function id that belongs to nobody, for hypercalls.
const NO_FUNCTION: u64 = 0x4b00_0000;

/// Makes a table of code, and of names for it.
macro_rules! sequences {
    ($($name:literal: $($line:literal),+;)*) => {
        /// Their names, in the order of the table.
        const NAMES: &[&str] = &[$($name),*];

        global_asm!(
            ".pushsection .rodata.sequences, \"a\"",
            ".balign 8",
            ".global sequences",
            "sequences:",
            ".popsection",
            ".pushsection .text.sequences, \"ax\"",
            ".arch  armv9.4-a+ls64+mops+sve+sme+memtag+pauth",
            $(
                ".pushsection .rodata.sequences, \"a\"",
                ".quad  2f",
                ".popsection",
                "2:",
                $($line,)+
                "svc    #{END}",
            )*
            ".popsection",
            END = const END,
        );
    };
}

sequences! {
    "nothing": "nop";
    "HVC #0": "hvc #0";
    "HVC #1": "hvc #1";
    "HVC #0xffff": "hvc #0xffff";
    "SMC #0": "smc #0";
    "SMC #1": "smc #1";
    "SMC #0xffff": "smc #0xffff";
    "SVC #0": "svc #0";
    "SVC #0xffff": "svc #0xffff";
    "BRK #0": "brk #0";
    "BRK #0xffff": "brk #0xffff";
    "HLT #0": "hlt #0";
    "DCPS1": "dcps1";
    "DCPS2": "dcps2";
    "DCPS3": "dcps3";
    "UDF": "udf #0";
    "a reserved encoding": ".inst 0xffffffff";
    "another one": ".inst 0x03ffffff";

    // An interrupt is pending, so that it does not wait.
    "WFI": "wfi", "mov x0, #0";
    "WFE": "sevl", "wfe", "mov x0, #0";
    "WFE without an event": "sevl", "wfe", "wfe", "mov x0, #0";
    // x11 is 0, a time in the past.
    "WFET": ".inst 0xd503100b", "mov x0, #0";
    "WFIT": ".inst 0xd503102b", "mov x0, #0";

    "FP": "movi v0.16b, #1";
    "FP store": "str q0, [x1]";
    "SVE": "ptrue p0.b";
    "SVE length": "rdvl x0, #1";
    "SME length": "rdsvl x0, #1";
    "SME start": "smstart", "smstop";
    "SME ZA": "zero {{za}}";

    // To where it is.
    "ERET at once": "eret";
    "ERET": "adr x11, 2f", "msr elr_el1, x11", "eret", "2:", "nop";
    "ERETAA": "adr x11, 2f", "msr elr_el1, x11", "eretaa", "2:", "nop";
    "ERET to EL2": "adr x11, 2f", "msr elr_el1, x11", "mov x12, #0x3c9", "msr spsr_el1, x12",
        "eret", "2:", "nop";
    "ERET to EL3": "adr x11, 2f", "msr elr_el1, x11", "mov x12, #0x3cd", "msr spsr_el1, x12",
        "eret", "2:", "nop";
    "ERET to AArch32 Hyp": "adr x11, 2f", "msr elr_el1, x11", "mov x12, #0x1da",
        "msr spsr_el1, x12", "eret", "2:", "nop";
    "ERET to a reserved mode": "adr x11, 2f", "msr elr_el1, x11", "mov x12, #0x3c2",
        "msr spsr_el1, x12", "eret", "2:", "nop";
    "ERET with IL": "adr x11, 2f", "msr elr_el1, x11", "mov x12, #0x3c5",
        "orr x12, x12, #0x100000", "msr spsr_el1, x12", "eret", "2:", "nop";

    // What they give depends on keys and on the algorithm.
    "PACIASP": "paciasp", "mov x0, #0";
    "PACIA": "pacia x0, x1", "mov x0, #0";
    "PACGA": "pacga x0, x1, x2", "mov x0, #0";
    "XPACI": "xpaci x0", "mov x0, #0";
    "PACIA, enabled": "mrs x11, sctlr_el1", "orr x11, x11, #1 << 31", "msr sctlr_el1, x11", "isb",
        "pacia x0, x1", "mov x0, #0";
    "AUTIA, enabled": "mrs x11, sctlr_el1", "orr x11, x11, #1 << 31", "msr sctlr_el1, x11", "isb",
        "autia x0, x1", "mov x0, #0";

    "LD64B": "ld64b x8, [x1]";
    "ST64B": "st64b x8, [x1]";
    "ST64BV": "st64bv x11, x12, [x1]";
    "ST64BV0": "st64bv0 x11, x12, [x1]";
    "TSTART": ".inst 0xd5233060", "mov x0, #0";
    "TTEST": ".inst 0xd5233160", "mov x0, #0";
    "TCOMMIT": ".inst 0xd503307f";
    "TCANCEL": ".inst 0xd4600000";
    // 128-bit accesses: TTBR0_EL1 and TLBIP.
    "MRRS": ".inst 0xd578200c";
    "MSRR": ".inst 0xd558200c";
    "SYSP": ".inst 0xd548872c";

    "SETP": "setp [x1]!, x2!, x11", "setm [x1]!, x2!, x11", "sete [x1]!, x2!, x11";
    "CPYP": "cpyp [x1]!, [x3]!, x2!", "cpym [x1]!, [x3]!, x2!", "cpye [x1]!, [x3]!, x2!";
    // Without their prologue, for 16 bytes as either of the two algorithms has them, of which the
    // flag C says which it is. On a CPU that has the other one it is an exception, which KVM may
    // deal with itself: then the guest goes on where the prologue must be.
    "SETM": "mov x11, #-16", "add x13, x1, #64", "add x14, x3, #64", "cmn x2, x2",
        "b 3f", "setp [x13]!, x11!, x12",
        "3:", "setm [x13]!, x11!, x12", "sete [x13]!, x11!, x12";
    "SETM with C": "mov x11, #16", "mov x13, x1", "mov x14, x3", "cmp x2, x2",
        "b 3f", "setp [x13]!, x11!, x12",
        "3:", "setm [x13]!, x11!, x12", "sete [x13]!, x11!, x12";
    "SETE": "mov x11, #-16", "add x13, x1, #64", "add x14, x3, #64", "cmn x2, x2",
        "b 3f", "setp [x13]!, x11!, x12",
        "setm [x13]!, x11!, x12", "3:", "sete [x13]!, x11!, x12";
    "SETE with C": "mov x11, #16", "mov x13, x1", "mov x14, x3", "cmp x2, x2",
        "b 3f", "setp [x13]!, x11!, x12",
        "setm [x13]!, x11!, x12", "3:", "sete [x13]!, x11!, x12";
    "CPYM": "mov x11, #-16", "add x13, x1, #64", "add x14, x3, #64", "cmn x2, x2",
        "b 3f", "cpyp [x13]!, [x14]!, x11!",
        "3:", "cpym [x13]!, [x14]!, x11!", "cpye [x13]!, [x14]!, x11!";
    "CPYM with C": "mov x11, #16", "mov x13, x1", "mov x14, x3", "cmp x2, x2",
        "b 3f", "cpyp [x13]!, [x14]!, x11!",
        "3:", "cpym [x13]!, [x14]!, x11!", "cpye [x13]!, [x14]!, x11!";
    "CPYE": "mov x11, #-16", "add x13, x1, #64", "add x14, x3, #64", "cmn x2, x2",
        "b 3f", "cpyp [x13]!, [x14]!, x11!",
        "cpym [x13]!, [x14]!, x11!", "3:", "cpye [x13]!, [x14]!, x11!";
    "CPYE with C": "mov x11, #16", "mov x13, x1", "mov x14, x3", "cmp x2, x2",
        "b 3f", "cpyp [x13]!, [x14]!, x11!",
        "cpym [x13]!, [x14]!, x11!", "3:", "cpye [x13]!, [x14]!, x11!";
    "CPYFM": "mov x11, #-16", "add x13, x1, #64", "add x14, x3, #64", "cmn x2, x2",
        "b 3f", "cpyfp [x13]!, [x14]!, x11!",
        "3:", "cpyfm [x13]!, [x14]!, x11!", "cpyfe [x13]!, [x14]!, x11!";
    "CPYFM with C": "mov x11, #16", "mov x13, x1", "mov x14, x3", "cmp x2, x2",
        "b 3f", "cpyfp [x13]!, [x14]!, x11!",
        "3:", "cpyfm [x13]!, [x14]!, x11!", "cpyfe [x13]!, [x14]!, x11!";
    "CPYFE": "mov x11, #-16", "add x13, x1, #64", "add x14, x3, #64", "cmn x2, x2",
        "b 3f", "cpyfp [x13]!, [x14]!, x11!",
        "cpyfm [x13]!, [x14]!, x11!", "3:", "cpyfe [x13]!, [x14]!, x11!";
    "CPYFE with C": "mov x11, #16", "mov x13, x1", "mov x14, x3", "cmp x2, x2",
        "b 3f", "cpyfp [x13]!, [x14]!, x11!",
        "cpyfm [x13]!, [x14]!, x11!", "3:", "cpyfe [x13]!, [x14]!, x11!";

    "IRG": "irg x11, x1";
    "STG": "stg x1, [x1]";
    "LDG": "ldg x11, [x1]";
    "STGM": "stgm x11, [x1]";
    "PSB CSYNC": "hint #17";
    "TSB CSYNC": "hint #18";

    // The distributor's GICD_IIDR and the UART's scratch register.
    "load from the GIC": "ldr w0, [x4, #8]";
    "load of 16 bits from the GIC": "ldrh w0, [x4, #8]";
    "load of 64 bits from the GIC": "ldr x0, [x4, #8]";
    "load from the GIC, not aligned": "ldur w0, [x4, #1]";
    "store to the GIC": "str wzr, [x4, #8]";
    "store to the UART": "strb w2, [x5, #7]";
    "load from the UART": "ldrb w0, [x5, #7]";

    "DC CIVAC, no memory": "dc civac, x6";
    "fetch, no memory": "br x6";
    "load, not mapped": "ldr w0, [x8]";
    "store, not mapped": "str w0, [x8]";
    "fetch, not mapped": "br x8";
    // Where nothing has been stored.
    "load of what EL1 has": "ldr w0, [x9, #0xff0]";
    "fetch of what EL1 has": "add x11, x9, #0xff0", "br x11";
    "fetch of what EL0 has": "add x11, x10, #0xff0", "br x11";
    "PC, not aligned": "adr x11, 2f + 2", "br x11", "2:", "nop";
    "SP, not aligned": "sub sp, sp, #8", "ldr x11, [sp]";
}

extern "C" {
    static sequences: [u64; NAMES.len()];
}

/// Those that have no end at EL1.
const NOT_AT_EL1: [&str; 1] = ["ERET at once"];

/// Where each of them is.
fn table() -> &'static [u64] {
    // SAFETY: It is what the macro made, with an entry for each name, and nobody writes to it.
    unsafe { &sequences }
}

/// Runs all of them.
pub fn walk(level: Level) {
    for (fp, cpacr) in [("", 0), (", FP enabled", ALL_ENABLED)] {
        for (name, entry) in NAMES.iter().zip(table()) {
            if level == Level::El1 && NOT_AT_EL1.contains(name) {
                continue;
            }
            let _pending = (*name == "WFI").then(Pending::new);
            let setting = Setting {
                level,
                cpacr,
                x0: NO_FUNCTION,
            };
            // SAFETY: The list is above. They store at x1 and x3, a few hundred bytes at most:
            // those without a prologue have pointers and sizes that fit the flag C. They set EnIA
            // in SCTLR_EL1, which only changes what instructions do that compiled code here has
            // none of, and is put back.
            let outcome = unsafe { probe::run(*entry, setting) };
            // SAFETY: It is the value that the guest runs with.
            unsafe { asm!("msr sctlr_el1, {}", "isb", in(reg) SCTLR) };
            let shown = Shown::of(outcome, Shown::Value);
            say!("{} {name}{fp}: {shown}", level.name());
        }
    }
}
