// SPDX-License-Identifier: GPL-2.0

//! Objects that the real compiler makes of small sources, with the kernel's options.

use super::*;
use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    }, //
};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("check_calls-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Compiles `source` as the kernel does, with further `options`.
fn object_with(source: &str, options: &[&str]) -> Vec<u8> {
    let folder = Folder::new();
    let (input, output) = (folder.0.join("a.rs"), folder.0.join("a.o"));
    let text = format!("#![no_std]\n#![allow(internal_features)]\n{source}");
    fs::write(&input, text).expect("a file in the folder");
    let result = Command::new("rustc")
        .args(["--edition=2021", "--crate-name=a", "--crate-type=lib"])
        .args(["--target=aarch64-unknown-linux-gnu", "-Copt-level=2"])
        .args([
            "-Cpanic=abort",
            "-Ccodegen-units=1",
            "-Crelocation-model=static",
        ])
        .args(["-Csymbol-mangling-version=v0", "-Zfunction-sections=n"])
        .args(options)
        // Otherwise rustc puts temporary files where it was started.
        .arg("--out-dir")
        .arg(&folder.0)
        .arg(format!("--emit=obj={}", output.display()))
        .arg(&input)
        // The kernel uses unstable options, too.
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .expect("rustc, which scripts/enter has");
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{errors}");
    fs::read(output).expect("the object")
}

fn object(source: &str) -> Vec<u8> {
    object_with(source, &[])
}

/// Holds an object against a list; what is wrong is returned as it is printed.
fn checked(object: &[u8], list: &str) -> Result<String, String> {
    let inputs = Inputs {
        object: ("a.o", object),
        list: ("a.calls", list),
        config: "",
    };
    check(&inputs).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(Error::to_string).collect();
        errors.join("\n")
    })
}

/// Asserts that `text` has all of `parts` in it.
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

const INDEX: &str = "
#[no_mangle]
pub extern \"C\" fn f(array: &[u64; 4], index: usize) -> u64 {
    array[index]
}";

#[test]
fn an_index_that_can_go_out_of_bounds_is_found() {
    let error = checked(&object(INDEX), "entry all\n").unwrap_err();
    assert_has(
        &error,
        &[
            "error: a.o: f can panic, in core::panicking::panic_bounds_check\n",
            "\n  from f\n    to core::panicking::panic_bounds_check (_",
            "\nhint: index with get(), or prove the bound with a type",
        ],
    );
    assert_eq!(error.matches("error: ").count(), 1, "{error}");
    assert_eq!(checked(&object(INDEX), "entry f\n").unwrap_err(), error);
}

#[test]
fn get_and_a_bound_that_is_proved_are_in_order() {
    let source = "
#[no_mangle]
pub extern \"C\" fn f(array: &[u64; 4], index: usize) -> u64 {
    array.get(index).copied().unwrap_or(0) + array[index % 4]
}";
    let summary = checked(&object(source), "entry all\n").unwrap();
    assert_eq!(summary, "a.o: no way to a panic; functions looked at: 1\n");
}

#[test]
fn overflow_checks_are_found() {
    let source = "#[no_mangle] pub extern \"C\" fn f(a: u64, b: u64) -> u64 { a + b }";
    let with_checks = object_with(source, &["-Coverflow-checks=y"]);
    let error = checked(&with_checks, "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["panic_const_add_overflow", "hint: use the checked_"],
    );
    checked(&object(source), "entry all\n").unwrap();
}

#[test]
fn each_panic_is_found() {
    let source = "
#[no_mangle] pub extern \"C\" fn unwraps(a: &Option<u64>) -> u64 { a.unwrap() }
#[no_mangle] pub extern \"C\" fn slices(a: &[u8; 9], n: usize) -> u8 { a[n..][0] }
#[no_mangle] pub extern \"C\" fn formats(a: u64) { panic!(\"{a}\") }
#[no_mangle] pub extern \"C\" fn compares(a: u64) { assert_eq!(a, 1) }
#[no_mangle] pub extern \"C\" fn divides(a: u64, b: u64) -> u64 { a / b }";
    let error = checked(&object(source), "entry all\n").unwrap_err();
    assert_has(
        &error,
        &[
            "unwraps can panic, in core::option::unwrap_failed",
            "slices can panic, in core::slice::index::slice_start_index_len_fail",
            "slices can panic, in core::panicking::panic_bounds_check",
            "formats can panic, in core::panicking::panic_fmt",
            "compares can panic, in core::panicking::assert_failed",
            "divides can panic, in core::panicking::panic_const::panic_const_div_by_zero",
        ],
    );
}

