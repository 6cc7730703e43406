// SPDX-License-Identifier: GPL-2.0
//! Finds the kernel's files that the crate consists of, and generates what the
//! kernel's build generates for them.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "build/vcpu_sysreg.rs"]
mod vcpu_sysreg;

/// Configuration options that are set here: all those that the files ask for.
const OPTIONS: [&str; 12] = [
    "CONFIG_64BIT",
    "CONFIG_AMPERE_ERRATUM_AC04_CPU_23",
    "CONFIG_ARM64_CNP",
    "CONFIG_ARM64_MTE",
    "CONFIG_ARM64_PA_BITS_52",
    "CONFIG_ARM64_POE",
    "CONFIG_ARM64_PSEUDO_NMI",
    "CONFIG_ARM64_SME",
    "CONFIG_ARM64_SVE",
    "CONFIG_HW_PERF_EVENTS",
    "CONFIG_NVHE_EL2_TRACING",
    "CONFIG_UNMAP_KERNEL_AT_EL0",
];

/// Names of other options that the files mention: with the first comes assembly
/// in files of its own, which is not for the build host.
const OTHER_OPTIONS: [&str; 5] = [
    "CONFIG_ARM64",
    "CONFIG_ARM64_BTI_KERNEL",
    "CONFIG_DEBUG_BUGVERBOSE_DETAILED",
    "CONFIG_KVM_ARM64_RUST_FAULTS",
    "CONFIG_RUST_BITFIELD_KUNIT_TEST",
];

/// The modules of KVM's code that are compiled, declared as in its crate roots,
/// `kvm_arm64.rs` and `kvm_arm64_nvhe.rs`.
const MODULES: &str = "\
    pub(crate) mod fpsimd;
    pub(crate) mod hyp;
    pub(crate) mod nvhe;
    pub(crate) mod sve;
    pub(crate) mod user_sysreg_sr;
    pub(crate) mod vector_length;
    pub(crate) mod vhe;
    pub(crate) mod view;
";

