// SPDX-License-Identifier: GPL-2.0

//! Kernel-mode NEON in softirqs, by the driver of CONFIG_NEON_SOFTIRQ_TEST.

use std::fs;
use std::path::PathBuf;
use std::thread;

use anyhow::{anyhow, Context, Result};

use crate::affinity;

const FOLDER: &str = "/sys/kernel/debug/neon_softirq";

/// Time between two uses on a CPU. Long enough for emulated guests to get on.
const PERIOD_US: u64 = 1500;

/// What the driver counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub rounds: u64,
    pub corruptions: u64,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(name)
}

fn count(name: &str) -> Result<u64> {
    let path = file(name);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: it takes a kernel with CONFIG_NEON_SOFTIRQ_TEST",
            path.display()
        )
    })?;
    text.trim()
        .parse()
        .with_context(|| format!("{} holds {text:?}", path.display()))
}

/// The driver at work; it stops when this is dropped.
pub struct Neon {
    before: Counts,
}

impl Neon {
    /// Starts the driver's timers on `cpus`.
    pub fn start(cpus: &[usize]) -> Result<Self> {
        let before = Counts {
            rounds: count("rounds")?,
            corruptions: count("corruptions")?,
        };
        for cpu in cpus {
            let cpu = *cpu;
            // A timer runs on the CPU of who starts it.
            thread::spawn(move || -> Result<()> {
                affinity::pin(&[cpu])?;
                let path = file("period_us");
                fs::write(&path, PERIOD_US.to_string())
                    .with_context(|| format!("cannot write {}", path.display()))
            })
            .join()
            .map_err(|_| anyhow!("starting the softirq timer of CPU {cpu} panicked"))??;
        }
        Ok(Self { before })
    }

    /// Stops the timers and returns what happened since the start.
    pub fn stop(self) -> Result<Counts> {
        fs::write(file("period_us"), "0").context("cannot stop the softirq timers")?;
        Ok(Counts {
            rounds: count("rounds")? - self.before.rounds,
            corruptions: count("corruptions")? - self.before.corruptions,
        })
    }
}

impl Drop for Neon {
    fn drop(&mut self) {
        let _ = fs::write(file("period_us"), "0");
    }
}
