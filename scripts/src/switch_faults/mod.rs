// SPDX-License-Identifier: GPL-2.0
//! Deliberate mistakes in the world switch. Each is made in a copy of the
//! sources, and has to be noticed by the compiler or by a test; that the
//! sources as they are pass says that it is the mistake which is noticed.

mod compiled;
mod list;
mod simulated;

use crate::context::Context;
use crate::faults;
use crate::kernel::Kernel;
use crate::libtest::UnitTest;
use crate::plan::Verdict;
use crate::progress::Step;
use crate::results::Results;
use crate::side_by_side::side_by_side;
use anyhow::Result;
use compiled::Compiled;
use list::{Fault, Judge};
use simulated::Simulated;

/// How many steps it takes.
pub fn steps_to_come(ctx: &Context) -> Result<usize> {
    let faults = list::read(&ctx.checkout)?;
    let judges = Judge::ALL
        .iter()
        .filter(|judge| faults.iter().any(|fault| fault.judge == **judge));
    Ok(faults.len() + judges.count())
}

/// Makes all mistakes, one at a time, or those with `only` in their names. The
/// kernels have been built from this checkout, and `unit_tests` have run in it.
pub fn run(
    ctx: &Context,
    c: &Kernel,
    rust: &Kernel,
    only: &str,
    unit_tests: &[UnitTest],
    results: &mut Results,
) -> Result<usize> {
    let mut faults = list::read(&ctx.checkout)?;
    faults.retain(|fault| name(fault).contains(only));
    for judge in Judge::ALL {
        let faults: Vec<&Fault> = faults.iter().filter(|f| f.judge == judge).collect();
        if faults.is_empty() {
            continue;
        }
        match judge {
            Judge::Build | Judge::Entry => {
                let compiled = Compiled::new(ctx, c, rust)?;
                try_all(
                    ctx,
                    judge,
                    &faults,
                    results,
                    |step| compiled.control(judge, &faults, step),
                    |fault, step| compiled.noticed(fault, step),
                );
            }
            Judge::SimulatedCpu => {
                let simulated = Simulated::new(ctx)?;
                try_all(
                    ctx,
                    judge,
                    &faults,
                    results,
                    |step| simulated.control(&faults, unit_tests, step),
                    |fault, step| simulated.noticed(fault, step),
                );
            }
        }
    }
    Ok(faults.len())
}

/// The name of the test that a fault is.
fn name(fault: &Fault) -> String {
    format!("{}switch-{}", faults::PREFIX, fault.name)
}

/// Has a judge look at the sources as they are, and at each fault: two at a time, so
/// that the tests of one run while the next is compiled.
fn try_all(
    ctx: &Context,
    judge: Judge,
    faults: &[&Fault],
    results: &mut Results,
    control: impl FnOnce(&Step) -> Result<()>,
    noticed: impl Fn(&Fault, &Step) -> Result<()> + Sync,
) {
    let test = format!("switch-faults/none-{}", judge.name());
    let (verdict, detail) = one(ctx, &test, control);
    let as_it_is = verdict == Verdict::Passed;
    results.add(&ctx.ui, test.clone(), verdict, &detail);
    let verdicts = side_by_side(faults.to_vec(), 2, |fault| {
        one(ctx, &name(fault), |step| {
            anyhow::ensure!(as_it_is, "not tried: {test} failed");
            noticed(fault, step)
        })
    });
    for (fault, (verdict, detail)) in faults.iter().zip(verdicts) {
        results.add(&ctx.ui, name(fault), verdict, &detail);
    }
}

/// Runs a test.
fn one(ctx: &Context, name: &str, test: impl FnOnce(&Step) -> Result<()>) -> (Verdict, String) {
    let step = ctx.ui.step(name);
    let (verdict, detail) = Verdict::of(test(&step));
    step.end(verdict.word());
    (verdict, detail)
}
