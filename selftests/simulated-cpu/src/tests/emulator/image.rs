// SPDX-License-Identifier: GPL-2.0
//! The program that the emulator runs, at EL2 and without anything else.
//!
//! It has a routine for each instruction that is tried, and works through a list
//! that says which is next, with which operand. The FP registers move by the
//! assembly of the primitives, taken from their source.

use super::operation::Use;
use crate::arm64::sysreg::Encoding;
use crate::tests::names::{self, Name};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the program is loaded: in RAM, behind what QEMU puts at its start.
pub(super) const ADDRESS: u64 = 0x4020_0000;

/// The exception level and the stack pointer that everything runs with, and
/// interrupts masked: what each exception leaves in `SPSR_EL2`.
pub(super) const SPSR: u64 = 0x3c9;

/// `SCTLR_EL2`, and of a guest `SCTLR_EL1`: RES1 bits, and the MMU off.
pub(super) const SCTLR: u64 = 0x30c5_0830;

/// `HCR_EL2` with E2H 0: EL1 is in AArch64 state.
pub(super) const HCR: u64 = 1 << 31;

/// Where a field is that the program is given, or gives: the list, the room for
/// results, and whether the end of the list has been reached.
pub(super) const LIST: usize = 8;
pub(super) const RESULTS: usize = 16;
pub(super) const FINISHED: usize = 24;
/// The offsets of routines and labels.
const TABLE: usize = 32;

/// A routine of the program: its operand is in X0, room for memory that it writes
/// at X1, and a result in X0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Routine {
    /// MRS of the name with this encoding.
    Read(Encoding),
    /// MSR.
    Write(Encoding),
    Isb,
    ReadSvcr,
    WriteSvcr,
    SaveV,
    LoadV,
    SaveSve,
    LoadSve,
    SaveZa,
    LoadZa,
    VectorLength,
    GuestFp,
    GuestSve,
    GuestSme,
    /// Writes registers from memory, all of EL1 by their own names.
    Initialise,
    /// Stores what registers hold, by their own names.
    Collect,
    /// Not routines: what each exception leaves in `ELR_EL2`, and two tables of
    /// vectors.
    Returned,
    Vectors,
    OtherVectors,
}

impl From<Use> for Routine {
    fn from(what: Use) -> Self {
        match what {
            Use::Fp => Routine::GuestFp,
            Use::Sve => Routine::GuestSve,
            Use::Sme => Routine::GuestSme,
        }
    }
}

/// The program.
pub(super) struct Image {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    routines: BTreeMap<Routine, u64>,
}

impl Image {
    /// Puts it together: `to_write` are the registers that are initialised, and
    /// `to_read` those that are collected.
    pub(super) fn assemble(folder: &Path, to_write: &[Name], to_read: &[Name]) -> Self {
        let routines = routines(to_write, to_read);
        let bytes = assemble(folder, &text(&routines));
        let offsets = bytes[TABLE..].chunks_exact(4).map(|offset| {
            let offset = offset.try_into().expect("four bytes");
            ADDRESS + u64::from(u32::from_le_bytes(offset))
        });
        let labels = routines.iter().map(|(routine, _)| *routine);
        let labels = labels.chain([Routine::Returned, Routine::Vectors, Routine::OtherVectors]);
        Self {
            routines: labels.zip(offsets).collect(),
            bytes,
        }
    }

    /// Where a routine is.
    pub(super) fn address(&self, routine: Routine) -> u64 {
        self.routines[&routine]
    }
}

/// A name that the assembler takes for a register by its numbers.
fn number(encoding: Encoding) -> String {
    let Encoding {
        op0,
        op1,
        crn,
        crm,
        op2,
    } = encoding;
    format!("S{op0}_{op1}_C{crn}_C{crm}_{op2}")
}

const SVCR: &str = "S3_3_C4_C2_2";

