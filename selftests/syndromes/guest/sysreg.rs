// SPDX-License-Identifier: GPL-2.0

//! All encodings of MRS, MSR, SYS and SYSL.

use core::arch::{asm, global_asm};
use core::ptr;

use crate::outcomes::{Run, Shown};
use crate::probe::{self, Level, Outcome, Setting, END};
use crate::start::ALL_ENABLED;

/// op0, op1, CRn, CRm and op2 as they are side by side in an instruction.
const fn encoding(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2
}

/// Encodings of each op0.
const PER_OP0: u32 = 1 << 14;
/// MSR and SYS of encoding 0 with x0.
const WRITE: u32 = 0xd500_0000;
/// MRS and SYSL.
const READ: u32 = WRITE | (1 << 21);

/// Registers whose values are not the same each time: from the first to the last of each range.
const VARYING: [(u32, u32); 11] = [
    // MPIDR_EL1, which is the VMM's choice.
    (encoding(3, 0, 0, 0, 5), encoding(3, 0, 0, 0, 5)),
    // PAR_EL1.
    (encoding(3, 0, 7, 4, 0), encoding(3, 0, 7, 4, 0)),
    // SPSR_EL1 has the flags of whatever took the last exception.
    (encoding(3, 0, 4, 0, 0), encoding(3, 0, 4, 0, 0)),
    // ISR_EL1.
    (encoding(3, 0, 12, 1, 0), encoding(3, 0, 12, 1, 0)),
    // RNDR and RNDRRS.
    (encoding(3, 3, 2, 4, 0), encoding(3, 3, 2, 4, 1)),
    // PMOVSCLR_EL0.
    (encoding(3, 3, 9, 12, 3), encoding(3, 3, 9, 12, 3)),
    // PMCCNTR_EL0 to PMXEVCNTR_EL0.
    (encoding(3, 3, 9, 13, 0), encoding(3, 3, 9, 13, 2)),
    // Activity monitors.
    (encoding(3, 3, 13, 2, 0), encoding(3, 3, 13, 15, 7)),
    // The counters of the generic timer.
    (encoding(3, 3, 14, 0, 1), encoding(3, 3, 14, 0, 7)),
    // The timers, whose values follow from the counters.
    (encoding(3, 3, 14, 2, 0), encoding(3, 3, 14, 3, 7)),
    // PMEVCNTR<n>_EL0.
    (encoding(3, 3, 14, 8, 0), encoding(3, 3, 14, 11, 7)),
];

/// Registers that are not written to. Others get the value that they have, which changes nothing,
/// or, if it cannot be read, 0.
const NOT_WRITTEN: [u32; 1] = [
    // RMR_EL1: where EL1 is the highest level, it is a request for a reset.
    encoding(3, 0, 12, 0, 2),
];

/// Walks through all encodings at `level`.
pub fn walk(level: Level) {
    let (mut sys, mut sysl) = (Run::new(level, "SYS"), Run::new(level, "SYSL"));
    // They take an address, or something that says what to do with a cache or TLB.
    let address = probe::scratch() + level.view();
    for encoding in PER_OP0..2 * PER_OP0 {
        let done = |_| Shown::Done;
        sys.add(
            encoding,
            Shown::of(execute(WRITE, encoding, level, address), done),
        );
        sysl.add(
            encoding,
            Shown::of(execute(READ, encoding, level, address), done),
        );
    }
    sys.end();
    sysl.end();

    let (mut mrs, mut msr) = (Run::new(level, "MRS"), Run::new(level, "MSR"));
    for encoding in 2 * PER_OP0..4 * PER_OP0 {
        let read = execute(READ, encoding, level, 0);
        let varies = VARYING.iter().any(|r| r.0 <= encoding && encoding <= r.1);
        mrs.add(
            encoding,
            Shown::of(read, |value| match varies {
                true => Shown::SomeValue,
                false => Shown::Value(value),
            }),
        );
        if NOT_WRITTEN.contains(&encoding) {
            continue;
        }
        let value = match read {
            Outcome::Done(value) => value,
            Outcome::Exception(_) | Outcome::Vector(..) => 0,
        };
        let written = execute(WRITE, encoding, level, value);
        msr.add(encoding, Shown::of(written, |_| Shown::Done));
    }
    mrs.end();
    msr.end();
}

/// Executes one of them with x0.
fn execute(what: u32, encoding: u32, level: Level, x0: u64) -> Outcome {
    let place = &raw mut sysreg_code;
    let setting = Setting {
        level,
        cpacr: ALL_ENABLED,
        x0,
    };
    // SAFETY: The word is for this, and mapped so that EL1 can write to it. Nothing else runs, and
    // the barriers and the invalidation make the new instruction what is executed. It changes x0,
    // or a system register: one that can be read gets the value that it has, and those that cannot
    // be are not needed here. Or it is for caches, TLBs or tags at its address, which is scratch.
    unsafe {
        ptr::write_volatile(place, what | (encoding << 5));
        asm!(
            "dc     cvau, {place}",
            "dsb    ish",
            "ic     iallu",
            "dsb    nsh",
            "isb",
            place = in(reg) place,
            options(nostack, preserves_flags)
        );
        probe::run(place as u64, setting)
    }
}

extern "C" {
    static mut sysreg_code: u32;
}

global_asm!(
    // In a page for itself, as an emulator looks whether a page has code in it.
    ".pushsection .text.sysreg_code, \"ax\"",
    ".balign 4096",
    ".global sysreg_code",
    "sysreg_code:",
    "nop",
    "svc    #{END}",
    ".balign 4096",
    ".popsection",
    END = const END,
);
