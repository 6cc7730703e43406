// SPDX-License-Identifier: GPL-2.0

//! What all subjects of a soak share, and the soak itself.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::counters::{Counters, Totals};
use crate::options::Options;
use crate::over::Over;
use crate::pace;
use crate::processes::Processes;
use crate::subjects::SUBJECTS;

/// Failures that are reported in words.
const REPORTED: usize = 8;

/// A subject: it goes on until the soak is over.
pub type Subject = fn(&Soak, ChaCha8Rng) -> Result<()>;

/// What all subjects share.
pub struct Soak {
    /// The command line.
    pub options: Options,
    /// CPUs of this host.
    pub cpus: usize,
    /// What has happened.
    pub counters: Counters,
    /// The VMMs and host tasks that run.
    pub processes: Processes,
    /// The end.
    pub over: Over,
    failures: Mutex<Vec<String>>,
}

/// A line of progress, and the last one.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Seconds since the start.
    pub seconds: u64,
    /// All that was counted.
    pub counters: Totals,
    /// What must not have happened.
    pub failures: Vec<String>,
}

impl Soak {
    /// One that has not begun.
    pub fn new(options: Options, cpus: usize) -> Self {
        Self {
            options,
            cpus,
            counters: Counters::default(),
            processes: Processes::default(),
            over: Over::default(),
            failures: Mutex::default(),
        }
    }

    /// Notes what must not happen.
    pub fn wrong(&self, what: String) {
        println!("wrong: {what}");
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < REPORTED {
            failures.push(what);
        }
    }

    fn report(&self, start: Instant) -> Report {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            seed: self.options.seed,
            seconds: start.elapsed().as_secs(),
            counters: self.counters.totals(),
            failures: failures.clone(),
        }
    }

    fn print(&self, prefix: &str, report: &Report) -> Result<()> {
        println!("{prefix}: {}", serde_json::to_string(report)?);
        Ok(())
    }

    /// Has all subjects at work until the time is up.
    pub fn run(&self) -> Result<()> {
        let start = Instant::now();
        let end = start + Duration::from_secs(self.options.seconds);
        let result = thread::scope(|scope| {
            for (index, (name, subject)) in SUBJECTS.iter().enumerate() {
                let numbers = pace::numbers(self.options.seed, index);
                scope.spawn(move || {
                    if let Err(error) = subject(self, numbers) {
                        self.wrong(format!("{name}: {error:#}"));
                    }
                });
            }
            let result = self.report_until(start, end);
            self.over.set();
            result
        });
        result?;
        let report = self.report(start);
        self.print("result", &report)?;
        report.judge()
    }

    /// Prints a line of progress at the start, and then one at a time.
    fn report_until(&self, start: Instant, end: Instant) -> Result<()> {
        let interval = Duration::from_secs(self.options.report);
        let mut next = start;
        while Instant::now() < end {
            self.print("progress", &self.report(start))?;
            next = (next + interval).min(end);
            self.over
                .wait(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

impl Report {
    /// Fails where something was wrong.
    fn judge(&self) -> Result<()> {
        let corruptions = self.counters.corruptions();
        ensure!(corruptions == 0, "{corruptions} corruptions");
        ensure!(
            self.failures.is_empty(),
            "{} failures, the first is: {}",
            self.failures.len(),
            self.failures[0]
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn soak() -> Soak {
        Soak::new(Options::parse_from(["soak"]), 2)
    }

    #[test]
    fn corruptions_and_failures_fail() {
        let start = Instant::now();
        soak().report(start).judge().unwrap();
        let corrupt = soak();
        corrupt.counters.ptrace_corruptions.add(1);
        assert!(corrupt.report(start).judge().is_err());
        let wrong = soak();
        wrong.wrong("x".into());
        let error = wrong.report(start).judge().unwrap_err();
        assert_eq!(error.to_string(), "1 failures, the first is: x");
    }

    #[test]
    fn only_the_first_failures_are_reported_in_words() {
        let soak = soak();
        for number in 0..100 {
            soak.wrong(number.to_string());
        }
        let report = soak.report(Instant::now());
        assert_eq!(report.failures.len(), REPORTED);
        assert_eq!(report.failures[0], "0");
    }
}