/// Each routine, and the instructions that it has before its RET.
fn routines(to_write: &[Name], to_read: &[Name]) -> Vec<(Routine, String)> {
    let mut routines = Vec::new();
    for name in names::all() {
        let register = number(name.encoding);
        let mut add = |routine, text| routines.push((routine, text));
        add(Routine::Read(name.encoding), format!("mrs x0, {register}"));
        add(Routine::Write(name.encoding), format!("msr {register}, x0"));
    }
    let guest = |instruction: &str| GUEST.replace("INSTRUCTION", instruction);
    routines.extend([
        (Routine::Isb, "isb".to_owned()),
        (Routine::ReadSvcr, format!("mrs x0, {SVCR}")),
        (Routine::WriteSvcr, format!("msr {SVCR}, x0")),
        (Routine::SaveV, primitive("save_v", "x1")),
        (Routine::LoadV, primitive("load_v", "x0")),
        (Routine::SaveSve, primitive("save_sve", "x1")),
        (Routine::LoadSve, primitive("load_sve", "x0")),
        (
            Routine::SaveZa,
            "mov w12, #0\nstr za[w12, 0], [x1]".to_owned(),
        ),
        (
            Routine::LoadZa,
            "mov w12, #0\nldr za[w12, 0], [x0]".to_owned(),
        ),
        (Routine::VectorLength, "rdvl x0, #1".to_owned()),
        (Routine::GuestFp, guest("mrs x0, fpsr")),
        (Routine::GuestSve, guest("rdvl x0, #1")),
        (Routine::GuestSme, guest(&format!("mrs x0, {SVCR}"))),
        (Routine::Initialise, initialise(to_write)),
        (Routine::Collect, collect(to_read)),
    ]);
    routines
}

/// What reaches EL1's registers by their own names: E2H 0, and nothing trapped.
const PLAIN: &str = "
    mov x2, #0x80000000
    msr hcr_el2, x2
    mov x2, #0x22ff
    msr cptr_el2, x2
    isb
";

fn initialise(registers: &[Name]) -> String {
    let mut text = PLAIN.to_owned();
    for register in registers {
        let name = number(register.encoding);
        let _ = writeln!(text, "ldr x2, [x0], #8\nmsr {name}, x2");
    }
    text + "isb"
}

fn collect(registers: &[Name]) -> String {
    let first = "
        mrs x2, hcr_el2
        mrs x3, cptr_el2
        stp x2, x3, [x1], #16
    ";
    let mut text = first.to_owned() + PLAIN;
    for register in registers {
        let name = number(register.encoding);
        let _ = writeln!(text, "mrs x2, {name}\nstr x2, [x1], #8");
    }
    text
}

/// Has EL1 execute an instruction, from where HVC leads back unless it traps to
/// EL2. EL1 traps nothing itself.
const GUEST: &str = "
    mov x17, x30
    mrs x4, hcr_el2
    and x5, x4, #0x400000000
    mov x6, #0x80000000
    orr x6, x6, x5
    mov x9, #0x3330000
    mov x10, #0x0830
    movk x10, #0x30c5, lsl #16
    cbnz x5, 1f
    mrs x7, cpacr_el1
    mrs x8, sctlr_el1
    msr cpacr_el1, x9
    msr sctlr_el1, x10
    b 2f
1:
    mrs x7, cpacr_el12
    mrs x8, sctlr_el12
    msr cpacr_el12, x9
    msr sctlr_el12, x10
2:
    msr hcr_el2, x6
    adr x9, 3f
    msr elr_el2, x9
    mov x9, #0x3c5
    msr spsr_el2, x9
    adr x30, 4f
    eret
3:
    INSTRUCTION
    hvc #0
4:
    cbnz x5, 5f
    msr cpacr_el1, x7
    msr sctlr_el1, x8
    b 6f
5:
    msr cpacr_el12, x7
    msr sctlr_el12, x8
6:
    msr hcr_el2, x4
    msr elr_el2, x17
    isb
    mov x30, x17
