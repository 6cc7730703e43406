// SPDX-License-Identifier: GPL-2.0

//! Host tasks of the FP contest, one after the other, on any CPU: they hold patterns
//! in the registers of FP, SVE and SME, also while their vector length changes.

use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::processes::Kind;
use crate::soak::Soak;

const CONTEST: &str = "/kvm-rust/bin/contest";

/// What a task prints at its end.
fn parse(text: &str) -> Option<[u64; 3]> {
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// The arguments of a task.
fn arguments(numbers: &mut ChaCha8Rng) -> Vec<String> {
    // Of each three, one takes what CPU time it can get.
    let pause_us = match numbers.random_range(0..3) {
        0 => 0,
        _ => numbers.random_range(200..5000),
    };
    [
        ("--seed", u64::from(numbers.random_range(1..u16::MAX))),
        ("--seconds", numbers.random_range(5..=20)),
        ("--first", numbers.random_range(0..1000)),
        ("--pause-us", pause_us),
    ]
    .iter()
    .flat_map(|(name, value)| [(*name).to_owned(), value.to_string()])
    .chain(["--length-changes".to_owned()])
    .collect()
}

/// One task after the other.
pub fn run(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let pace = Pace::choose(&mut numbers, 50..1000);
    while soak.over.wait(pace.next(&mut numbers)) {
        let child = Command::new(CONTEST)
            .arg("host-task")
            .args(arguments(&mut numbers))
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            // There is no memory for another process now.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN)) => {
                continue
            }
            Err(error) => return Err(error).context("cannot start a host task"),
        };
        let process = soak.processes.add(child.id(), Kind::HostTask);
        let mut text = String::new();
        let read = match &mut child.stdout {
            Some(stdout) => stdout.read_to_string(&mut text),
            None => Ok(0),
        };
        soak.processes.remove(&process);
        let status = child.wait().context("cannot wait for a host task")?;
        read.context("cannot read what a host task prints")?;
        if !status.success() {
            bail!("a host task failed: {status}");
        }
        let [checks, corruptions, length_changes] =
            parse(&text).with_context(|| format!("a host task printed {text:?}"))?;
        soak.counters.host_checks.add(checks);
        soak.counters.host_corruptions.add(corruptions);
        soak.counters.length_changes.add(length_changes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::numbers;

    #[test]
    fn what_a_task_prints_is_read() {
        assert_eq!(parse("12 3 4\n"), Some([12, 3, 4]));
        assert_eq!(parse("12 3\n"), None);
        assert_eq!(parse("1 2 3 4\n"), None);
    }

    #[test]
    fn some_tasks_pause_and_some_do_not() {
        let mut numbers = numbers(1, 0);
        let pauses: Vec<String> = (0..50)
            .map(|_| {
                let arguments = arguments(&mut numbers);
                let at = arguments.iter().position(|a| a == "--pause-us").unwrap();
                arguments[at + 1].clone()
            })
            .collect();
        assert!(pauses.iter().any(|p| p == "0") && pauses.iter().any(|p| p != "0"));
    }
}
