// SPDX-License-Identifier: GPL-2.0
//! The judge that runs the tests of selftests/simulated-cpu, from a copy of the
//! sources.

use super::list::Fault;
use super::together;
use crate::changed_copy::{self, ChangedCopy, TRY};
use crate::context::Context;
use crate::earlier::Inputs;
use crate::libtest::Printed;
use crate::plan::Verdict;
use crate::progress::Step;
use crate::{process, source};
use anyhow::{ensure, Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The tests, compiled with all faults in the code.
pub struct Simulated<'a> {
    ctx: &'a Context,
    faults: &'a [&'a Fault],
    copy: ChangedCopy<'a>,
    /// What compiles them.
    cargo: Command,
    /// The program, once it is needed.
    program: Mutex<Option<PathBuf>>,
}

impl<'a> Simulated<'a> {
    /// In a copy of this checkout's sources.
    pub fn new(ctx: &'a Context, faults: &'a [&'a Fault]) -> Result<Self> {
        let copy = ChangedCopy::new(ctx, "switch-faults")?;
        Ok(Self {
            ctx,
            faults,
            cargo: copy.cargo_for_tests()?,
            copy,
            program: Mutex::new(None),
        })
    }

    /// With all that decides what this judge says, but for the fault.
    pub fn inputs(&self, inputs: Inputs) -> Result<Inputs> {
        inputs
            .command(self.ctx, &self.cargo)
            .files(self.ctx, &changed_copy::FOLDERS)?
            .source(&source::find(self.ctx)?)
    }

    /// The faults, with the numbers that [`TRY`] has.
    fn numbered(&self) -> Vec<(u32, &'a Fault)> {
        (1..).zip(self.faults.iter().copied()).collect()
    }

    /// The program, compiled if it has not been yet.
    fn program(&self, step: &Step) -> Result<PathBuf> {
        // Who panicked has left none.
        let mut program = self.program.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(program) = &*program {
            return Ok(program.clone());
        }
        step.at("compiling the tests with all faults");
        let numbered = self.numbered();
        let changes = self.faults.iter().flat_map(|fault| fault.changes());
        let changed: BTreeSet<&str> = changes.map(|(file, ..)| file).collect();
        self.copy.restore_with_choice(|path, bytes| {
            let file = path
                .strip_prefix("arch-arm64-kvm")
                .ok()
                .and_then(Path::to_str);
            match file.filter(|file| changed.contains(file)) {
                Some(file) => {
                    let text = String::from_utf8(bytes)?;
                    Ok(together::write(file, &text, &numbered)?.into_bytes())
                }
                None => Ok(bytes),
            }
        })?;
        let compiled = self
            .copy
            .compile_tests(&[])
            .context("not tried: the code with all faults in it does not compile")?;
        *program = Some(compiled.clone());
        Ok(compiled)
    }

    /// Runs the tests of these names with `fault` tried, or with none.
    fn run(&self, fault: Option<&Fault>, tests: &[&str], step: &Step) -> Result<Ran> {
        let program = self.program(step)?;
        let mut command = Command::new(program);
        command
            .args(tests)
            .current_dir(self.copy.tests_folder())
            .env("RUST_BACKTRACE", "0")
            // A counterexample that another fault has left is no test of this one.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        let name = match fault {
            Some(fault) => {
                let all = self.numbered();
                let number = all.iter().find(|(_, other)| other.name == fault.name);
                let (number, _) = number.context("it is among those that were compiled")?;
                command.env(TRY, number.to_string());
                &fault.name
            }
            None => "unchanged",
        };
        let log = self.ctx.log(&format!("switch-faults-{name}"));
        let status = process::run_status(&mut command, &log, step)?;
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

    /// Fails if a test that has to notice one of the faults does not pass with all of
    /// them in the code and none tried.
    pub fn control(&self, step: &Step) -> Result<()> {
        let tests: BTreeSet<&str> = self.faults.iter().map(|fault| &*fault.says).collect();
        let tests: Vec<&str> = tests.into_iter().collect();
        let ran = self.run(None, &tests, step)?;
        for test in tests {
            ensure!(
                is_among(test, &ran.passed) && !is_among(test, &ran.failed),
                "with no fault tried, {test} does not pass\nlog: {}",
                ran.log.display()
            );
        }
        Ok(())
    }

    /// Fails if `fault` is not noticed by the test that has to.
    pub fn noticed(&self, fault: &Fault, step: &Step) -> Result<()> {
        let ran = self.run(Some(fault), &[&fault.says], step)?;
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
