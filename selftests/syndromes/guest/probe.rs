// SPDX-License-Identifier: GPL-2.0

//! Runs a few instructions at EL1 or EL0, and takes the exception that they end with: the
//! Supervisor Call behind them, or one of their own. Whatever it is, it leads back to the caller.

use core::arch::global_asm;

use crate::start::{EL0_VIEW, FP_ALONE, NO_MEMORY, UNMAPPED};

/// Immediate of the Supervisor Call that ends the instructions.
pub const END: u16 = 0x4b56;
/// Exception class of Supervisor Calls.
const EC_SVC: u64 = 0x15;

/// Where instructions run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// At EL1, with SP_EL1.
    El1,
    /// At EL0.
    El0,
}

impl Level {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::El1 => "EL1",
            Self::El0 => "EL0",
        }
    }

    /// PSTATE there, with all exceptions masked.
    fn spsr(self) -> u64 {
        match self {
            Self::El1 => 0x3c5,
            Self::El0 => 0x3c0,
        }
    }

    /// What to add to an address of EL1.
    pub fn view(self) -> u64 {
        match self {
            Self::El1 => 0,
            Self::El0 => EL0_VIEW,
        }
    }

    /// The vector that a synchronous exception from there is taken to.
    fn vector(self) -> u64 {
        match self {
            Self::El1 => 4,
            Self::El0 => 8,
        }
    }
}

/// What came of some instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They ran to their end, with this in x0.
    Done(u64),
    /// They caused a synchronous exception with this ESR_EL1.
    Exception(u64),
    /// They caused an exception that has another vector, with this number.
    Vector(u64, u64),
}

/// As the vectors below write it.
#[repr(C)]
#[derive(Default)]
struct Taken {
    vector: u64,
    x0: u64,
    esr: u64,
}

/// What the instructions find.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Where they run.
    pub level: Level,
    /// CPACR_EL1.
    pub cpacr: u64,
    /// x0.
    pub x0: u64,
}

/// Memory for the instructions, as EL1 has it.
pub fn scratch() -> u64 {
    &raw const probe_scratch as u64
}

/// Runs what is at `entry`, with a Supervisor Call with [`END`] behind it.
///
/// # Safety
///
/// What runs there may change all general-purpose and vector registers, the stack pointers, PSTATE,
/// and the 4096 bytes of memory from [`scratch`] on. Of the system registers that the guest itself
/// needs, it may change CPACR_EL1, ELR_EL1 and SPSR_EL1, and no other.
pub unsafe fn run(entry: u64, setting: Setting) -> Outcome {
    let level = setting.level;
    let mut taken = Taken::default();
    // SAFETY: The caller vouches for the instructions; all exceptions lead to the end of
    // `probe_run`, which restores what a function must preserve, and `taken` outlives it.
    unsafe {
        probe_run(
            entry + level.view(),
            level.spsr(),
            setting.cpacr,
            setting.x0,
            level.view(),
            &mut taken,
        );
    }
    let is_end = taken.esr >> 26 == EC_SVC && taken.esr as u16 == END;
    match (taken.vector == level.vector(), is_end) {
        (true, true) => Outcome::Done(taken.x0),
        (true, false) => Outcome::Exception(taken.esr),
        (false, _) => Outcome::Vector(taken.vector, taken.esr),
    }
}

extern "C" {
    static probe_scratch: u8;

    fn probe_run(entry: u64, spsr: u64, cpacr: u64, x0: u64, view: u64, taken: *mut Taken);
}

global_asm!(
    ".pushsection .text.probe, \"ax\"",
    ".global probe_run",
    "probe_run:",
    "stp    x29, x30, [sp, #-192]!",
    "stp    x18, x19, [sp, #16]",
    "stp    x20, x21, [sp, #32]",
    "stp    x22, x23, [sp, #48]",
    "stp    x24, x25, [sp, #64]",
    "stp    x26, x27, [sp, #80]",
    "stp    x28, x5, [sp, #96]",
    "stp    d8, d9, [sp, #112]",
    "stp    d10, d11, [sp, #128]",
    "stp    d12, d13, [sp, #144]",
    "stp    d14, d15, [sp, #160]",
    "adrp   x9, probe_sp",
    "mov    x10, sp",
    "str    x10, [x9, :lo12:probe_sp]",
    "msr    elr_el1, x0",
    "msr    spsr_el1, x1",
    "msr    cpacr_el1, x2",
    "mov    x0, x3",
    "adrp   x1, probe_scratch",
    "add    x1, x1, :lo12:probe_scratch",
    "add    x1, x1, x4",
    "add    x3, x1, #2048",
    "msr    sp_el0, x3",
    "mov    x2, #64",
    "ldr    x4, ={GICD}",
    "ldr    x5, ={UART}",
    "ldr    x6, ={NO_MEMORY}",
    "ldr    x8, ={UNMAPPED}",
    // Memory that only EL1 has, and that only EL0 can execute.
    "adrp   x9, probe_scratch",
    "ldr    x10, ={EL0_VIEW}",
    "add    x10, x10, x9",
    // In a known state, as some instructions look at them or change them only.
    "mov    x11, #0",
    "mov    x12, #0",
    "mov    x13, #0",
    "mov    x14, #0",
    "mov    x15, #0",
    "mov    x16, #0",
    "mov    x17, #0",
    "eret",

    "3:",
    // All exceptions are masked here, as the entry does that.
    "msr    spsel, #1",
    "adrp   x16, probe_sp",
    "ldr    x16, [x16, :lo12:probe_sp]",
    "mov    sp, x16",
    "ldp    x28, x5, [sp, #96]",
    "mrs    x1, esr_el1",
    "str    x17, [x5]",
    "stp    x0, x1, [x5, #8]",
    "ldr    x1, ={FP_ALONE}",
    "msr    cpacr_el1, x1",
    "isb",
    "ldp    x18, x19, [sp, #16]",
    "ldp    x20, x21, [sp, #32]",
    "ldp    x22, x23, [sp, #48]",
    "ldp    x24, x25, [sp, #64]",
    "ldp    x26, x27, [sp, #80]",
    "ldp    d8, d9, [sp, #112]",
    "ldp    d10, d11, [sp, #128]",
    "ldp    d12, d13, [sp, #144]",
    "ldp    d14, d15, [sp, #160]",
    "ldp    x29, x30, [sp], #192",
    "ret",
    ".ltorg",

    ".balign 2048",
    ".global vectors",
    "vectors:",
    ".set   probe_vector, 0",
    ".rept  16",
    ".balign 128",
    "mov    x17, #probe_vector",
    "b      3b",
    ".set   probe_vector, probe_vector + 1",
    ".endr",
    ".popsection",

    ".pushsection .bss.probe, \"aw\", %nobits",
    ".balign 4096",
    ".global probe_scratch",
    "probe_scratch:",
    ".space 4096",
    "probe_sp:",
    ".space 8",
    ".popsection",
    GICD = const crate::layout::GIC_DISTRIBUTOR,
    UART = const crate::layout::UART,
    NO_MEMORY = const NO_MEMORY,
    UNMAPPED = const UNMAPPED,
    EL0_VIEW = const EL0_VIEW,
    FP_ALONE = const FP_ALONE,
);
