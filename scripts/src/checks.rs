// SPDX-License-Identifier: GPL-2.0
//! Checks of this repository that need no host: formatting, lints, licences,
//! and unit tests.

use crate::changed_copy;
use crate::context::Context;
use crate::earlier::{self, Inputs};
use crate::libtest::{Printed, UnitTest};
use crate::plan::Verdict;
use crate::progress::Step;
use crate::unsafe_count::Counts;
use crate::{documents, explored, files, jobs, process, programs, series, source};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A check: its name, and what finds out whether it holds.
pub struct Check {
    /// Name of the test.
    pub name: &'static str,
    run: Run,
}

/// How a check finds out.
enum Run {
    /// In a few seconds, in each run.
    Quick(fn(&Context, &Path, &Step) -> Result<()>),
    /// From the whole repository and the kernel source, in longer than that.
    Slow(fn(&Context, &Path, &Step) -> Result<()>),
    /// By a command that compiles much.
    Lengthy(Lengthy),
}

/// A command that compiles much.
struct Lengthy {
    command: fn(&Context) -> Result<Command>,
    /// The folders of the repository that it reads.
    reads: &'static [&'static str],
    /// Whether it reads the kernel source.
    reads_kernel: bool,
}

/// What a command came to that passed.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Passed {
    unit_tests: Vec<UnitTest>,
    /// What [`explored::file`] has.
    explored: String,
}

/// What a check came to.
pub struct Checked {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What there is to say of it.
    pub detail: String,
    /// The unit tests that it ran, if those are what it runs.
    pub unit_tests: Vec<UnitTest>,
    /// When an earlier run had it pass, if it was not this one.
    pub recalled: Option<String>,
}

/// What the checks that run unit tests are called.
const UNIT_TESTS: &str = "unit-tests/";
/// The whole repository: tests of scripts/ read pages and sources, too.
const EVERYTHING: &[&str] = &[""];

/// All checks, cheapest first.
pub const ALL: [Check; 13] = [
    Check {
        name: "spdx",
        run: Run::Quick(spdx),
    },
    Check {
        name: "no-unsafe-logic",
        run: Run::Quick(no_unsafe_logic),
    },
    Check {
        name: "documentation",
        run: Run::Quick(documentation),
    },
    Check {
        name: "shellcheck",
        run: Run::Quick(shellcheck),
    },
    Check {
        name: "rustfmt/scripts",
        run: Run::Quick(rustfmt_scripts),
    },
    Check {
        name: "rustfmt/selftests",
        run: Run::Quick(rustfmt_selftests),
    },
    Check {
        name: "rustfmt/kernel",
        run: Run::Quick(rustfmt_kernel),
    },
    Check {
        name: "series",
        run: Run::Slow(series::check),
    },
    Check {
        name: "documentation/html",
        run: Run::Quick(|ctx, log, step| documents::html::make(ctx, log, step).map(drop)),
    },
    Check {
        name: "clippy/scripts",
        run: Run::Lengthy(Lengthy {
            command: clippy_scripts,
            reads: EVERYTHING,
            reads_kernel: false,
        }),
    },
    Check {
        name: "clippy/selftests",
        run: Run::Lengthy(Lengthy {
            command: clippy_selftests,
            reads: &changed_copy::FOLDERS,
            reads_kernel: true,
        }),
    },
    Check {
        name: "unit-tests/scripts",
        run: Run::Lengthy(Lengthy {
            command: test_scripts,
            reads: EVERYTHING,
            reads_kernel: false,
        }),
    },
    Check {
        name: "unit-tests/selftests",
        run: Run::Lengthy(Lengthy {
            command: test_selftests,
            reads: &changed_copy::FOLDERS,
            reads_kernel: true,
        }),
    },
];

/// A further one, that takes minutes.
pub const AT_LENGTH: Check = Check {
    name: "unit-tests/at-length",
    run: Run::Lengthy(Lengthy {
        command: test_at_length,
        reads: &changed_copy::FOLDERS,
        reads_kernel: true,
    }),
};

impl Check {
    /// Runs the check, or recalls that it passed where it may; what it prints is in its
    /// log.
    pub fn check(&self, ctx: &Context, recall: bool, step: &Step) -> Checked {
        let log = self.log(ctx);
        let (result, recalled) = match &self.run {
            Run::Quick(run) => (run(ctx, &log, step).map(|()| Passed::default()), None),
            Run::Slow(run) => {
                let inputs = || inputs(ctx, self.name, EVERYTHING, true);
                let came = earlier::recall_or_run(ctx, recall, inputs, || run(ctx, &log, step));
                (came.result.map(|()| Passed::default()), came.recalled)
            }
            Run::Lengthy(lengthy) => {
                let inputs = || lengthy.inputs(ctx, self.name);
                let came = earlier::recall_or_run(ctx, recall, inputs, || {
                    jobs::run(&mut (lengthy.command)(ctx)?, &log, step)?;
                    Ok(Passed {
                        unit_tests: self.unit_tests(&log)?,
                        explored: explored::written(ctx, self.name)?,
                    })
                });
                (came.result, came.recalled)
            }
        };
        // It is as if the tests of this run had written it.
        let result = result.and_then(|passed| {
            if recalled.is_some() && !passed.explored.is_empty() {
                files::write_atomic(&explored::file(ctx, self.name), passed.explored.as_bytes())?;
            }
            Ok(passed)
        });
        let (result, unit_tests) = match result {
            Ok(passed) => (Ok(()), passed.unit_tests),
            Err(error) => (Err(error), self.unit_tests_so_far(&log)),
        };
        let (verdict, detail) = Verdict::of(result);
        Checked {
            verdict,
            detail,
            unit_tests,
            recalled,
        }
    }

