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
use crate::plan::Verdict;
use crate::progress::Step;
use crate::results::Results;
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
/// kernels have been built from this checkout.
pub fn run(
    ctx: &Context,
    c: &Kernel,
    rust: &Kernel,
    only: &str,
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
                    |step| simulated.control(&faults, step),
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

/// Has a judge look at the sources as they are, and at each fault.
fn try_all(
    ctx: &Context,
    judge: Judge,
    faults: &[&Fault],
    results: &mut Results,
    control: impl FnOnce(&Step) -> Result<()>,
    noticed: impl Fn(&Fault, &Step) -> Result<()>,
) {
    let test = format!("switch-faults/none-{}", judge.name());
    let as_it_is = one(ctx, &test, results, control);
    for fault in faults {
        one(ctx, &name(fault), results, |step| {
            anyhow::ensure!(as_it_is, "not tried: {test} failed");
            noticed(fault, step)
        });
    }
}

/// Runs a test. True if it passed.
fn one(
    ctx: &Context,
    name: &str,
    results: &mut Results,
    test: impl FnOnce(&Step) -> Result<()>,
) -> bool {
    let step = ctx.ui.step(name);
    let (verdict, detail) = Verdict::of(test(&step));
    let passed = verdict == Verdict::Passed;
    step.end(verdict.word());
    results.add(&ctx.ui, name, verdict, &detail);
    passed
}
