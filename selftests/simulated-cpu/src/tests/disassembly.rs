// SPDX-License-Identifier: GPL-2.0
//! The machine code of the primitives.
//!
//! The crate is built once more, for aarch64 and with the real instructions,
//! and `llvm-objdump` says what became of them. It has the names of the
//! registers from elsewhere, so it checks the encodings as well.

use crate::arm64::registers::*;
use crate::arm64::sysreg::{El0Register, El1Register, El2Register, Encoding, RegisterName};
use crate::for_each::for_each_register;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// An instruction: its encoding, and how `llvm-objdump` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Instruction {
    word: u32,
    text: String,
}

/// The instructions of each function.
type Functions = BTreeMap<String, Vec<Instruction>>;

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}; use scripts/enter"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8(output.stdout).expect("the output is text")
}

/// Builds the accessors and takes them apart.
fn disassembly() -> Functions {
    let target = Path::new(env!("OUT_DIR")).join("disassembly");
    let object = target.join("accessors.o");
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    output(
        Command::new(env!("CARGO"))
            .args([
                "rustc",
                "--quiet",
                "--locked",
                "--offline",
                "--lib",
                "--release",
            ])
            .args(["--features", "instructions"])
            .args(["--target", "aarch64-unknown-linux-gnu", "--target-dir"])
            .arg(&target)
            .arg("--")
            .args([
                "-Cpanic=abort",
                "-Ccodegen-units=1",
                "-Zfunction-sections=yes",
            ])
            // Different names of one register make functions that are the same.
            .arg("-Zmerge-functions=disabled")
            .arg(format!("--emit=obj={}", object.display()))
            .current_dir(crate_folder)
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTFLAGS"),
    );
    parse(&output(
        Command::new("llvm-objdump")
            .args(["--disassemble", "--mattr=+all"])
            .arg(object),
    ))
}

/// Reads what `llvm-objdump` writes.
fn parse(text: &str) -> Functions {
    let mut functions = Functions::new();
    let mut function = None;
    for line in text.lines() {
        if let Some((_, name)) = line.split_once(" <") {
            if let Some(name) = name.strip_suffix(">:") {
                function = Some(functions.entry(name.to_owned()).or_default());
                continue;
            }
        }
        // An address, a colon, the word, and the instruction.
        let (Some(function), Some((_, rest))) = (&mut function, line.split_once(':')) else {
            continue;
        };
        let Some((word, text)) = rest.trim().split_once(char::is_whitespace) else {
            continue;
        };
        if let Ok(word) = u32::from_str_radix(word, 16) {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            function.push(Instruction { word, text });
        }
    }
    functions
}

/// Which register an instruction has to move where.
enum Move {
    Read,
    Write,
    Zero,
}

/// Checks that `found` is the one instruction for `name`.
fn check(found: &Instruction, what: &Move, name: &str, encoding: Encoding) {
    let (opcode, mnemonic, rt, general) = match what {
        Move::Read => (0xd530_0000, "mrs", 0, "x0"),
        Move::Write => (0xd510_0000, "msr", 0, "x0"),
        Move::Zero => (0xd510_0000, "msr", 31, "xzr"),
    };
    let Encoding {
        op0,
        op1,
        crn,
        crm,
        op2,
    } = encoding;
    let operand = (u32::from(op0 - 2) << 19)
        | (u32::from(op1) << 16)
        | (u32::from(crn) << 12)
        | (u32::from(crm) << 8)
        | (u32::from(op2) << 5);
    assert_eq!(found.word, opcode | operand | rt, "{name}: {}", found.text);

    let operands = found.text.strip_prefix(mnemonic).expect("the mnemonic");
    let (first, second) = operands.trim().split_once(", ").expect("two operands");
    let (register, other) = match what {
        Move::Read => (second, first),
        Move::Write | Move::Zero => (first, second),
    };
    assert_eq!(other, general);
    // Names that LLVM does not know are numbers, which `word` has been
    // compared with.
    let number = format!("S{op0}_{op1}_C{crn}_C{crm}_{op2}");
    assert!(
        register.eq_ignore_ascii_case(name) || register == number,
        "{name} is {register}"
    );
}

const RET: u32 = 0xd65f_03c0;

