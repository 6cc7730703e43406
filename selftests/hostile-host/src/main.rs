// SPDX-License-Identifier: GPL-2.0

//! Lets the booted host lie to EL2 under pKVM, one lie after the other, and sees what comes of it.
//!
//! Needs a kernel with CONFIG_KVM_ARM64_RUST_FAULTS in protected mode. For each lie, guests run
//! while it is told, and must do what EL2 can let them do if it masks, bounds or refuses what it is
//! told. Then a guest runs that is told no lie, and must pass: EL2 and the host still work.

mod controls;
mod expectation;
mod guest;
mod set_up;

use std::process::ExitCode;

use anyhow::{bail, ensure, Context, Result};
use clap::Parser;

use crate::controls::{Controls, LieOn, OtherCpu};
use crate::expectation::{Expectation, LIES};
use crate::guest::{Kind, Program};

#[derive(Parser)]
#[command(about = "Lets the host lie to EL2 under pKVM, and sees what comes of it")]
struct Options {
    /// Lies to tell, by name; all if none is given
    lies: Vec<String>,
}

/// Tells `lie` while guests run, and returns a line that says what they did.
fn try_lie(controls: &Controls, lie: &str, expectation: Expectation) -> Result<String> {
    let mut outcomes = Vec::new();
    if expectation == Expectation::SetUpRefused {
        let errno = set_up::with_lie(controls, lie)?;
        outcomes.push(format!("KVM_RUN fails with {errno}"));
    } else {
        for kind in Kind::ALL {
            let before = controls.told()?;
            let end = {
                let _lie = LieOn::new(controls, lie)?;
                let _writer = (lie == "other_cpu_writes").then(|| OtherCpu::start(controls));
                guest::run(Program::Registers, kind, expectation.limit())?
            };
            let after = controls.told()?;
            ensure!(
                after.told > before.told,
                "the lie was never told to a guest that is {kind}"
            );
            ensure!(
                after.believed == before.believed,
                "EL2 believed the lie {} times of {} for a guest that is {kind}",
                after.believed - before.believed,
                after.told - before.told
            );
            expectation
                .check(&end)
                .with_context(|| format!("with a guest that is {kind}"))?;
            outcomes.push(format!(
                "{kind}: {end} (told {} times)",
                after.told - before.told
            ));
        }
    }
    for kind in Kind::ALL {
        let end = guest::run(Program::Hypercall, kind, guest::ENOUGH)?;
        Expectation::Unaffected.check(&end).with_context(|| {
            format!("a guest that is {kind} does not work any more, afterwards")
        })?;
    }
    Ok(outcomes.join(", "))
}

fn run(options: &Options) -> Result<()> {
    let controls = Controls::open()?;
    let names = controls.names()?;
    // A lie that nobody expects anything of would go unnoticed.
    for name in &names {
        ensure!(
            LIES.iter().any(|(known, _)| known == name),
            "the kernel knows the lie {name}, which has no expectation (expectation.rs)"
        );
    }
    let mut failed = Vec::new();
    for (lie, expectation) in LIES {
        if !options.lies.is_empty() && !options.lies.iter().any(|l| l == lie) {
            continue;
        }
        match try_lie(&controls, lie, *expectation) {
            Ok(outcome) => println!("{lie}: passed: {outcome}"),
            Err(error) => {
                println!("{lie}: FAILED: {error:#}");
                failed.push(*lie);
            }
        }
    }
    for lie in &options.lies {
        ensure!(
            LIES.iter().any(|(known, _)| known == lie),
            "there is no lie {lie}; the names are in {}",
            controls::LIE
        );
    }
    if !failed.is_empty() {
        bail!("not as expected: {}", failed.join(", "));
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostile-host: {error:#}");
            ExitCode::FAILURE
        }
    }
}
