// SPDX-License-Identifier: GPL-2.0
//! Checks of this repository that need no host: formatting, lints, licences,
//! and unit tests.

use crate::context::Context;
use crate::libtest::{Printed, UnitTest};
use crate::plan::Verdict;
use crate::progress::Step;
use crate::unsafe_count::Counts;
use crate::{documents, explored, files, process, programs, series, source, tree};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A check: its name, and what finds out whether it holds.
pub struct Check {
    /// Name of the test.
    pub name: &'static str,
    run: fn(&Context, &Path, &Step) -> Result<()>,
}

/// What the checks that run unit tests are called.
const UNIT_TESTS: &str = "unit-tests/";

/// All checks, cheapest first.
pub const ALL: [Check; 13] = [
    Check {
        name: "spdx",
        run: spdx,
    },
    Check {
        name: "no-unsafe-logic",
        run: no_unsafe_logic,
    },
    Check {
        name: "documentation",
        run: documentation,
    },
    Check {
        name: "shellcheck",
        run: shellcheck,
    },
    Check {
        name: "rustfmt/scripts",
        run: rustfmt_scripts,
    },
    Check {
        name: "rustfmt/selftests",
        run: rustfmt_selftests,
    },
    Check {
        name: "rustfmt/kernel",
        run: rustfmt_kernel,
    },
    Check {
        name: "checkpatch",
        run: checkpatch,
    },
    Check {
        name: "series/same-tree",
        run: series::check,
    },
    Check {
        name: "clippy/scripts",
        run: clippy_scripts,
    },
    Check {
        name: "clippy/selftests",
        run: clippy_selftests,
    },
    Check {
        name: "unit-tests/scripts",
        run: test_scripts,
    },
    Check {
        name: "unit-tests/selftests",
        run: test_selftests,
    },
];

/// A further one, that takes minutes.
pub const AT_LENGTH: Check = Check {
    name: "unit-tests/at-length",
    run: test_at_length,
};

impl Check {
    /// Runs the check; what it prints is in its log.
    pub fn verdict(&self, ctx: &Context, step: &Step) -> (Verdict, String) {
        Verdict::of((self.run)(ctx, &self.log(ctx), step))
    }

    fn log(&self, ctx: &Context) -> PathBuf {
        ctx.log(&format!("check-{}", self.name))
    }

    /// The unit tests that the check ran, if those are what it runs. Where it
    /// passed, all of them must have been understood.
    pub fn unit_tests(&self, ctx: &Context, verdict: &Verdict) -> Result<Vec<UnitTest>> {
        if !self.name.starts_with(UNIT_TESTS) {
            return Ok(Vec::new());
        }
        let log = self.log(ctx);
        let bytes = match fs::read(&log) {
            // It did not come to them, and has said why.
            Err(_) if *verdict != Verdict::Passed => return Ok(Vec::new()),
            read => read.with_context(|| format!("cannot read {}", log.display()))?,
        };
        // What a test prints need not be text.
        let printed = Printed::parse(&String::from_utf8_lossy(&bytes));
        if *verdict == Verdict::Passed {
            let whole = printed.check_whole();
            whole.with_context(|| format!("in {}", log.display()))?;
        }
        Ok(printed.tests)
    }
}

/// git in the checkout.
pub fn git(ctx: &Context) -> Command {
    let mut command = Command::new("git");
    command
        // In a user namespace the checkout seems to be somebody else's.
        .args(["-c", "safe.directory=*", "-C"])
        .arg(&ctx.checkout);
    command
}

/// Every file of the repository that is not ignored.
pub fn repository_files(ctx: &Context) -> Result<Vec<PathBuf>> {
    let list = process::output(git(ctx).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))?;
    let all = list
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    Ok(all
        .filter(|name| ctx.checkout.join(name).is_file())
        .collect())
}

/// Files that have no place for a licence line: the licence, patches (mails),
/// and what cargo and insta generate.
fn needs_no_spdx(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "LICENSE" || name == "Cargo.lock" || name.ends_with(".patch") || name.ends_with(".snap")
}

fn has_spdx(text: &[u8]) -> bool {
    text.split(|&b| b == b'\n')
        .take(3)
        .any(|line| String::from_utf8_lossy(line).contains("SPDX-License-Identifier: GPL-2.0"))
}

fn spdx(ctx: &Context, _: &Path, _: &Step) -> Result<()> {
    let mut bare = Vec::new();
    for path in repository_files(ctx)?
        .into_iter()
        .filter(|p| !needs_no_spdx(p))
    {
        let full = ctx.checkout.join(&path);
        let text = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        if !has_spdx(&text) {
            bare.push(path.display().to_string());
        }
    }
    anyhow::ensure!(
        bare.is_empty(),
        "no SPDX line for GPL-2.0 at the top of: {}",
        bare.join(" ")
    );
    Ok(())
}

/// How much unsafe code the layers have.
pub fn count_unsafe(ctx: &Context) -> Result<Counts> {
    Counts::of(&ctx.checkout, &repository_files(ctx)?)
}

fn no_unsafe_logic(ctx: &Context, _: &Path, _: &Step) -> Result<()> {
    count_unsafe(ctx)?.check()
}

