// SPDX-License-Identifier: GPL-2.0

//! The kernel's own programs that hold FP registers, as host tasks: those of
//! tools/testing/selftests/arm64/fp that its fp-stress runs. Signals reach
//! them at a steady rate, whose handlers change the registers, so that the
//! kernel's signal frames take part as well.
//!
//! Without kernel-test, which has the kernel use the registers: the softirqs
//! do that, and it looks for drivers that Linux 7.3 does not have any more.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use fp::{Features, Tally};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::affinity;

/// Where they are.
const FOLDER: &str = "/kvm-rust/kselftest/fp";

/// Time between two signals, as in fp-stress.
const TICK: Duration = Duration::from_millis(25);

/// The programs that a machine with `features` can run.
fn names(features: Features) -> Vec<&'static str> {
    let all = [
        ("fpsimd-test", true),
        ("sve-test", features.sve),
        ("ssve-test", features.sme),
        ("za-test", features.sme),
        ("zt-test", features.sme2),
    ];
    all.iter()
        .filter(|(_, can_run)| *can_run)
        .map(|(name, _)| *name)
        .collect()
}

/// A program that runs. Killed when dropped.
struct Program {
    what: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts `name` on `cpu` and waits until it handles signals, which it
    /// says by its first line.
    fn start(name: &str, cpu: usize) -> Result<Self> {
        let what = format!("{name} on CPU {cpu}");
        // Inherited by the program.
        affinity::pin(&[cpu])?;
        let mut child = Command::new(format!("{FOLDER}/{name}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {what}"))?;
        let stdout = child.stdout.take().context("no output")?;
        let mut program = Self {
            what,
            child,
            stdout: BufReader::new(stdout),
        };
        let mut line = String::new();
        program.stdout.read_line(&mut line)?;
        println!("{}: {}", program.what, line.trim_end());
        Ok(program)
    }

    fn signal(&self, signal: Signal) {
        // One that has ended is found out by `finish`.
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
    }

    /// Ends it. A program that found a wrong value has printed which one, and
    /// its exit status is not 0.
    fn finish(mut self) -> Result<Tally> {
        self.signal(Signal::SIGTERM);
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        let corrupt = text.to_ascii_lowercase().contains("mismatch");
        if !status.success() && !corrupt {
            bail!("{} failed ({status}): {}", self.what, text.trim());
        }
        if corrupt {
            eprintln!("{}: {}", self.what, text.trim());
        }
        Ok(Tally {
            checks: iterations(&text).unwrap_or(0),
            corruptions: u64::from(corrupt),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing to do for one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// N of "iterations=N" in the last words of a program.
fn iterations(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once("iterations=")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Runs one of each on each of `cpus` for `seconds`.
pub fn run(cpus: &[usize], seconds: u64) -> Result<Tally> {
    let mut programs = Vec::new();
    for name in names(Features::detect()) {
        for cpu in cpus {
            programs.push(Program::start(name, *cpu)?);
        }
    }
    affinity::pin(cpus)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let signals = [Signal::SIGUSR1, Signal::SIGUSR2];
    for signal in signals.iter().cycle() {
        if Instant::now() > end {
            break;
        }
        for program in &programs {
            program.signal(*signal);
        }
        thread::sleep(TICK);
    }
    let mut total = Tally::default();
    for program in programs {
        let what = program.what.clone();
        let tally = program.finish()?;
        if tally.checks == 0 && tally.corruptions == 0 {
            bail!("{what} did not check anything");
        }
        total += tally;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_machine_has_is_run() {
        let none = Features::default();
        assert_eq!(names(none), ["fpsimd-test"]);
        let sme = Features {
            sve: true,
            sme: true,
            ..none
        };
        assert!(names(sme).contains(&"za-test") && !names(sme).contains(&"zt-test"));
    }

    #[test]
    fn iterations_are_read_from_the_last_words() {
        let text = "Terminated by signal 15, no error, iterations=42, signals=7\n";
        assert_eq!(iterations(text), Some(42));
        assert_eq!(iterations("iterations="), None);
        assert_eq!(iterations("Mismatch: PID=1, iteration=3, reg=0\n"), None);
    }
}