fn main() {
    for variable in ["KDIR", "KVM_RUST_CACHE"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    for option in OPTIONS {
        println!("cargo:rustc-cfg={option}");
    }
    for option in OPTIONS.iter().chain(&OTHER_OPTIONS) {
        println!("cargo:rustc-check-cfg=cfg({option})");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let ours = our_root();
    let kernel = kernel_root(&ours);

    // Tests read the C.
    println!("cargo:rustc-env=KERNEL={}", kernel.display());
    println!("cargo:rustc-env=KVM={}", kvm_root(&ours).display());
    // And the assembly of the primitives.
    println!(
        "cargo:rustc-env=PRIMITIVES={}",
        ours.join("rust/kernel/arm64").display()
    );
    // What the primitives include, where they look for it.
    println!("cargo:rustc-env=OBJTREE={}", out.display());
    let generated = out.join("rust/kernel/arm64");
    fs::create_dir_all(&generated).expect("OUT_DIR can be written");
    let registers = registers(&ours, &kernel, &out);
    write(&generated.join("registers_generated.rs"), &registers);
    write(&out.join("for_each.rs"), &for_each(&registers));
    write(&out.join("bindings.rs"), &bindings(&kernel));
    if env::var_os("CARGO_FEATURE_INSTRUCTIONS").is_some() {
        alternatives(&ours, &kernel, &out, &generated);
    }

    // A module in a file of its own cannot be named by a variable, so the
    // declarations are generated as well.
    write(
        &out.join("kernel.rs"),
        &kernel_modules(&ours, &kernel, &out),
    );
    write(&out.join("arm64.rs"), &arm64_modules(&ours));
    write(&out.join("kvm_arm64.rs"), &kvm_modules(&kvm_root(&ours)));
    let generator = ours.join("rust/arm64/sysreg/gen_sysreg.rs");
    write(
        &out.join("generator.rs"),
        &module(&generator, "mod gen_sysreg"),
    );
}

/// The folder that `rust/kernel/arm64.rs` is in: this repository, or the
/// kernel tree that it was applied to.
fn our_root() -> PathBuf {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    here.ancestors()
        .find(|folder| folder.join("rust/kernel/arm64.rs").exists())
        .expect("no folder above has rust/kernel/arm64.rs")
        .to_owned()
}

/// The folder of KVM's own code, in this repository or in a kernel tree.
fn kvm_root(ours: &Path) -> PathBuf {
    ["arch-arm64-kvm", "arch/arm64/kvm/rust"]
        .map(|folder| ours.join(folder))
        .into_iter()
        .find(|folder| folder.exists())
        .expect("KVM's code is next to the primitives")
}

/// The kernel source: the tree that this is part of, KDIR, or what
/// `scripts/xtask` has unpacked into its cache.
fn kernel_root(ours: &Path) -> PathBuf {
    let is_kernel = |folder: &PathBuf| folder.join("arch/arm64/tools/sysreg").exists();
    let unpacked = env::var_os("KVM_RUST_CACHE").and_then(|cache| {
        let entries = fs::read_dir(Path::new(&cache).join("source")).ok()?;
        let folders = entries.flatten().map(|entry| entry.path());
        folders.filter(is_kernel).max()
    });
    [
        Some(ours.to_owned()),
        env::var_os("KDIR").map(PathBuf::from),
        unpacked,
    ]
    .into_iter()
    .flatten()
    .find(is_kernel)
    .expect("no kernel source: set KDIR to a tree of Linux 7.3.y, or run `make test-quick` once")
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

/// Reads a file, and has cargo run this program again when it changes.
fn read(path: &Path) -> String {
    println!("cargo:rerun-if-changed={}", path.display());
    fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8(output.stdout).expect("the output is text")
}

/// The types of the registers, from the program that the kernel's build uses.
fn registers(ours: &Path, kernel: &Path, out: &Path) -> String {
    let source = ours.join("rust/arm64/sysreg/gen_sysreg.rs");
    let program = out.join("gen_sysreg");
    for folder in ["rust/arm64", "rust/arm64/sysreg"] {
        println!("cargo:rerun-if-changed={}", ours.join(folder).display());
    }
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    output(
        Command::new(rustc)
            .args(["--edition=2021", "-O", "-o"])
            .args([&program, &source]),
    );
    let inputs = [
        kernel.join("arch/arm64/tools/sysreg"),
        kernel.join("arch/arm64/include/asm/sysreg.h"),
        ours.join("rust/arm64/registers"),
    ];
    for input in &inputs {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    output(Command::new(&program).args(inputs))
}

/// A macro that calls another with the names of all registers.
fn for_each(registers: &str) -> String {
    let implementing = |role: &str| {
        let start = format!("impl {role} for ");
        let lines = registers
            .lines()
            .filter_map(|line| line.strip_prefix(&start));
        let names: Vec<&str> = lines
            .map(|line| line.trim_end_matches(['{', '}', ' ']))
            .collect();
        assert!(!names.is_empty(), "no {role}");
        names.join(", ")
    };
    format!(
        "macro_rules! for_each_register {{ ($then:ident) => {{ $then! {{\n\
         names: [{}];\nregisters: [{}];\nel0: [{}];\nel1: [{}];\nel2: [{}];\n}} }}; }}\n",
        implementing("RegisterName"),
        implementing("SystemRegister"),
        implementing("El0Register"),
        implementing("El1Register"),
        implementing("El2Register")
    )
}

/// The capabilities, numbered as `arch/arm64/tools/gen-cpucaps.awk` does.
fn capabilities(kernel: &Path) -> Vec<String> {
    let text = read(&kernel.join("arch/arm64/tools/cpucaps"));
    let lines = text.lines().map(str::trim);
    let names = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.map(str::to_owned).collect()
}

/// What the files use of the crate `bindings`.
fn bindings(kernel: &Path) -> String {
    let mut text = String::new();
    for (number, name) in capabilities(kernel).iter().enumerate() {
        let _ = writeln!(
            text,
            "/// Number of a capability.\npub const ARM64_{name}: u32 = {number};"
        );
    }
    let header = |name: &str| read(&kernel.join("arch/arm64/include/asm").join(name));
    let places = vcpu_sysreg::places(&header("kvm_host.h"), &header("vncr_mapping.h"));
    for (name, place) in &places {
        let _ = writeln!(
            text,
            "/// Place of a register in a context.\npub const vcpu_sysreg_{name}: u32 = {place};"
        );
    }
    let is_register = |name: &str| !name.starts_with("__") && name != "NR_SYS_REGS";
    let registers: Vec<_> = places
        .iter()
        .filter(|(name, _)| is_register(name))
        .collect();
    let _ = writeln!(
        text,
        "/// The places of all registers, by their names.\n\
         pub const VCPU_SYSREGS: [(&str, u32); {}] = {registers:?};",
        registers.len()
    );
    text
}

/// Expands the macros of alternatives, as the kernel's build does.
fn alternatives(ours: &Path, kernel: &Path, out: &Path, generated: &Path) {
    let include = out.join("include");
    for folder in ["asm", "generated"] {
        fs::create_dir_all(include.join(folder)).expect("OUT_DIR can be written");
    }
    // Headers of asm/ that the kernel's build makes of those in asm-generic/.
    for place in ["include/asm-generic", "include/uapi/asm-generic"] {
        let headers = fs::read_dir(kernel.join(place)).expect("the kernel's headers");
        for name in headers.flatten().map(|entry| entry.file_name()) {
            let name = name.to_string_lossy();
            let of_arm64 = |folder: &str| kernel.join(folder).join(&*name).exists();
            if !of_arm64("arch/arm64/include/asm") && !of_arm64("arch/arm64/include/uapi/asm") {
                let text = format!("#include <asm-generic/{name}>\n");
                write(&include.join("asm").join(&*name), &text);
            }
        }
    }
    let mut defines = String::new();
    let capabilities = capabilities(kernel);
    for (number, name) in capabilities.iter().enumerate() {
        let _ = writeln!(defines, "#define ARM64_{name} {number}");
    }
    let _ = writeln!(defines, "#define ARM64_NCAPS {}", capabilities.len());
    write(&include.join("asm/cpucap-defs.h"), &defines);
    write(&include.join("generated/autoconf.h"), "");
    let folders = [
        "arch/arm64/include",
        "include",
        "arch/arm64/include/uapi",
        "include/uapi",
    ]
    .map(|folder| kernel.join(folder));
    let sources = ours.join("rust/kernel/arm64");
    let entries = fs::read_dir(&sources).expect("the primitives can be listed");
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".S")) else {
            continue;
        };
        let source = entry.path();
        println!("cargo:rerun-if-changed={}", source.display());
        let text = output(
            Command::new("clang")
                .args([
                    "--target=aarch64-linux-gnu",
                    "-E",
                    "-P",
                    "-C",
                    "-nostdinc",
                    "-xc",
                ])
                .arg("-D__KERNEL__")
                .args([Path::new("-I"), &include])
                .args(folders.iter().flat_map(|f| [Path::new("-I"), f]))
                .arg("-include")
                .arg(kernel.join("include/linux/kconfig.h"))
                .arg(source),
        );
        let (_, expanded) = text.split_once("// Cut here.").expect("the line to cut at");
        write(&generated.join(name), expanded);
    }
}

/// Declares a module that is in a file of its own.
fn module(path: &Path, declaration: &str) -> String {
    println!("cargo:rerun-if-changed={}", path.display());
    format!("#[path = {path:?}]\n{declaration};\n")
}

/// The modules of KVM's code, whose files are looked for in its folder.
fn kvm_modules(folder: &Path) -> String {
    println!("cargo:rerun-if-changed={}", folder.display());
    format!("#[path = {folder:?}]\nmod kvm_arm64 {{\n{MODULES}}}\n")
}

/// Modules of the kernel crate that are in Linux, and ours that are not of
/// arm64.
fn kernel_modules(ours: &Path, kernel: &Path, out: &Path) -> String {
    let rust = kernel.join("rust/kernel");
    // A file that is named by a path looks for the modules in it in its own
    // folder, where those of num.rs are not.
    let num = out.join("num");
    fs::create_dir_all(&num).expect("OUT_DIR can be written");
    for (from, to) in [
        ("num.rs", "mod.rs"),
        ("num/bounded.rs", "bounded.rs"),
        ("num/casts.rs", "casts.rs"),
    ] {
        write(&num.join(to), &read(&rust.join(from)));
    }
    let mut modules = module(&rust.join("bitfield.rs"), "pub mod bitfield")
        + &module(&num.join("mod.rs"), "pub mod num");
    // What the FP hooks use.
    if env::var_os("CARGO_FEATURE_INSTRUCTIONS").is_none() {
        for name in ["preempt", "warn_once"] {
            let file = ours.join(format!("rust/kernel/{name}.rs"));
            modules += &module(&file, &format!("pub mod {name}"));
        }
    }
    modules
}

/// The primitives that need nothing of the rest of the kernel.
fn arm64_modules(ours: &Path) -> String {
    let path = |name: &str| ours.join(format!("rust/kernel/arm64/{name}.rs"));
    let mut modules = String::new();
    for name in [
        "barrier",
        "copy",
        "cpucap",
        "fp_access",
        "percpu",
        "registers",
        "speculation",
        "sysreg",
        "world",
    ] {
        modules += &module(&path(name), &format!("pub mod {name}"));
    }
    // Those of inline assembly.
    for name in ["fp_registers", "instruction"] {
        modules += &match env::var_os("CARGO_FEATURE_INSTRUCTIONS") {
            Some(_) => module(&path(name), &format!("mod {name}")),
            None => format!("pub(crate) use crate::simulated::{name};\n"),
        };
    }
    // Text for assembly in files of its own, and what only calls C.
    let others: &[&str] = match env::var_os("CARGO_FEATURE_INSTRUCTIONS") {
        Some(_) => &["alternative"],
        None => &["daif", "fp", "thread_flag"],
    };
    for name in others {
        modules += &module(&path(name), &format!("pub mod {name}"));
    }
    modules
}
