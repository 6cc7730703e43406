// SPDX-License-Identifier: GPL-2.0
//! Programs that run on the emulated host: this repository's selftests/ and
//! the kernel's own.

use crate::context::Context;
use crate::error::hinted;
use crate::lock::Lock;
use crate::stamp::Stamp;
use crate::tree::{self, Tree};
use crate::{digest, disk, files, jobs, kernel, process, source};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Target of our own programs.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// That of programs for AArch32: Debian's armhf.
const ARMHF: &str = "armv7-unknown-linux-gnueabihf";
/// Cross-compiler prefix.
const CROSS: &str = "aarch64-linux-gnu-";
/// The linkers, by the variables that cargo takes them from.
const LINKERS: [(&str, &str); 2] = [
    (
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        "aarch64-linux-gnu-gcc",
    ),
    (
        "CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER",
        "arm-linux-gnueabihf-gcc",
    ),
];
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
/// Crates with tests that need a host: its CPU, its kernel, or libraries that are for arm64 only.
/// What the others test is the same on the build machine, which does so.
const TESTED_ON_HOSTS: [&str; 7] = [
    "aarch32",
    "bench",
    "fp",
    "fp-counters",
    "hostile-host",
    "sve-abi",
    "vmm",
];
/// Those of them that do not build for another architecture.
pub const FOR_ARM64: [&str; 3] = ["aarch32", "hostile-host", "vmm"];

/// Only one run builds selftests/ at a time.
fn lock(ctx: &Context) -> Result<Lock> {
    let path = ctx.target("selftests.lock");
    Lock::take(&ctx.ui, &path, "the programs of selftests/")
}

/// Where cargo keeps the sources of crates.
pub fn cargo_home() -> PathBuf {
    let default = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(default, PathBuf::from)
}