/// Checks the functions that [`accessors`](crate::accessors) has for
/// `register`, and counts them. `names` are the name to use, and that by which
/// it is replaced.
fn check_pair(functions: &Functions, prefix: &str, register: &str, names: &[(&str, Encoding)]) {
    for (verb, what) in [("read", Move::Read), ("write", Move::Write)] {
        let function = format!("{prefix}_{verb}_{register}");
        let code = functions
            .get(&function)
            .unwrap_or_else(|| panic!("no function {function}"));
        // The replacement is behind the function.
        assert_eq!(code.len(), names.len() + 1, "{function}: {code:?}");
        check(&code[0], &what, names[0].0, names[0].1);
        assert_eq!(code[1].word, RET);
        if let [_, (name, encoding)] = names {
            check(&code[2], &what, name, *encoding);
        }
    }
}

fn of<N: RegisterName>() -> (&'static str, Encoding) {
    (N::NAME, N::ENCODING)
}

macro_rules! tests {
    (names: [$($name:ident),*]; registers: [$($register:ident),*];
     el0: [$($el0:ident),*]; el1: [$($el1:ident),*]; el2: [$($el2:ident),*];) => {
        fn check_all(functions: &Functions) {
            $(
                check_pair(functions, "plain", $register::NAME, &[of::<$register>()]);
                let zero = &functions[concat!("plain_zero_", stringify!($register))];
                assert_eq!(zero.len(), 2);
                check(&zero[0], &Move::Zero, $register::NAME, $register::ENCODING);
                assert_eq!(zero[1].word, RET);
            )*
            $(check_worlds::<$el0, <$el0 as El0Register>::El02>(functions);)*
            $(check_worlds::<$el1, <$el1 as El1Register>::El12>(functions);)*
            $(check_worlds::<$el2, <$el2 as El2Register>::E2h>(functions);)*
            $(check_pair(functions, "kernel", $el0::NAME, &[of::<$el0>()]);)*
            $(check_pair(functions, "kernel", $el1::NAME, &[of::<$el1>()]);)*
        }
    };
}
for_each_register!(tests);

/// Checks access to `R`, which is reached by `E2h` while `HCR_EL2.E2H` is 1.
fn check_worlds<R: RegisterName, E2h: RegisterName>(functions: &Functions) {
    check_pair(functions, "vhe", R::NAME, &[of::<E2h>()]);
    check_pair(functions, "nvhe", R::NAME, &[of::<R>(), of::<E2h>()]);
}

#[test]
fn each_access_is_one_instruction_with_the_right_register() {
    let functions = disassembly();
    check_all(&functions);
    check_copy(&functions["copy_three_pairs"]);
    let barriers: Vec<&str> = functions["barriers"]
        .iter()
        .map(|i| i.text.as_str())
        .collect();
    assert_eq!(
        barriers,
        ["isb", "dsb nsh", "dsb ish", "dsb sy", "dmb sy", "ret"]
    );
    check_others(&functions);
    check_fp(&functions);
}

/// The text of a function.
fn text<'a>(functions: &'a Functions, name: &str) -> Vec<&'a str> {
    let function = functions.get(name);
    let function = function.unwrap_or_else(|| panic!("no function {name}"));
    function.iter().map(|i| i.text.as_str()).collect()
}

/// Instructions that are no accesses.
fn check_others(functions: &Functions) {
    assert_eq!(text(functions, "priority_barrier"), ["dsb sy", "ret"]);
    // The replacement is behind the function: FEAT_ECV.
    assert_eq!(
        text(functions, "counter"),
        [
            "isb",
            "mrs x0, CNTPCT_EL0",
            "ret",
            "nop",
            "mrs x0, CNTPCTSS_EL0"
        ]
    );
    for (name, instruction) in [
        ("translate", "at s1e1r, "),
        ("translate_ignoring_permissions", "at s1e1a, "),
    ] {
        let text = text(functions, name);
        let at = text.iter().position(|i| i.starts_with(instruction));
        let at = at.unwrap_or_else(|| panic!("{name} has no {instruction}: {text:?}"));
        assert_eq!(text[at + 1], "isb", "{name}");
        let others = text.iter().filter(|i| i.starts_with("at "));
        assert_eq!(others.count(), 1, "{name}");
    }
}