fn documentation(ctx: &Context, _: &Path, _: &Step) -> Result<()> {
    let source = source::find(ctx)?;
    let files = repository_files(ctx)?;
    documents::check(&ctx.checkout, &files, &source.path)
}

fn shellcheck(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    let mut command = Command::new("shellcheck");
    command
        .args(["--external-sources", "--source-path=SCRIPTDIR/.."])
        .current_dir(&ctx.checkout);
    for path in repository_files(ctx)? {
        let full = ctx.checkout.join(&path);
        let text = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        let first = text.split(|&b| b == b'\n').next().unwrap_or_default();
        let script = first.starts_with(b"#!") && first.ends_with(b"sh");
        if script || path.extension().is_some_and(|e| e == "sh") {
            command.arg(path);
        }
    }
    process::run(&mut command, log, step)
}

/// cargo for scripts/, with the target folder that scripts/xtask uses.
fn cargo_scripts(ctx: &Context, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(arguments)
        .current_dir(ctx.scripts())
        .env("CARGO_TARGET_DIR", ctx.target("xtask"));
    command
}

fn rustfmt_scripts(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    process::run(
        &mut cargo_scripts(ctx, &["fmt", "--all", "--check"]),
        log,
        step,
    )
}

fn rustfmt_selftests(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    process::run(
        &mut programs::cargo(ctx, &["fmt", "--all", "--check"]),
        log,
        step,
    )
}

fn rustfmt_kernel(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    let source = source::find(ctx)?;
    let sources: Vec<PathBuf> = repository_files(ctx)?
        .into_iter()
        .filter(|p| p.starts_with("arch-arm64-kvm") || p.starts_with("rust"))
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect();
    if sources.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("rustfmt");
    command
        .current_dir(&ctx.checkout)
        .args(["--check", "--edition", "2021", "--config-path"])
        .arg(source.path.join(".rustfmt.toml"))
        .args(sources);
    process::run(&mut command, log, step)
}

fn checkpatch(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    let patches: Vec<PathBuf> = repository_files(ctx)?
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "patch"))
        .map(|p| ctx.checkout.join(p))
        .collect();
    if patches.is_empty() {
        return Ok(());
    }
    let source = source::find(ctx)?;
    let tree = tree::prepare(ctx, &source)?;
    let mut command = Command::new("perl");
    command
        .current_dir(&tree.path)
        .args([
            "scripts/checkpatch.pl",
            "--strict",
            "--quiet",
            "--no-signoff",
            "--terse",
        ])
        // MAINTAINERS has no entry for files that only exist here.
        .args(["--ignore", "FILE_PATH_CHANGES"])
        .args(patches);
    process::run(&mut command, log, step)
}

const CLIPPY: [&str; 6] = [
    "clippy",
    "--locked",
    "--workspace",
    "--all-targets",
    "--release",
    "--",
];

fn clippy_scripts(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    process::run(
        cargo_scripts(ctx, &CLIPPY).args(["-D", "warnings"]),
        log,
        step,
    )
}

fn clippy_selftests(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    let mut command = programs::cargo(ctx, &["clippy", "--locked", "--release", "--workspace"]);
    programs::with_source(ctx, &mut command)?;
    programs::cross(ctx, &mut command);
    command.arg("--all-targets");
    process::run(
        command.args(["--target", programs::TARGET, "--", "-D", "warnings"]),
        log,
        step,
    )
}

fn test_scripts(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    process::run(
        // A page that has changed is shown in the log, not put beside the old.
        cargo_scripts(ctx, &["test", "--locked", "--release", "--workspace"])
            .env("INSTA_UPDATE", "no"),
        log,
        step,
    )
}

fn test_selftests(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    // The crates that programs with vCPUs stand on do not build for another
    // architecture.
    let with_vcpus: &[&str] = if cfg!(target_arch = "aarch64") {
        &[]
    } else {
        &[
            "--exclude=aarch32",
            "--exclude=hostile-host",
            "--exclude=vmm",
        ]
    };
    let mut command = programs::cargo(ctx, &["test", "--locked", "--workspace"]);
    programs::with_source(ctx, &mut command)?;
    command.env(explored::VARIABLE, explored::file(ctx));
    process::run(command.args(with_vcpus), log, step)
}

/// The tests on the simulated CPU that take minutes.
fn test_at_length(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    let mut command = programs::cargo(
        ctx,
        &["test", "--locked", "--release", "-p", "simulated-cpu"],
    );
    programs::with_source(ctx, &mut command)?;
    command.env(explored::VARIABLE, explored::file(ctx)).args([
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    process::run(&mut command, log, step)
}

/// Removes logs of runs before the last `keep`.
pub fn prune_logs(ctx: &Context, keep: usize) -> Result<()> {
    let folder = ctx.cache.join("log");
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(());
    };
    let mut runs: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    runs.sort();
    for old in &runs[..runs.len().saturating_sub(keep)] {
        files::remove_all(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_line_must_be_at_the_top() {
        assert!(has_spdx(b"#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n"));
        assert!(!has_spdx(b"\n\n\n\n// SPDX-License-Identifier: GPL-2.0\n"));
        assert!(!has_spdx(b"// SPDX-License-Identifier: MIT\n"));
        assert!(needs_no_spdx(Path::new("patches/0001-x.patch")));
        assert!(!needs_no_spdx(Path::new("scripts/src/main.rs")));
    }
}
