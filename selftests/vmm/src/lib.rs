// SPDX-License-Identifier: GPL-2.0

//! What the program `vmm` is made of, for programs that measure what it runs.

mod between;
mod console;
mod fdt;
mod gic;
pub mod interruption;
mod layout;
mod machine;
pub mod marks;
mod memory;
pub mod options;
mod outcome;
mod retry;
mod vcpu;

pub use between::schedule;

use std::sync::{mpsc, Arc, Barrier};

use anyhow::Result;

use crate::machine::Machine;
use crate::marks::Observer;
use crate::options::Options;

/// Runs the guest, or the guests, until all have powered off, one fails, or they have
/// to be ended. `observer` says who is told of the machine with this number.
///
/// For the main thread of a process that has no other yet. Threads of vCPUs may be left
/// when it returns, and end with the process.
pub fn run(options: &Options, observer: impl Fn(usize) -> Arc<dyn Observer>) -> Result<()> {
    let (report, outcomes) = mpsc::channel();
    // The first thing, as all threads must inherit the signal mask.
    outcome::watch_signals(report.clone())?;
    let count = if options.twin { 2 } else { 1 };
    let machines = (0..count)
        .map(|_| Machine::new(options))
        .collect::<Result<Vec<_>>>()?;
    let start = Arc::new(Barrier::new(count * usize::from(options.cpus)));
    for (number, machine) in machines.into_iter().enumerate() {
        machine.start(options, &start, &report, &observer(number))?;
    }
    drop(report);
    outcome::wait(&outcomes, count, options.timeout)
}
