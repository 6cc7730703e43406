// SPDX-License-Identifier: GPL-2.0

//! All encodings of MRS, MSR, SYS and SYSL.

use core::arch::{asm, global_asm};
use core::ops::Range;
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

/// Instructions for so many encodings are in memory at the same time.
const AT_ONCE: u32 = 256;
/// Bytes from those of one encoding to those of the next: a read, a write, and a Supervisor Call
/// behind each.
const STRIDE: u64 = 16;

/// Walks through all encodings at `level`.
pub fn walk(level: Level) {
    let (mut sys, mut sysl) = (Run::new(level, "SYS"), Run::new(level, "SYSL"));
    // They take an address, or something that says what to do with a cache or TLB.
    let address = probe::scratch() + level.view();
    for_each(PER_OP0..2 * PER_OP0, |code| {
        let done = |_| Shown::Done;
        let written = code.write(level, address);
        sys.add(code.encoding, Shown::of(written, done));
        let read = code.read(level, address);
        sysl.add(code.encoding, Shown::of(read, done));
    });
    sys.end();
    sysl.end();

    let (mut mrs, mut msr) = (Run::new(level, "MRS"), Run::new(level, "MSR"));
    for_each(2 * PER_OP0..4 * PER_OP0, |code| {
        let encoding = code.encoding;
        let read = code.read(level, 0);
        let varies = VARYING.iter().any(|r| r.0 <= encoding && encoding <= r.1);
        mrs.add(
            encoding,
            Shown::of(read, |value| match varies {
                true => Shown::SomeValue,
                false => Shown::Value(value),
            }),
        );
        if NOT_WRITTEN.contains(&encoding) {
            return;
        }
        let value = match read {
            Outcome::Done(value) => value,
            Outcome::Exception(_) | Outcome::Vector(..) => 0,
        };
        let written = code.write(level, value);
        msr.add(encoding, Shown::of(written, |_| Shown::Done));
    });
    mrs.end();
    msr.end();
}

/// The instructions of an encoding, in memory.
struct Code {
    encoding: u32,
    place: u64,
}

/// Calls `visit` for each of `encodings`, of which there is a multiple of [`AT_ONCE`].
fn for_each(encodings: Range<u32>, mut visit: impl FnMut(Code)) {
    for first in encodings.step_by(AT_ONCE as usize) {
        let codes = || {
            (first..first + AT_ONCE).map(|encoding| Code {
                encoding,
                place: &raw const sysreg_code as u64 + u64::from(encoding - first) * STRIDE,
            })
        };
        for code in codes() {
            // SAFETY: It is one of AT_ONCE places, and no other is in use.
            unsafe { code.place_instructions() };
        }
        // SAFETY: They make new instructions what is executed.
        unsafe { asm!("dsb ish", "ic iallu", "dsb nsh", "isb", options(nostack)) };
        codes().for_each(&mut visit);
    }
}

impl Code {
    /// Puts the instructions where they belong. Until the next `IC` and `ISB` they are not what is
    /// executed.
    ///
    /// # Safety
    ///
    /// The place must be one of the [`AT_ONCE`] at `sysreg_code`.
    unsafe fn place_instructions(&self) {
        let words = self.place as *mut u32;
        // SAFETY: The words are for this, and mapped so that EL1 can write to them. Nothing else
        // runs.
        unsafe {
            ptr::write_volatile(words, READ | (self.encoding << 5));
            ptr::write_volatile(words.add(2), WRITE | (self.encoding << 5));
            asm!("dc cvau, {}", in(reg) words, options(nostack, preserves_flags));
        }
    }

    /// Executes the MRS or SYSL with this in x0.
    fn read(&self, level: Level, x0: u64) -> Outcome {
        execute(self.place, level, x0)
    }

    /// Executes the MSR or SYS with this in x0.
    fn write(&self, level: Level, x0: u64) -> Outcome {
        execute(self.place + STRIDE / 2, level, x0)
    }
}

/// Executes what is at `place`, one of those at `sysreg_code`, with x0.
fn execute(place: u64, level: Level, x0: u64) -> Outcome {
    let setting = Setting {
        level,
        cpacr: ALL_ENABLED,
        x0,
    };
    // SAFETY: It changes x0, or a system register: one that can be read gets the value that it has,
    // and those that cannot be are not needed here. Or it is for caches, TLBs or tags at its
    // address, which is scratch.
    unsafe { probe::run(place, setting) }
}

extern "C" {
    static sysreg_code: u32;
}

global_asm!(
    // In a page for itself, as an emulator looks whether a page has code in it. It has much to do
    // when the first code of a page is executed, which is why there is much to a page.
    ".pushsection .text.sysreg_code, \"ax\"",
    ".balign 4096",
    ".global sysreg_code",
    "sysreg_code:",
    ".rept  2 * {AT_ONCE}",
    "nop",
    "svc    #{END}",
    ".endr",
    ".balign 4096",
    ".popsection",
    AT_ONCE = const AT_ONCE,
    END = const END,
);
