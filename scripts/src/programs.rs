// SPDX-License-Identifier: GPL-2.0
//! Programs that run on the emulated host: this repository's selftests/ and
//! the kernel's own.

use crate::context::{self, Context};
use crate::error::hinted;
use crate::lock::Lock;
use crate::tree::{self, Tree};
use crate::{digest, disk, files, kernel, process, source};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Target of our own programs.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Cross-compiler prefix.
const CROSS: &str = "aarch64-linux-gnu-";
/// Space that the kernel's selftests take.
const DISK_MIB: u64 = 600;

/// cargo for selftests/, with everything set for static arm64 programs.
pub fn cargo(ctx: &Context, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(arguments)
        .current_dir(ctx.checkout.join("selftests"))
        .env("CARGO_TARGET_DIR", ctx.target("selftests"));
    command
}

/// Lets a cargo command build and run what is for the build machine: it reads
/// files of the kernel source.
pub fn with_source(ctx: &Context, command: &mut Command) -> Result<()> {
    command.env("KDIR", source::find(ctx)?.path);
    Ok(())
}

/// The crate that is for the build machine alone.
const NOT_FOR_HOSTS: [&str; 2] = ["--exclude", "simulated-cpu"];

/// Only one run builds selftests/ at a time.
fn lock(ctx: &Context) -> Result<Lock> {
    let path = ctx.target("selftests.lock");
    Lock::take(&ctx.ui, &path, "the programs of selftests/")
}

/// Makes a cargo command build static programs for [`TARGET`].
pub fn cross(command: &mut Command) {
    command
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            format!("{CROSS}gcc"),
        )
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
}

/// Builds selftests/ and returns the folder with the programs.
pub fn build_ours(ctx: &Context) -> Result<PathBuf> {
    let _lock = lock(ctx)?;
    let step = ctx.ui.step("programs of selftests/");
    let log = ctx.log("selftests");
    let mut command = cargo(
        ctx,
        &[
            "build",
            "--release",
            "--locked",
            "--workspace",
            "--target",
            TARGET,
        ],
    );
    command.args(NOT_FOR_HOSTS);
    cross(&mut command);
    process::run(&mut command, &log, &step).context("selftests/ does not build")?;
    step.end("built");
    Ok(ctx.target("selftests").join(TARGET).join("release"))
}

/// How many steps building all of it takes at first sight.
pub fn steps_to_come(ctx: &Context, with_tests: bool) -> usize {
    let kernels = !files::beside(&ctx.cache.join("build/kselftest"), "stamp").exists();
    1 + usize::from(with_tests) + usize::from(kernels)
}

/// The executable of a crate's tests, in a line that cargo writes as JSON.
fn test_program(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if !message["profile"]["test"].as_bool()? {
        return None;
    }
    let name = message["target"]["name"].as_str()?.to_owned();
    Some((name, PathBuf::from(message["executable"].as_str()?)))
}

/// Builds the tests of selftests/ and returns the folder with their programs,
/// one for each crate.
pub fn build_tests(ctx: &Context) -> Result<PathBuf> {
    let _lock = lock(ctx)?;
    let step = ctx.ui.step("tests of selftests/");
    let arguments = [
        "test",
        "--no-run",
        "--release",
        "--locked",
        "--workspace",
        "--target",
        TARGET,
    ];
    let mut command = cargo(ctx, &arguments);
    command.args(["--message-format=json-render-diagnostics", "--quiet"]);
    command.args(NOT_FOR_HOSTS);
    cross(&mut command);
    let messages = process::output(&mut command).context("the tests of selftests/ do not build")?;
    let folder = ctx.target("selftests").join("tests");
    let built: Vec<_> = messages.lines().filter_map(test_program).collect();
    for (name, program) in &built {
        let bytes =
            fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        let place = folder.join(name);
        files::write_if_changed(&place, &bytes)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot set the permissions of {}", place.display()))?;
    }
    // Tests of a crate that is gone.
    for entry in fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
    {
        if !built
            .iter()
            .any(|(name, _)| entry.file_name() == name.as_str())
        {
            files::remove_all(&entry.path())?;
        }
    }
    step.end("built");
    Ok(folder)
}

/// Builds the kernel's selftests for KVM and FP and returns the folder they
/// are in: kvm/ and arm64/fp/. They stay where they are built, as `install`
/// puts what stands in different folders into one.
pub fn build_kernels(ctx: &Context) -> Result<PathBuf> {
    let out = ctx.cache.join("build/kselftest");
    let built = out.join("kselftest");
    if ctx.no_build && built.exists() {
        return Ok(built);
    }
    let source = source::find(ctx)?;
    let tree = tree::prepare(ctx, &source)?;
    let _lock = Lock::take(
        &ctx.ui,
        &files::beside(&out, "lock"),
        "the kernel's selftests",
    )?;
    let signature = digest::of_bytes(format!("{}\n{COLLECTIONS:?}", tree.patched).as_bytes());
    let stamp = files::beside(&out, "stamp");
    if fs::read_to_string(&stamp).is_ok_and(|s| s == signature) && built.exists() {
        return Ok(built);
    }
    disk::need(&ctx.cache, DISK_MIB, "the kernel's selftests")?;
    files::remove_all(&stamp)?;
    let step = ctx.ui.step("the kernel's selftests");
    let log = ctx.log("kselftest");
    process::run(
        kernel::make(ctx, &tree.path, &out).arg("headers"),
        &log,
        &step,
    )?;
    for (collection, arguments) in COLLECTIONS {
        let mut command = make(ctx, &tree, &out);
        command
            .arg(format!("TARGETS={collection}"))
            .args(*arguments)
            .arg("all");
        process::run(&mut command, &log, &step)
            .with_context(|| format!("the kernel's selftests of {collection} do not build"))?;
    }
    for program in WITNESSES {
        if !built.join(program).exists() {
            return Err(hinted(
                format!("the kernel's selftests built, but {program} is missing"),
                format!("look into {}", log.display()),
            ));
        }
    }
    files::write_atomic(&stamp, signature.as_bytes())?;
    step.end("built");
    Ok(built)
}

/// Collections of the kernel's selftests and their arguments for make.
const COLLECTIONS: &[(&str, &[&str])] = &[("kvm", &[]), ("arm64", &["ARM64_SUBTARGETS=fp"])];

/// One program of each collection, whose absence means a build that failed
/// quietly.
const WITNESSES: [&str; 2] = ["kvm/arm64/host_sve", "arm64/fp/fp-stress"];

fn make(ctx: &Context, tree: &Tree, out: &Path) -> Command {
    let mut command = Command::new("make");
    command
        .arg("-C")
        .arg(tree.path.join("tools/testing/selftests"))
        .arg(format!("O={}", out.display()))
        .arg(format!("-j{}", context::cpus() + 1))
        .args([
            "ARCH=arm64",
            "FORCE_TARGETS=1",
            "EXTRA_CFLAGS=-static",
            "LDFLAGS=-static -s",
        ])
        .arg(format!("CROSS_COMPILE={CROSS}"));
    kernel::environment(ctx, &mut command);
    command
}

#[cfg(test)]
mod tests {
    use super::test_program;
    use std::path::PathBuf;

    #[test]
    fn only_test_programs_are_taken() {
        let line = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"fp"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        assert_eq!(
            test_program(&line(true, "\"/t/fp-1\"")),
            Some(("fp".to_owned(), PathBuf::from("/t/fp-1")))
        );
        assert_eq!(test_program(&line(false, "\"/t/fp-1\"")), None);
        assert_eq!(test_program(&line(true, "null")), None);
        assert_eq!(
            test_program(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }
}