    fn log(&self, ctx: &Context) -> PathBuf {
        ctx.log(&format!("check-{}", self.name))
    }

    /// The unit tests that the check ran and that passed, if those are what it runs. All
    /// of them must have been understood.
    fn unit_tests(&self, log: &Path) -> Result<Vec<UnitTest>> {
        if !self.name.starts_with(UNIT_TESTS) {
            return Ok(Vec::new());
        }
        let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
        // What a test prints need not be text.
        let printed = Printed::parse(&String::from_utf8_lossy(&bytes));
        let whole = printed.check_whole();
        whole.with_context(|| format!("in {}", log.display()))?;
        Ok(printed.tests)
    }

    /// Those that a check ran which failed. It may not have come to them, and has said why.
    fn unit_tests_so_far(&self, log: &Path) -> Vec<UnitTest> {
        if !self.name.starts_with(UNIT_TESTS) {
            return Vec::new();
        }
        let bytes = fs::read(log).unwrap_or_default();
        Printed::parse(&String::from_utf8_lossy(&bytes)).tests
    }
}

impl Lengthy {
    /// All that decides what it comes to.
    fn inputs(&self, ctx: &Context, name: &str) -> Result<Inputs> {
        let inputs = inputs(ctx, name, self.reads, self.reads_kernel)?;
        Ok(inputs.command(ctx, &(self.command)(ctx)?))
    }
}

