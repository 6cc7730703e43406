// SPDX-License-Identifier: GPL-2.0

//! Host tasks that take the CPU from the vCPUs, and hold patterns in the FP
//! registers themselves.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{anyhow, Context, Result};
use fp::{Checker, Mode, Tally};

use crate::affinity;

/// Pauses of the tasks, in microseconds. One works without: it takes its
/// share. Who wakes up takes the CPU at once.
const PAUSES: [u64; 2] = [0, 700];

/// The tasks.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<Tally>>>,
}

impl Load {
    /// Starts them on `cpu`.
    pub fn start(cpu: usize) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (index, pause) in PAUSES.into_iter().enumerate() {
            let stop = Arc::clone(&stop);
            let task = thread::Builder::new()
                .name(format!("load{index}"))
                .spawn(move || work(cpu, index as u16, pause, &stop))
                .context("cannot start a host task")?;
            tasks.push(task);
        }
        Ok(Self { stop, tasks })
    }

    /// Ends them, and tells what they saw.
    pub fn stop(self) -> Result<Tally> {
        self.stop.store(true, Relaxed);
        let mut tally = Tally::default();
        for task in self.tasks {
            tally += task.join().map_err(|_| anyhow!("a host task panicked"))??;
        }
        Ok(tally)
    }
}

fn work(cpu: usize, seed: u16, pause_us: u64, stop: &AtomicBool) -> Result<Tally> {
    affinity::pin(&[cpu])?;
    let mut checker = Checker::new(seed, Mode::Fpsimd { syscalls: true })?;
    let mut tally = Tally::default();
    while !stop.load(Relaxed) {
        tally.checks += 1;
        if let Err(mismatch) = checker.check() {
            tally.corruptions += 1;
            eprintln!("host task {seed}: {mismatch}");
        }
        if pause_us > 0 {
            thread::sleep(Duration::from_micros(pause_us));
        }
    }
    Ok(tally)
}
