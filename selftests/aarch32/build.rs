// SPDX-License-Identifier: GPL-2.0

//! Compiles the guest. Debian has no core library for a 32-bit Arm target
//! without an operating system, so that is compiled first, from rust-src.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

/// Little-endian Armv7-A without FP in compiled code.
const TARGET: &str = "armv7a-none-eabi";

const OPTIONS: [&str; 6] = [
    "--edition=2021",
    "--target",
    TARGET,
    "-Copt-level=s",
    "-Cpanic=abort",
    "--out-dir",
];

fn main() {
    for path in ["build.rs", "guest", "guest.ld"].into_iter().chain([
        "src/interface.rs",
        "src/registers.rs",
        "../vmm/src/layout.rs",
    ]) {
        println!("cargo:rerun-if-changed={path}");
    }
    // clippy, where cargo runs it: then it compiles the guest.
    println!("cargo:rerun-if-env-changed=RUSTC_WORKSPACE_WRAPPER");
    let rustc = PathBuf::from(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    core(&rustc, &out);
    let library = |name: &str| format!("{name}={}", out.join(format!("lib{name}.rlib")).display());
    let compiler = || {
        let mut command = match env::var_os("RUSTC_WORKSPACE_WRAPPER") {
            Some(wrapper) => {
                let mut command = Command::new(wrapper);
                command.arg(&rustc);
                command
            }
            None => Command::new(&rustc),
        };
        command
            .args(OPTIONS)
            .arg(&out)
            .args(["-Dwarnings", "--extern", &library("core")]);
        command
    };
    run(compiler()
        .args(["--crate-name=compiler_builtins", "--crate-type=rlib"])
        // For the feature of the same name.
        .env("RUSTC_BOOTSTRAP", "1")
        .arg("guest/compiler_builtins.rs"));
    run(compiler()
        .args(["--crate-name=guest", "--crate-type=bin"])
        .arg("-L")
        .arg(&out)
        .args(["-Clinker=ld.lld", "-Clinker-flavor=ld.lld"])
        .args(["-Clink-arg=-Tguest.ld", "-Clink-arg=--oformat=binary"])
        .arg("guest/main.rs"));
}

/// Compiles the core library, unless this compiler has done so.
fn core(rustc: &Path, out: &Path) {
    let ask = |argument: &[&str]| {
        let mut command = Command::new(rustc);
        let output = command.args(argument).output();
        let output = output.unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        String::from_utf8(output.stdout).expect("rustc writes text")
    };
    let made_by = format!("{} {OPTIONS:?}", ask(&["-vV"]));
    let stamp = out.join("core.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_by) {
        return;
    }
    let sysroot = ask(&["--print", "sysroot"]);
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
    assert!(
        source.exists(),
        "{} is missing: install the package rust-src",
        source.display()
    );
    run(Command::new(rustc)
        .args(OPTIONS)
        .arg(out)
        .args([
            "--crate-name=core",
            "--crate-type=rlib",
            "--cap-lints=allow",
        ])
        // The library is written for a compiler of its own version, with all
        // features.
        .env("RUSTC_BOOTSTRAP", "1")
        .arg(source));
    fs::write(&stamp, made_by).expect("OUT_DIR can be written");
}

fn run(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    if !status.success() {
        eprintln!("the guest does not compile: {command:?} ended with {status}");
        exit(1);
    }
}