#[test]
fn a_panic_that_is_part_of_the_object_is_found() {
    // The function is generic: one for this type is in no other crate.
    let source = "
#[derive(PartialEq)]
struct A(u64);
impl core::fmt::Debug for A {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { Ok(()) }
}
#[no_mangle] pub extern \"C\" fn f(a: u64) { assert_eq!(A(a), A(1)) }";
    let object = object(source);
    for list in ["entry all\n", "entry f\n"] {
        let error = checked(&object, list).unwrap_err();
        let name = "core::panicking::assert_failed::<a::A, a::A>";
        assert_has(&error, &[&format!("a.o: f can panic, in {name}\n")]);
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
    }
}

#[test]
fn calls_are_followed_with_and_without_relocations() {
    let source = "
#[inline(never)]
fn inner(array: &[u64; 4], index: usize) -> u64 { array[index] }
#[no_mangle]
pub extern \"C\" fn f(array: &[u64; 4], index: usize) -> u64 { inner(array, index) + 1 }
#[no_mangle]
pub extern \"C\" fn g() {}";
    for sections in ["-Zfunction-sections=n", "-Zfunction-sections=y"] {
        let object = object_with(source, &[sections]);
        for list in ["entry all\n", "entry f\nentry g\n"] {
            let error = checked(&object, list).unwrap_err();
            let way = [
                "\n  from f\n    to a::inner (_RN",
                "\n    to core::panicking::panic_b",
            ];
            assert_has(&error, &["a.o: a::inner can panic", way[0], way[1]]);
        }
        // What is not on the way does not count.
        checked(&object, "entry g\noutside f: a reason\n").unwrap();
    }
}

#[test]
fn a_table_of_functions_is_followed() {
    let functions = "
fn indexes(array: &[u64; 4], index: usize) -> u64 { array[index] }
fn does_not(array: &[u64; 4], _: usize) -> u64 { array[0] }
type Function = fn(&[u64; 4], usize) -> u64;";
    let call = "
#[no_mangle]
pub extern \"C\" fn f(array: &[u64; 4], index: usize) -> u64 {
    TABLE.get(index).map_or(0, |function| function(array, index))
}";
    for table in [
        "#[no_mangle] static TABLE: [Function; 2] = [does_not, indexes];",
        "const TABLE: &[Function] = &[does_not, indexes];",
    ] {
        let object = object(&format!("{functions}\n{table}\n{call}"));
        let error = checked(&object, "entry f\n").unwrap_err();
        assert_has(
            &error,
            &["a::indexes can panic", "from f\n", "to a::indexes"],
        );
    }
    let object = object(&format!(
        "{functions}\nconst TABLE: &[Function] = &[does_not];\n{call}"
    ));
    checked(&object, "entry f\n").unwrap();
}

#[test]
fn other_objects_are_only_used_with_a_reason() {
    let source = "
extern \"C\" { fn other(); static VARIABLE: u64; }
#[no_mangle] pub unsafe extern \"C\" fn f() -> u64 { unsafe { other(); VARIABLE } }
#[no_mangle] pub unsafe extern \"C\" fn g() { unsafe { other() } }";
    let object = object(source);
    let error = checked(&object, "entry f\nentry g\n").unwrap_err();
    assert_has(
        &error,
        &[
            "a.o: f uses other, which is not on the list, and so does another function\n",
            "a.o: f uses VARIABLE, which is not on the list\n",
            "hint: do without it, or add `allow other: ` and why it may be used to a.calls",
        ],
    );
    let list = "entry all\nallow other: does nothing\nallow VAR*: a variable\n";
    let summary = checked(&object, list).unwrap();
    assert_has(
        &summary,
        &[
            "no way to a panic; functions looked at: 2\n",
            "allowed: other: does nothing",
        ],
    );
}

