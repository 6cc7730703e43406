// SPDX-License-Identifier: GPL-2.0

//! Runs guests in AArch32 state at EL1 on one host CPU, together with host
//! tasks, so that all of them preempt each other. Each vCPU holds patterns in
//! all registers that it has there, and checks them after each exit.
//!
//! Then it shows that the guest would notice: while a vCPU is out of the
//! guest, one register after the other is changed under it, and the guest must
//! report that register and no other.
//!
//! The guest is in `guest/`.

mod device;
#[allow(dead_code, reason = "the guest uses the rest")]
mod interface;
mod load;
mod machine;
mod one_reg;
mod options;
mod registers;
mod subject;
mod vcpu;

#[path = "../../contest/src/affinity.rs"]
mod affinity;
#[path = "../../vmm/src/gic.rs"]
mod gic;
#[path = "../../vmm/src/layout.rs"]
#[allow(dead_code, reason = "the VMM that it belongs to has more devices")]
mod layout;
#[path = "../../vmm/src/retry.rs"]
mod retry;

// Never compiled here: build.rs does. rustfmt finds it by this.
#[cfg(target_arch = "arm")]
#[path = "../guest/compiler_builtins.rs"]
mod compiler_builtins;
#[cfg(target_arch = "arm")]
#[path = "../guest/main.rs"]
mod guest;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{ensure, Result};
use clap::Parser;
use serde::Serialize;

use load::Load;
use machine::{Machine, Tally};
use options::Options;
use vcpu::Course;

/// Exit status of a kernel selftest that found nothing to test.
const SKIP: u8 = 4;

/// Preemptions of a vCPU in a second, below which nothing was tested.
const FEWEST_PREEMPTIONS: u64 = 10;

/// Of so many exceptions an emulated CPU may lose the SPSR of one: it does when
/// the host's tick comes in one of three instructions, see the guest's
/// `Bank::expect_status`. With the C kernel it was 14 of 1.5 million.
const EXCEPTIONS_PER_LOSS: u32 = 10_000;
/// The same on a busy host, and how many it may lose whatever their number is. There a vCPU
/// may take so long for the three instructions that a tick comes, be it that the host has
/// translated them anew: it was 2 of 668 once, in hundreds of runs.
const BUSY_EXCEPTIONS_PER_LOSS: u32 = 50;
const BUSY_LOSSES: u32 = 3;

/// What came out.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    vcpus: u32,
    rounds: u64,
    comparisons: u64,
    exits: u64,
    preemptions: u64,
    alterations: u64,
    exceptions: u64,
    lost_by_emulator: u64,
    host_checks: u64,
}

impl Outcome {
    fn add(&mut self, tally: &Tally) {
        self.rounds += u64::from(tally.rounds);
        self.comparisons += u64::from(tally.comparisons);
        self.exits += tally.exits;
        self.preemptions += tally.preemptions;
        self.alterations += tally.noticed;
        self.exceptions += u64::from(tally.exceptions);
        self.lost_by_emulator += u64::from(tally.lost);
    }
}

/// Fails where nothing was tested. On a busy host it says nothing how often a vCPU
/// was preempted: others had the CPU, too.
fn judge_hold(tallies: &[Tally], seconds: u64, is_busy: bool) -> Result<()> {
    let fewest = if is_busy {
        0
    } else {
        seconds * FEWEST_PREEMPTIONS
    };
    for (index, tally) in tallies.iter().enumerate() {
        ensure!(tally.comparisons > 0, "vCPU {index} compared nothing");
        ensure!(
            tally.preemptions >= fewest,
            "vCPU {index} was preempted {} times in {seconds} seconds, {fewest} is the least \
             for a test: is the load on its CPU?",
            tally.preemptions
        );
    }
    Ok(())
}

/// Fails where more was lost than an emulated CPU loses.
fn judge_losses(tallies: &[Tally], is_busy: bool) -> Result<()> {
    let (always, per_loss) = match is_busy {
        false => (1, EXCEPTIONS_PER_LOSS),
        true => (BUSY_LOSSES, BUSY_EXCEPTIONS_PER_LOSS),
    };
    for (
        index,
        Tally {
            exceptions, lost, ..
        },
    ) in tallies.iter().enumerate()
    {
        ensure!(*exceptions > 0, "vCPU {index} took no exception");
        let most = always + exceptions / per_loss;
        ensure!(
            *lost <= most,
            "vCPU {index} lost the SPSR of {lost} exceptions of {exceptions}; an emulated CPU \
             loses {most} at most"
        );
    }
    Ok(())
}

fn run(options: &Options) -> Result<Outcome> {
    let mut outcome = Outcome {
        vcpus: options.vcpus,
        ..Default::default()
    };
    let load = Load::start(options.cpu)?;
    if options.seconds > 0 {
        let hold = Course::Hold(Duration::from_secs(options.seconds));
        let tallies = Machine::new(options)?.run(options, &hold)?;
        judge_hold(&tallies, options.seconds, options.busy_host)?;
        judge_losses(&tallies, options.busy_host)?;
        tallies.iter().for_each(|tally| outcome.add(tally));
    }
    let alterations = options.alterations();
    if !alterations.is_empty() {
        let course = Course::Alter(alterations);
        let tallies = Machine::new(options)?.run(options, &course)?;
        judge_losses(&tallies, options.busy_host)?;
        tallies.iter().for_each(|tally| outcome.add(tally));
    }
    let tally = load.stop()?;
    outcome.host_checks = tally.checks;
    ensure!(
        tally.corruptions == 0,
        "{} corruptions in FP registers of host tasks",
        tally.corruptions
    );
    ensure!(tally.checks > 0, "the host tasks did not check anything");
    println!("result: {}", serde_json::to_string(&outcome)?);
    Ok(outcome)
}

fn main() -> ExitCode {
    let options = Options::parse();
    match machine::supported() {
        Ok(true) => {}
        Ok(false) => {
            println!("SKIP: KVM has no guests in AArch32 state at EL1 on this CPU");
            return ExitCode::from(SKIP);
        }
        Err(error) => {
            eprintln!("aarch32: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    match run(&options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aarch32: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_preempted_tested_nothing() {
        let tally = Tally {
            comparisons: 1,
            preemptions: 20,
            ..Default::default()
        };
        let idle = Tally {
            preemptions: 19,
            ..tally
        };
        assert!(judge_hold(&[tally, tally], 2, false).is_ok());
        assert!(judge_hold(&[tally, idle], 2, false).is_err());
        assert!(judge_hold(&[tally, idle], 2, true).is_ok());
        let blind = Tally {
            comparisons: 0,
            ..tally
        };
        for is_busy in [false, true] {
            assert!(judge_hold(&[blind], 2, is_busy).is_err());
        }
    }

    #[test]
    fn few_losses_are_the_emulators() {
        let on = |is_busy, exceptions, lost| {
            let tally = Tally {
                exceptions,
                lost,
                ..Default::default()
            };
            judge_losses(&[tally], is_busy).is_ok()
        };
        let judge = |exceptions, lost| on(false, exceptions, lost);
        assert!(judge(10, 0) && judge(10, 1) && judge(20_000, 3));
        assert!(!judge(10, 2) && !judge(20_000, 4));
        let busy = |exceptions, lost| on(true, exceptions, lost);
        assert!(busy(668, 2) && busy(10, 3) && busy(668, 16));
        assert!(!busy(10, 4) && !busy(668, 17));
        for is_busy in [false, true] {
            assert!(!on(is_busy, 0, 0), "nothing was tested");
        }
    }
}
