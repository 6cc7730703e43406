// SPDX-License-Identifier: GPL-2.0

//! Boots an arm64 Linux guest under KVM and ends when the guest powers off.
//!
//! Exit status 0 means that the guest asked for PSCI SYSTEM_OFF. Everything
//! else gives one line on stderr and status 1 (2 for a wrong command line), so
//! that a test needs no knowledge of the guest's output to see that it failed.
//! SIGUSR1 interrupts what it does, KVM_RUN above all, and changes nothing.

mod between;
mod console;
mod fdt;
mod gic;
mod interruption;
mod layout;
mod machine;
mod memory;
mod options;
mod outcome;
mod retry;
mod vcpu;

use std::io::Write;
use std::process::ExitCode;
use std::sync::{mpsc, Arc, Barrier};

use anyhow::Result;
use clap::Parser;

use crate::machine::Machine;
use crate::options::Options;

/// Runs the guest, or the guests, until all have powered off, one fails, or they have
/// to be ended.
fn run(options: &Options) -> Result<()> {
    let (report, outcomes) = mpsc::channel();
    // The first thing, as all threads must inherit the signal mask.
    outcome::watch_signals(report.clone())?;
    let count = if options.twin { 2 } else { 1 };
    let machines = (0..count)
        .map(|_| Machine::new(options))
        .collect::<Result<Vec<_>>>()?;
    let start = Arc::new(Barrier::new(count * usize::from(options.cpus)));
    for machine in machines {
        machine.start(options, &start, &report)?;
    }
    drop(report);
    outcome::wait(&outcomes, count, options.timeout)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = interruption::allow().and_then(|()| run(&options));
    // A last line of the guest may lack its newline. There is nothing left to
    // be told if stdout is closed.
    let _ = std::io::stdout().flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vmm: {error:#}");
            ExitCode::FAILURE
        }
    }
    // The vCPU threads still run here where the guest did not power off by
    // itself. The end of the process takes them out of KVM_RUN.
}