/// All that decides what the check `name` comes to, but for the command that it runs.
fn inputs(ctx: &Context, name: &str, reads: &[&str], reads_kernel: bool) -> Result<Inputs> {
    let inputs = Inputs::of(ctx, name).judge(ctx)?.files(ctx, reads)?;
    match reads_kernel {
        true => inputs.source(&source::find(ctx)?),
        false => Ok(inputs),
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

const CLIPPY: [&str; 6] = [
    "clippy",
    "--locked",
    "--workspace",
    "--all-targets",
    "--release",
    "--",
];

fn clippy_scripts(ctx: &Context) -> Result<Command> {
    let mut command = cargo_scripts(ctx, &CLIPPY);
    command.args(["-D", "warnings"]);
    Ok(command)
}

fn clippy_selftests(ctx: &Context) -> Result<Command> {
    let mut command = programs::cargo(ctx, &["clippy", "--locked", "--release", "--workspace"]);
    programs::with_source(ctx, &mut command)?;
    programs::cross(ctx, &mut command);
    command
        .arg("--all-targets")
        .args(["--target", programs::TARGET, "--", "-D", "warnings"]);
    Ok(command)
}

fn test_scripts(ctx: &Context) -> Result<Command> {
    let mut command = cargo_scripts(ctx, &["test", "--locked", "--release", "--workspace"]);
    // A page that has changed is shown in the log, not put beside the old.
    command.env("INSTA_UPDATE", "no");
    Ok(command)
}

fn test_selftests(ctx: &Context) -> Result<Command> {
    let excluded: &[&str] = match cfg!(target_arch = "aarch64") {
        true => &[],
        false => &programs::FOR_ARM64,
    };
    let mut command = programs::cargo(ctx, &["test", "--locked", "--workspace"]);
    programs::with_source(ctx, &mut command)?;
    command
        .env(
            explored::VARIABLE,
            explored::file(ctx, "unit-tests/selftests"),
        )
        .args(excluded.iter().map(|name| format!("--exclude={name}")));
    Ok(command)
}

/// The tests on the simulated CPU that take minutes.
fn test_at_length(ctx: &Context) -> Result<Command> {
    let mut command = programs::cargo(
        ctx,
        &["test", "--locked", "--release", "-p", "simulated-cpu"],
    );
    programs::with_source(ctx, &mut command)?;
    command
        .env(explored::VARIABLE, explored::file(ctx, AT_LENGTH.name))
        .args(["--", "--ignored", "--nocapture", "--test-threads=1"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earlier::tests::context;
    use crate::explored::Explored;
    use crate::version;

    const TESTS: Check = Check {
        name: "unit-tests/selftests",
        run: Run::Lengthy(Lengthy {
            command: |ctx| {
                let mut command = Command::new("sh");
                command
                    .args([
                        "-c",
                        "cat printed; cat explored >>\"$KVM_RUST_EXPLORED\"; . ./then",
                    ])
                    .current_dir(ctx.checkout.join("selftests"))
                    .env(explored::VARIABLE, explored::file(ctx, TESTS.name));
                Ok(command)
            },
            reads: &["selftests"],
            reads_kernel: false,
        }),
    };

    fn write(ctx: &Context, name: &str, text: &str) {
        files::write_atomic(&ctx.checkout.join(name), text.as_bytes()).unwrap();
    }

    #[test]
    fn a_check_that_passed_is_recalled_with_its_unit_tests_and_explorations() {
        let dir = tempfile::tempdir().unwrap();
        let here = || {
            let ctx = context(dir.path(), "a");
            for (name, text) in [
                ("printed", "running 2 tests\ntest a ... ok\ntest b ... ok\n"),
                (
                    "explored",
                    "{\"machine\":\"VHE\",\"states\":5,\"depth\":1,\"steps\":2,\
                     \"violations\":0,\"seconds\":1.5}\n",
                ),
                ("then", "true\n"),
            ] {
                write(&ctx, &format!("selftests/{name}"), text);
            }
            ctx
        };
        let check = |ctx: &Context, recall| {
            let checked = TESTS.check(ctx, recall, &ctx.ui.step("t"));
            (checked, explored::read(ctx).unwrap())
        };
        let whole = |(checked, explored): &(Checked, Vec<Explored>)| {
            assert_eq!(checked.verdict, Verdict::Passed, "{}", checked.detail);
            assert_eq!(checked.unit_tests.len(), 2);
            assert_eq!((explored.len(), explored[0].states), (1, 5));
        };
        let first = check(&here(), true);
        whole(&first);
        assert_eq!(first.0.recalled, None);
        let second = check(&here(), true);
        whole(&second);
        assert!(second.0.recalled.is_some());
        assert_eq!(second.0.unit_tests, first.0.unit_tests);
        let full = check(&here(), false);
        whole(&full);
        assert_eq!(full.0.recalled, None, "make test-full");

        let ctx = here();
        write(
            &ctx,
            "selftests/printed",
            "running 2 tests\ntest a ... ok\n",
        );
        for _ in 0..2 {
            let (checked, _) = check(&ctx, true);
            assert!(
                matches!(checked.verdict, Verdict::Failed(_)),
                "b is missing"
            );
            assert_eq!((checked.unit_tests.len(), checked.recalled), (1, None));
            files::remove_all(&TESTS.log(&ctx)).unwrap();
        }
        let ctx = here();
        write(&ctx, "selftests/then", "false\n");
        for _ in 0..2 {
            let (checked, _) = check(&ctx, true);
            assert!(matches!(checked.verdict, Verdict::Failed(_)));
            assert_eq!(checked.recalled, None);
        }
    }

    #[test]
    fn a_lengthy_check_depends_on_all_that_it_reads() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let put = |name: &str, text: &str| {
            files::write_atomic(&dir.path().join("cache/source").join(name), text.as_bytes())
                .unwrap();
        };
        let makefile = version::makefile("7.3.4");
        for folder in ["linux-1", "linux-2"] {
            put(&format!("{folder}/Makefile"), &makefile);
        }
        let identities = || -> Vec<(&str, Option<String>)> {
            let lengthy = ALL.iter().filter_map(|check| match &check.run {
                Run::Lengthy(lengthy) => Some((check.name, lengthy)),
                Run::Quick(_) | Run::Slow(_) => None,
            });
            lengthy
                .map(|(name, lengthy)| (name, lengthy.inputs(&ctx, name).unwrap().identity()))
                .collect()
        };
        let changed_by = |change: &dyn Fn()| {
            let before = identities();
            assert_eq!(before, identities());
            change();
            let both = before.into_iter().zip(identities());
            let changed = both.filter(|(before, after)| before.1 != after.1);
            changed.map(|(before, _)| before.0).collect::<Vec<_>>()
        };
        put("default.json", "{\"folder\":\"linux-1\"}");
        let all = [
            "clippy/scripts",
            "clippy/selftests",
            "unit-tests/scripts",
            "unit-tests/selftests",
        ];
        let [clippy, clippy_selftests, scripts, selftests] = all;
        for (file, expected) in [
            ("scripts/src/new.rs", &all[..]),
            ("selftests/Cargo.lock", &all),
            ("arch-arm64-kvm/fpsimd.rs", &all),
            ("rust/kernel/arm64.rs", &all),
            ("scripts/templates/x.html", &[clippy, scripts]),
            ("patches/1.patch", &[clippy, scripts]),
        ] {
            assert_eq!(changed_by(&|| write(&ctx, file, "")), expected, "{file}");
        }
        let other_kernel = || put("default.json", "{\"folder\":\"linux-2\"}");
        assert_eq!(changed_by(&other_kernel), [clippy_selftests, selftests]);
    }

    #[test]
    fn licence_line_must_be_at_the_top() {
        assert!(has_spdx(b"#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n"));
        assert!(!has_spdx(b"\n\n\n\n// SPDX-License-Identifier: GPL-2.0\n"));
        assert!(!has_spdx(b"// SPDX-License-Identifier: MIT\n"));
        assert!(needs_no_spdx(Path::new("patches/0001-x.patch")));
        assert!(!needs_no_spdx(Path::new("scripts/src/main.rs")));
    }
}
