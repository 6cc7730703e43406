// SPDX-License-Identifier: GPL-2.0

//! Who else uses the FP registers of a CPU while a guest does? Host tasks that
//! preempt the vCPU, other guests, and softirqs. This program has all of them
//! at it at once, on the same CPUs, each with patterns of its own, and counts
//! how often anybody found a value that it had not left there.
//!
//! The last line is `result: ` and a JSON object. Exit status 0 says that
//! everybody checked at least once and nobody found a corruption.

mod affinity;
mod function_tracer;
mod guest;
mod host_task;
mod kernel_programs;
mod neon;
mod options;
mod system;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, ensure, Result};
use clap::Parser;
use fp::Tally;
use serde::Serialize;

use function_tracer::FunctionTracer;
use guest::Guest;
use neon::Neon;
use options::{Options, Role, Tasks, Vmm};
use system::System;

/// Time that guests may take longer than they were told to check: emulated
/// ones share two CPUs with host tasks.
const SLACK: Duration = Duration::from_secs(120);

/// What came out.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    host_checks: u64,
    host_corruptions: u64,
    guests: usize,
    guest_checks: u64,
    guest_corruptions: u64,
    guest_boot_ms: Vec<u64>,
    neon_rounds: u64,
    neon_corruptions: u64,
    traced_calls: u64,
}

impl Outcome {
    /// Fails where somebody found a corruption, or somebody who should have
    /// checked did not.
    fn judge(&self, options: &Options) -> Result<()> {
        let corruptions = self.host_corruptions + self.guest_corruptions + self.neon_corruptions;
        if corruptions > 0 {
            bail!("{corruptions} corruptions");
        }
        if self.guests > 0 && self.guest_checks == 0 {
            bail!("the guests did not check anything");
        }
        if options.host_tasks > 0 && self.host_checks == 0 {
            bail!("the host tasks did not check anything");
        }
        if !options.no_neon && self.neon_rounds == 0 {
            bail!("no softirq used the FP registers");
        }
        if options.trace_functions && self.traced_calls == 0 {
            bail!("no function was traced");
        }
        Ok(())
    }
}

/// Starts the guests and waits until they have booted.
fn start(options: &Options) -> Result<Vec<Guest>> {
    ensure!(
        options.vmm == Vmm::Qemu || options.system == System::Ours,
        "only QEMU runs guests with another system: --vmm qemu"
    );
    let mut guests = (0..options.guests)
        .map(|index| Guest::start(options, index, options.seconds))
        .collect::<Result<Vec<_>>>()?;
    for guest in &mut guests {
        guest.wait_for_boot(Duration::from_secs(options.boot_timeout))?;
    }
    Ok(guests)
}

/// Has our host tasks work for the time that was asked for.
fn work(options: &Options) -> Result<Tally> {
    let tasks = host_task::assign(options.host_tasks, &options.cpus, options.seconds);
    let tasks = tasks
        .iter()
        .map(|task| task.spawn())
        .collect::<Result<Vec<_>>>()?;
    let mut tally = Tally::default();
    for task in tasks {
        tally += task.finish()?;
    }
    Ok(tally)
}

fn run(options: &Options) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let tracer = match options.trace_functions {
        true => Some(FunctionTracer::start()?),
        false => None,
    };
    let guests = start(options)?;
    let neon = match options.no_neon {
        true => None,
        false => Some(Neon::start(&options.cpus)?),
    };
    let tally = match options.tasks {
        Tasks::Ours => work(options)?,
        Tasks::Kernel => kernel_programs::run(&options.cpus, options.seconds)?,
    };
    outcome.host_checks = tally.checks;
    outcome.host_corruptions = tally.corruptions;
    if let Some(neon) = neon {
        let counts = neon.stop()?;
        outcome.neon_rounds = counts.rounds;
        outcome.neon_corruptions = counts.corruptions;
    }

    outcome.guests = guests.len();
    for guest in guests {
        let played = guest.finish(Duration::from_secs(options.seconds) + SLACK)?;
        outcome.guest_checks += played.checks;
        outcome.guest_corruptions += played.corruptions;
        outcome.guest_boot_ms.push(played.boot.as_millis() as u64);
    }
    if let Some(tracer) = tracer {
        outcome.traced_calls = tracer.stop()?;
    }
    Ok(outcome)
}

fn contest(options: &Options) -> Result<()> {
    let outcome = run(options)?;
    println!("result: {}", serde_json::to_string(&outcome)?);
    outcome.judge(options)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.role {
        Some(Role::HostTask(task)) => task.run(),
        None => contest(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("contest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::parse_from(["contest"])
    }

    fn clean() -> Outcome {
        Outcome {
            host_checks: 1,
            guests: 1,
            guest_checks: 1,
            neon_rounds: 1,
            ..Default::default()
        }
    }

    #[test]
    fn each_kind_of_corruption_fails() {
        clean().judge(&options()).unwrap();
        assert!(Outcome {
            host_corruptions: 1,
            ..clean()
        }
        .judge(&options())
        .is_err());
        assert!(Outcome {
            guest_corruptions: 1,
            ..clean()
        }
        .judge(&options())
        .is_err());
        assert!(Outcome {
            neon_corruptions: 1,
            ..clean()
        }
        .judge(&options())
        .is_err());
    }

    #[test]
    fn who_did_not_check_fails() {
        assert!(Outcome {
            host_checks: 0,
            ..clean()
        }
        .judge(&options())
        .is_err());
        assert!(Outcome {
            guest_checks: 0,
            ..clean()
        }
        .judge(&options())
        .is_err());
        assert!(Outcome {
            neon_rounds: 0,
            ..clean()
        }
        .judge(&options())
        .is_err());
    }
}