#[test]
fn a_line_that_nothing_needs_is_named() {
    let object = object("#[no_mangle] pub extern \"C\" fn f() {}");
    let list = "entry f\nallow other: a reason\noutside g: a reason\n";
    let summary = checked(&object, list).unwrap();
    assert_eq!(
        summary,
        "a.o: no way to a panic; functions looked at: 1\n\
         not needed: other, a.calls:2\nnot needed: g, a.calls:3\n"
    );
    // Where a mistake may be why, it is not said.
    let error = checked(&object, "entry f\nentry g\n").unwrap_err();
    assert_has(&error, &["error: a.calls:2: g is no function of a.o\n"]);
}

#[test]
fn what_c_can_call_is_named_in_the_list() {
    let source = "
#[no_mangle] pub extern \"C\" fn f() {}
#[no_mangle] pub extern \"C\" fn g() {}
pub fn of_rust() {}";
    let error = checked(&object(source), "entry f\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: g can be called from C, and a.calls does not name it\n"],
    );
    assert_eq!(error.matches("error: ").count(), 1, "{error}");
}

#[test]
fn with_all_undefined_symbols_count_wherever_they_are_used() {
    let source = "
extern \"C\" { fn other(); }
#[used] static POINTER: unsafe extern \"C\" fn() = other;
#[no_mangle] pub extern \"C\" fn f() {}";
    let object = object(source);
    checked(&object, "entry f\n").unwrap();
    let error = checked(&object, "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: other is not on the list; .rodata refers to it\n"],
    );
    checked(&object, "entry all\nallow other: a reason\n").unwrap();
}

#[test]
fn an_abort_is_found() {
    let source = "#![feature(core_intrinsics)]
#[no_mangle] pub extern \"C\" fn f(a: u64) { if a > 1 { core::intrinsics::abort() } }";
    let error = checked(&object(source), "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: f has a BRK #0x1: an abort", "\n  from f\nhint: "],
    );
    let source = "#[no_mangle] pub extern \"C\" fn f() { unsafe { core::arch::asm!(\"hlt #7\") } }";
    let error = checked(&object(source), "entry all\n").unwrap_err();
    assert_has(&error, &["a.o: f has an HLT #0x7\n"]);
}

/// As `ASM_BUG_FLAGS()`, with and without the file and the line of `CONFIG_DEBUG_BUGVERBOSE`.
fn bug(flags: u16, verbose: bool) -> String {
    let location = if verbose {
        ".long 9f - .; .short 12;"
    } else {
        ""
    };
    format!(
        "core::arch::asm!(\".pushsection __bug_table,\\\"aw\\\"; .align 2; .long 8f - .; \
         {location} .short {flags}; .align 2; .popsection; \
         .pushsection .rodata.str,\\\"a\\\"; 9: .asciz \\\"file\\\"; .popsection; \
         8: brk #0x800\");"
    )
}

#[test]
fn bug_and_warn_are_told_apart() {
    for verbose in [false, true] {
        let (bug, warn) = (bug(0, verbose), bug(0x901, verbose));
        let source = format!(
            "#[no_mangle] pub extern \"C\" fn bugs(a: u64) -> u64 {{
                if a > 1 {{ unsafe {{ {bug} core::hint::unreachable_unchecked() }} }}
                a
            }}
            #[no_mangle] pub extern \"C\" fn warns(a: u64) {{ if a > 1 {{ unsafe {{ {warn} }} }} }}"
        );
        let object = object(&source);
        let error = checked(&object, "entry all\n").unwrap_err();
        assert_has(
            &error,
            &["a.o: bugs has a BUG()\n", "a.o: warns has a WARN()\n"],
        );
        // What is behind BUG() was not found to be an abort.
        assert_eq!(error.matches("error: ").count(), 2, "{error}");
        let list = "entry all\nallow WARN: a reason\nallow BUG: a reason\n";
        checked(&object, list).unwrap();
        let error = checked(&object, "entry all\nallow WARN: a reason\n").unwrap_err();
        assert_has(&error, &["add `allow BUG: ` and why"]);
    }
}

#[test]
fn an_abort_behind_bug_is_one_if_it_can_be_jumped_to() {
    let source = "#[no_mangle] pub extern \"C\" fn f() { unsafe { core::arch::asm!(
        \"cbz x0, 1f; brk #0x800; 1: brk #1\") } }";
    let error = checked(&object(source), "entry all\nallow BUG: a reason\n").unwrap_err();
    assert_has(&error, &["a.o: f has a BRK #0x1"]);
    let without = source.replace("cbz x0, 1f", "nop");
    checked(&object(&without), "entry all\nallow BUG: a reason\n").unwrap();
}

