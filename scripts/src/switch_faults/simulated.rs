// SPDX-License-Identifier: GPL-2.0
//! The judge that runs the tests of selftests/simulated-cpu, from a copy of the
//! sources.

use super::list::Fault;
use crate::changed_copy::{self, ChangedCopy};
use crate::context::Context;
use crate::earlier::Inputs;
use crate::libtest::{Printed, UnitTest};
use crate::plan::Verdict;
use crate::progress::Step;
use crate::{files, process, source};
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Where faults are made.
pub struct Simulated<'a> {
    ctx: &'a Context,
    /// With one fault at a time in it.
    copy: Mutex<ChangedCopy<'a>>,
    tests_folder: PathBuf,
    /// What compiles them.
    cargo: Command,
}

impl<'a> Simulated<'a> {
    /// In a copy of this checkout's sources.
    pub fn new(ctx: &'a Context) -> Result<Self> {
        let copy = ChangedCopy::new(ctx, "switch-faults")?;
        Ok(Self {
            ctx,
            tests_folder: copy.tests_folder(),
            cargo: copy.cargo_for_tests()?,
            copy: Mutex::new(copy),
        })
    }

    /// With all that decides what this judge says, but for the fault.
    pub fn inputs(&self, inputs: Inputs) -> Result<Inputs> {
        inputs
            .command(self.ctx, &self.cargo)
            .files(self.ctx, &changed_copy::FOLDERS)?
            .source(&source::find(self.ctx)?)
    }

    /// Compiles the tests with `fault` made, or with none, and returns the program.
    /// It stays while another is compiled.
    fn compile(&self, name: &str, fault: Option<&Fault>) -> Result<PathBuf> {
        // Who panicked has left a copy that is restored all the same.
        let copy = self.copy.lock().unwrap_or_else(|e| e.into_inner());
        copy.restore(|_, bytes| Ok(bytes))?;
        if let Some(fault) = fault {
            fault.make_in(&copy.folder().join("arch-arm64-kvm"))?;
        }
        let program = copy
            .compile_tests(&[])
            .context("not tried: it does not compile")?;
        let kept = self.ctx.logs.join(format!("switch-faults-{name}-tests"));
        fs::copy(&program, &kept).with_context(|| format!("cannot copy {}", program.display()))?;
        Ok(kept)
    }

    /// Runs the tests of these names with `fault` made, or with none.
    fn run(&self, name: &str, fault: Option<&Fault>, tests: &[&str], step: &Step) -> Result<Ran> {
        let program = self.compile(name, fault)?;
        let log = self.ctx.log(&format!("switch-faults-{name}"));
        let status = process::run_status(
            Command::new(&program)
                .args(tests)
                .current_dir(&self.tests_folder)
                .env("RUST_BACKTRACE", "0"),
            &log,
            step,
        )?;
        files::remove_all(&program)?;
        let bytes = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        // What a test prints need not be text.
        let text = String::from_utf8_lossy(&bytes);
        let ran = Ran::new(&text, log);
        let all_passed = text.contains("\ntest result: ok. ");
        ensure!(
            status.success() == ran.failed.is_empty() && status.success() == all_passed,
            "not tried: the tests end with {} and {} failures\nlog: {}",
            process::describe(status),
            ran.failed.len(),
            ran.log.display()
        );
        Ok(ran)
    }

    /// Fails if a test that has to notice one of `faults` does not pass with
    /// the sources as they are. What is among `unit_tests` has passed with them.
    pub fn control(&self, faults: &[&Fault], unit_tests: &[UnitTest], step: &Step) -> Result<()> {
        let passed = unit_tests.iter().filter(|t| t.verdict == Verdict::Passed);
        let passed: Vec<String> = passed.map(|test| test.name.clone()).collect();
        let mut tests: Vec<&str> = faults.iter().map(|fault| fault.says.as_str()).collect();
        tests.retain(|test| !is_among(test, &passed));
        if tests.is_empty() {
            return Ok(());
        }
        let ran = self.run("unchanged", None, &tests, step)?;
        for test in tests {
            ensure!(
                is_among(test, &ran.passed) && !is_among(test, &ran.failed),
                "with the sources as they are, {test} does not pass\nlog: {}",
                ran.log.display()
            );
        }
        Ok(())
    }

    /// Fails if `fault` is not noticed by the test that has to.
    pub fn noticed(&self, fault: &Fault, step: &Step) -> Result<()> {
        let ran = self.run(&fault.name, Some(fault), &[&fault.says], step)?;
        ensure!(
            is_among(&fault.says, &ran.failed),
            "not noticed: {} does not fail\nlog: {}",
            fault.says,
            ran.log.display()
        );
        Ok(())
    }
}

/// What tests had to say.
struct Ran {
    passed: Vec<String>,
    failed: Vec<String>,
    log: PathBuf,
}

impl Ran {
    /// Takes it from what libtest printed.
    fn new(text: &str, log: PathBuf) -> Self {
        let mut ran = Self {
            passed: Vec::new(),
            failed: Vec::new(),
            log,
        };
        for test in Printed::parse(text).tests {
            match test.verdict {
                Verdict::Passed => ran.passed.push(test.name),
                Verdict::Failed(_) => ran.failed.push(test.name),
                Verdict::Skipped(_) => {}
            }
        }
        ran
    }
}

/// Whether one of the paths `found` leads to `test`.
fn is_among(test: &str, found: &[String]) -> bool {
    found
        .iter()
        .any(|path| path.rsplit("::").next() == Some(test))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_apart() {
        let text = "$ tests a\nrunning 3 tests\ntest tests::a ... ok\ntest tests::b_a ... FAILED\n\
            test c - should panic ... FAILED\nfailures:\n    tests::b\n\
            test result: FAILED. 1 passed; 2 failed\n";
        let ran = Ran::new(text, PathBuf::new());
        assert_eq!(ran.passed, ["tests::a"]);
        assert_eq!(ran.failed, ["tests::b_a", "c"]);
        assert!(is_among("a", &ran.passed) && !is_among("a", &ran.failed));
    }
}