/// Makes a cargo command build static programs for [`TARGET`] or [`ARMHF`]. The same
/// sources give the same bytes, wherever this checkout, what is built from it
/// and cargo's own folder are: their paths, which rustc puts into the places of
/// panics, are written in another way.
pub fn cross(ctx: &Context, command: &mut Command) {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    // The last one that fits is taken, and the others may be in the checkout.
    for (from, to) in [
        (ctx.checkout.clone(), "/checkout"),
        (cargo_home(), "/cargo"),
        (ctx.target("selftests"), "/target"),
    ] {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    command
        .envs(LINKERS)
        // Unlike RUSTFLAGS, it can hold paths with spaces.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
}

/// Builds selftests/ and returns the folder with the programs.
pub fn build_ours(ctx: &Context) -> Result<PathBuf> {
    let [except, name] = NOT_FOR_HOSTS;
    let which = ["--workspace", except, name];
    build(ctx, ("programs of selftests/", TARGET), &which)
}

/// Builds what armhf guests run and returns the folder with it.
pub fn build_armhf(ctx: &Context) -> Result<PathBuf> {
    let which = ["--package", "guest-init"];
    build(ctx, ("programs of selftests/ for armhf", ARMHF), &which)
}

fn build(ctx: &Context, (title, target): (&str, &str), which: &[&str]) -> Result<PathBuf> {
    let _lock = lock(ctx)?;
    let step = ctx.ui.step(title);
    let arguments = ["build", "--release", "--locked", "--target", target];
    let mut command = cargo(ctx, &arguments);
    command.args(which);
    cross(ctx, &mut command);
    jobs::run(&mut command, &ctx.log(title), &step).context("selftests/ does not build")?;
    step.end("built");
    Ok(ctx.target("selftests").join(target).join("release"))
}

/// How many steps building all of it takes at first sight.
pub fn steps_to_come(ctx: &Context, with_tests: bool) -> usize {
    let kernels = !Stamp::of(&ctx.cache.join("build/kselftest")).exists();
    2 + usize::from(with_tests) + usize::from(kernels)
}

/// The executable of a crate's tests, in a line that cargo writes as JSON.
pub fn test_program(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if !message["profile"]["test"].as_bool()? {
        return None;
    }
    let name = message["target"]["name"].as_str()?.to_owned();
    Some((name, PathBuf::from(message["executable"].as_str()?)))
}

/// Builds the tests of selftests/ that hosts run, and returns the folder with their
/// programs, one for each crate.
pub fn build_tests(ctx: &Context) -> Result<PathBuf> {
    let _lock = lock(ctx)?;
    let step = ctx.ui.step("tests of selftests/");
    let arguments = [
        "test",
        "--no-run",
        "--release",
        "--locked",
        "--target",
        TARGET,
    ];
    let mut command = cargo(ctx, &arguments);
    command.args(["--message-format=json-render-diagnostics", "--quiet"]);
    command.args(TESTED_ON_HOSTS.map(|name| format!("--package={name}")));
    cross(ctx, &mut command);
    let messages = jobs::output(&mut command).context("the tests of selftests/ do not build")?;
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
    let compiler = process::output(Command::new(format!("{CROSS}gcc")).arg("--version"))?;
    let signature =
        digest::of_bytes(format!("{}\n{COLLECTIONS:?}\n{compiler}", tree.patched).as_bytes());
    let stamp = Stamp::of(&out);
    if stamp.is(&signature) && built.exists() {
        return Ok(built);
    }
    disk::need(&ctx.cache, DISK_MIB, "the kernel's selftests")?;
    stamp.remove()?;
    let step = ctx.ui.step("the kernel's selftests");
    let log = ctx.log("kselftest");
    jobs::run(
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
        jobs::run(&mut command, &log, &step)
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
    stamp.write(&signature)?;
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
    use super::*;

    /// Builds a program in whose bytes rustc puts the path of a source file
    /// that its build script wrote.
    fn build(checkout: &Path, cache: &Path) -> Vec<u8> {
        let ctx = Context::of_test(checkout, cache);
        let write = |name: &str, text: &str| {
            files::write_atomic(&checkout.join("selftests").join(name), text.as_bytes()).unwrap();
        };
        write(
            "Cargo.toml",
            "[package]\nname = \"program\"\nedition = \"2021\"\n[profile.release]\nstrip = true\n",
        );
        write(
            "build.rs",
            "fn main() {\n    let folder = std::env::var(\"OUT_DIR\").unwrap();\n    \
             std::fs::write(folder + \"/path.rs\", \"file!()\").unwrap();\n}\n",
        );
        write(
            "src/main.rs",
            "fn main() {\n    print!(\"{}\", include!(concat!(env!(\"OUT_DIR\"), \"/path.rs\")));\n}\n",
        );
        let arguments = [
            "build",
            "--quiet",
            "--release",
            "--offline",
            "--target",
            TARGET,
        ];
        let mut command = cargo(&ctx, &arguments);
        cross(&ctx, &mut command);
        process::output(&mut command).unwrap();
        let folder = ctx.target("selftests").join(TARGET).join("release");
        fs::read(folder.join("program")).unwrap()
    }

    #[test]
    fn tests_for_arm64_alone_are_run_on_hosts() {
        assert!(FOR_ARM64.iter().all(|name| TESTED_ON_HOSTS.contains(name)));
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let selftests = scripts.parent().unwrap().join("selftests");
        let mut seen = 0;
        for entry in walkdir::WalkDir::new(&selftests) {
            let path = entry.unwrap().into_path();
            let inside = path.strip_prefix(&selftests).unwrap();
            let name = inside.iter().next().unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "rs")
                && files::read_text(&path).unwrap().contains("cfg(target_arch")
            {
                assert!(TESTED_ON_HOSTS.iter().any(|n| name == *n), "{inside:?}");
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn programs_are_the_same_wherever_they_are_built() {
        let dir = tempfile::tempdir().unwrap();
        let at = |checkout: &str, cache: &str| {
            build(&dir.path().join(checkout), &dir.path().join(cache))
        };
        let program = at("here", "cache");
        assert!(
            program.windows(8).any(|bytes| bytes == b"/target/"),
            "the path is not in it"
        );
        assert!(program == at("a folder/elsewhere", "another cache"));
    }

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