/// In the capability of an alternative: a function replaces the instruction.
const CALLBACK: u16 = 1 << 15;

/// As `ALTERNATIVE()`: `new` replaces an instruction where the CPU has `capability`.
fn alternative(new: &str, capability: u16) -> String {
    let (replacement, place, size) = match capability & CALLBACK {
        0 => (format!(".subsection 1; 7: {new}; .previous;"), "7b", 4),
        _ => (String::new(), new, 0),
    };
    format!(
        "extern \"C\" {{ fn other(); }}
        #[used] static POINTER: unsafe extern \"C\" fn() = other;
        #[no_mangle] pub extern \"C\" fn f() {{ unsafe {{ core::arch::asm!(\"6: nop; {replacement} \
         .pushsection .altinstructions,\\\"a\\\"; .long 6b - .; .long {place} - .; \
         .short {capability}; .byte 4; .byte {size}; .popsection\") }} }}
        #[no_mangle] pub extern \"C\" fn g() {{}}"
    )
}

#[test]
fn alternatives_are_part_of_the_function() {
    let object = object(&alternative("bl other", 5));
    let error = checked(&object, "entry f\noutside g: a reason\n").unwrap_err();
    assert_has(
        &error,
        &["uses other, which is not on the list\n", "\n  from f\n"],
    );
    checked(&object, "entry g\noutside f: a reason\n").unwrap();
}

#[test]
fn what_replaces_alternatives_is_not_called_by_the_function() {
    let object = object(&alternative("other", CALLBACK | 5));
    checked(&object, "entry f\noutside g: a reason\n").unwrap();
    let error = checked(&object, "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: other is not on the list; .altinstructions refers to it"],
    );
}

#[test]
fn a_table_of_another_layout_is_refused() {
    let source = alternative("nop", 5).replace(".byte 4;", ".byte 4; .byte 4;");
    let error = checked(&object(&source), "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: entry at 0xc of .altinstructions is not understood\nhint: "],
    );
}

#[test]
fn a_damaged_object_is_an_error() {
    let whole = object(INDEX);
    // Of the file, all that comes last is the table of sections.
    for length in (0..whole.len()).step_by(64) {
        let error = checked(&whole[..length], "entry all\n").unwrap_err();
        assert_has(
            &error,
            &["error: a.o: ", "hint: remove it and build it again"],
        );
    }
    let mut state: u32 = 1;
    for _ in 0..20_000 {
        let mut damaged = whole.clone();
        for _ in 0..4 {
            // xorshift32: the same in each run.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let at = state as usize % damaged.len();
            damaged[at] = (state >> 24) as u8;
        }
        // Whatever it says, it does not panic.
        let _ = checked(&damaged, "entry all\n");
    }
}

/// The offset in the file of the first relocation of the object.
fn first_relocation(object: &[u8]) -> usize {
    let number = |at: usize| {
        let bytes = object[at..at + 8].try_into().expect("8 bytes");
        u64::from_le_bytes(bytes) as usize
    };
    // Section headers have 64 bytes; a type of 4 is relocations, whose offset is at 24.
    let mut headers = (number(40)..object.len()).step_by(64);
    let header = headers.find(|at| object[at + 4..at + 8] == [4, 0, 0, 0]);
    number(header.expect("relocations") + 24)
}

#[test]
fn a_relocation_that_leads_nowhere_is_an_error() {
    let whole = object(INDEX);
    let place = first_relocation(&whole);
    let mut damaged = whole.clone();
    damaged[place + 1] = 0xff;
    let error = checked(&damaged, "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: a relocation outside of its section .text\n"],
    );
    let mut damaged = whole;
    damaged[place + 13] = 0xff;
    let error = checked(&damaged, "entry all\n").unwrap_err();
    assert_has(
        &error,
        &["a.o: a relocation against a symbol that is not there\n"],
    );
}

#[test]
fn files_are_named_that_cannot_be_read() {
    let arguments = ["/nonexistent/a.o", "b", "c"].map(str::to_owned);
    let error = run(&arguments).unwrap_err()[0].to_string();
    assert!(error.starts_with("error: /nonexistent/a.o: "), "{error}");
    let error = run(&[]).unwrap_err()[0].to_string();
    assert_has(&error, &["three arguments\nhint: check_calls OBJECT LIST"]);
}
