// SPDX-License-Identifier: GPL-2.0

//! Host tasks that work the FP registers of all CPUs meanwhile: those of the contest.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{anyhow, ensure, Context, Result};
use serde::{Deserialize, Serialize};

const CONTEST: &str = "/kvm-rust/bin/contest";
/// Seconds after which they are asked what they found, and started again.
const ROUND: &str = "10";

/// What host tasks found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Checks of their registers.
    pub host_checks: u64,
    /// Checks that found a difference.
    pub host_corruptions: u64,
}

/// Host tasks at work.
pub struct Tasks {
    over: Arc<AtomicBool>,
    work: JoinHandle<Result<Found>>,
}

impl Tasks {
    /// Has them begin.
    pub fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&over);
        let work = thread::spawn(move || {
            let mut found = Found::default();
            while !asked.load(Ordering::Relaxed) {
                let more = round()?;
                found.host_checks += more.host_checks;
                found.host_corruptions += more.host_corruptions;
            }
            Ok(found)
        });
        Self { over, work }
    }

    /// Has them end, and tells what they found.
    pub fn finish(self) -> Result<Found> {
        self.over.store(true, Ordering::Relaxed);
        let found = self.work.join();
        found.map_err(|_| anyhow!("the thread of the host tasks panicked"))?
    }
}

/// Has host tasks check for a while.
fn round() -> Result<Found> {
    let output = Command::new(CONTEST)
        .args(["--guests", "0", "--no-neon", "--seconds", ROUND])
        .output()
        .with_context(|| format!("cannot start {CONTEST}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // A corruption is counted, and makes it fail, too.
    found(&said).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("host tasks: {}: {}", output.status, errors.trim())
    })
}

fn found(said: &str) -> Result<Found> {
    let result = said.lines().find_map(|line| line.strip_prefix("result: "));
    let found: Found = serde_json::from_str(result.context("they report nothing")?)?;
    ensure!(found.host_checks > 0, "they checked nothing");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_contest_says_is_understood() {
        let text = "x\nresult: {\"host_checks\":7,\"host_corruptions\":1,\"guests\":0}\n";
        let one = Found {
            host_checks: 7,
            host_corruptions: 1,
        };
        assert_eq!(found(text).unwrap(), one);
        assert!(found(&text.replace('7', "0")).is_err());
        assert!(found("contest: no CPU\n").is_err());
    }
}