";

/// What the program does: an exception ends the routine, and its class is the
/// result. Nothing that an exception leaves depends on where it was taken.
const MAIN: &str = "
    .macro vectors
    .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    .balign 0x80
    mov x2, #\\n
    b exception
    .endr
    .endm
    .balign 0x800
vectors_1:
    vectors
    .balign 0x800
vectors_2:
    vectors
exception:
    mrs x23, esr_el2
    lsr x23, x23, #26
    orr x23, x23, #0x100
    orr x23, x23, x2, lsl #16
    msr esr_el2, xzr
    msr far_el2, xzr
    mov x2, #0x3c9
    msr spsr_el2, x2
    msr elr_el2, x30
    eret
begin:
    msr daifset, #15
    adr x2, vectors_1
    msr vbar_el2, x2
    mov x2, #0x0830
    movk x2, #0x30c5, lsl #16
    msr sctlr_el2, x2
    isb
    adr x2, start
    ldp x19, x20, [x2, #8]
next:
    ldp x16, x0, [x19], #16
    ldr x24, [x19], #16
    cbz x16, finished
    mov x23, #0
    add x1, x20, #16
    blr x16
returned:
    stp x23, x0, [x20], #16
    add x20, x20, x24
    b next
finished:
    adr x2, start
    mov x3, #1
    str x3, [x2, #24]
    // PSCI SYSTEM_OFF
    mov w0, #8
    movk w0, #0x8400, lsl #16
    smc #0
    b .
";

/// The whole program, as the assembler reads it.
fn text(routines: &[(Routine, String)]) -> String {
    let mut text = String::from(
        ".arch armv8.5-a\n.arch_extension sve\n.arch_extension sme\n\
         start:\nb begin\n.balign 8\n.quad 0, 0, 0\n",
    );
    for number in 0..routines.len() {
        let _ = writeln!(text, ".word routine_{number} - start");
    }
    for label in ["returned", "vectors_1", "vectors_2"] {
        let _ = writeln!(text, ".word {label} - start");
    }
    text += MAIN;
    for (number, (_, instructions)) in routines.iter().enumerate() {
        let _ = writeln!(text, "routine_{number}:\n{instructions}\nret");
    }
    text
}

/// The assembly of a function of `fp_registers.rs`, on memory at `register`.
fn primitive(function: &str, register: &str) -> String {
    let path = Path::new(env!("PRIMITIVES")).join("fp_registers.rs");
    let source =
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    let (_, body) = source
        .split_once(&format!("unsafe fn {function}("))
        .unwrap_or_else(|| panic!("{} has no {function}()", path.display()));
    let (_, assembly) = body.split_once("crate::asm!(").expect("inline assembly");
    let text = assembly.split('"').nth(1).expect("its text");
    ["{to}", "{from}", "{at}"]
        .into_iter()
        .fold(text.replace("\\\\", "\\"), |text, operand| {
            text.replace(operand, register)
        })
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}; use scripts/enter"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
}

/// Has the assembler make machine code of it.
fn assemble(folder: &Path, text: &str) -> Vec<u8> {
    let [source, object, binary] =
        ["program.s", "program.o", "program"].map(|file| folder.join(file));
    fs::write(&source, text).expect("the folder can be written");
    run(Command::new("clang")
        .args(["--target=aarch64-linux-gnu", "-c", "-o"])
        .args([&object, &source]));
    run(Command::new("llvm-objcopy")
        .args(["-O", "binary", "--only-section=.text"])
        .args([&object, &binary]));
    fs::read(&binary).expect("the program that was made")
}

#[test]
fn the_primitives_are_taken_from_their_source() {
    let load = primitive("load_sve", "x0");
    assert!(load.contains("wrffr p0.b"), "{load}");
    assert!(load.contains("ldr z\\n, [x0, #\\n, mul vl]"), "{load}");
    assert!(!load.contains('{'), "{load}");
}