/// FP registers: each one moves once, to a place of its own, and so does the
/// status.
fn check_fp(functions: &Functions) {
    for (name, mnemonic) in [("move_save_fpsimd", "stp"), ("move_load_fpsimd", "ldp")] {
        let text = text(functions, name);
        let pairs: Vec<&str> = text.iter().copied().filter(|i| i.contains(" q")).collect();
        let expected: Vec<String> = (0..16)
            .map(|n| {
                let place = match n {
                    0 => "[x0]".to_owned(),
                    _ => format!("[x0, #{:#x}]", 32 * n),
                };
                format!("{mnemonic} q{}, q{}, {place}", 2 * n, 2 * n + 1)
            })
            .collect();
        assert_eq!(pairs, expected, "{name}");
        check_status(&text, name);
    }
    for (name, mnemonic) in [("move_save_sve", "str"), ("move_load_sve", "ldr")] {
        let text = text(functions, name);
        let is_sve = |i: &&str| ["z", "p"].iter().any(|r| is_register(i, r)) || i.contains("ffr");
        let sve: Vec<&str> = text.iter().copied().filter(is_sve).collect();
        let place = |n: usize| match n {
            0 => "[x0]".to_owned(),
            _ => format!("[x0, #{n:#x}, mul vl]"),
        };
        let mut expected: Vec<String> = (0..32)
            .map(|n| format!("{mnemonic} z{n}, {}", place(n)))
            .collect();
        let predicates = (0..16).map(|n| format!("{mnemonic} p{n}, {}", place(n)));
        let ffr = format!("{mnemonic} p0, {}", place(16));
        // FFR moves by way of P0, which keeps its own value.
        if mnemonic == "str" {
            expected.extend(predicates);
            expected.extend(["rdffr p0.b".to_owned(), ffr, "ldr p0, [x0]".to_owned()]);
        } else {
            expected.extend([ffr, "wrffr p0.b".to_owned()]);
            expected.extend(predicates);
        }
        assert_eq!(sve, expected, "{name}");
        let lengths: Vec<&str> = text
            .iter()
            .copied()
            .filter(|i| i.starts_with("addvl"))
            .collect();
        assert_eq!(lengths, ["addvl x0, x0, #0x1f", "addvl x0, x0, #0x1"]);
        check_status(&text, name);
    }
}

/// Whether the first operand is a register whose name starts like that.
fn is_register(instruction: &str, start: &str) -> bool {
    let operand = instruction
        .split_once(' ')
        .map_or("", |(_, operands)| operands);
    let number = operand
        .strip_prefix(start)
        .and_then(|rest| rest.chars().next());
    number.is_some_and(|c| c.is_ascii_digit())
}

fn check_status(text: &[&str], name: &str) {
    for register in ["FPSR", "FPCR"] {
        let accesses = text.iter().filter(|i| i.contains(register));
        assert_eq!(accesses.count(), 1, "{name}: {register}");
    }
}

/// `functions["copy_three_pairs"]`: no other loads and stores, so that each word
/// is read once.
fn check_copy(copy: &[Instruction]) {
    let accesses: Vec<(&str, &str)> = copy
        .iter()
        .filter(|i| i.text.contains('['))
        .map(|i| {
            let (mnemonic, operands) = i.text.split_once(' ').expect("operands");
            (mnemonic, operands.rsplit_once("], ").expect("an index").1)
        })
        .collect();
    let pair = [("ldp", "#0x10"), ("stp", "#0x10")];
    assert_eq!(accesses, pair.repeat(3), "{copy:?}");
}

#[test]
fn a_disassembly_is_read() {
    let text = "\n\
        a.o:\tfile format elf64-littleaarch64\n\n\
        0000000000000000 <f>:\n\
        \x20      0: d5381000     \tmrs\tx0, SCTLR_EL1\n\
        \x20      4: d65f03c0     \tret\n";
    let functions = parse(text);
    let texts: Vec<&str> = functions["f"].iter().map(|i| i.text.as_str()).collect();
    assert_eq!(texts, ["mrs x0, SCTLR_EL1", "ret"]);
    assert_eq!(functions["f"][1].word, RET);
}

#[test]
#[should_panic(expected = "SCTLR_EL1: mrs x0, SCTLR_EL2")]
fn another_register_is_noticed() {
    let found = Instruction {
        word: 0xd53c_1000,
        text: "mrs x0, SCTLR_EL2".to_owned(),
    };
    check(&found, &Move::Read, SCTLR_EL1::NAME, SCTLR_EL1::ENCODING);
}
