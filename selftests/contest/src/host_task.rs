// SPDX-License-Identifier: GPL-2.0

//! Host tasks: processes that hold patterns in the FP registers of one CPU.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, Context, Result};
use clap::Args;
use fp::{Checker, Mismatch, Mode, Tally, Vectors};

use crate::affinity;

/// Corruptions that a task prints one by one. A broken kernel makes thousands.
const REPORTED: u64 = 8;

/// How long a task stays with a mode.
const SLICE: Duration = Duration::from_millis(200);

/// Pause of the tasks that pause.
const PAUSE_US: u64 = 1000;

/// What a host task is to do.
#[derive(Debug, Clone, Args)]
pub struct HostTask {
    /// Number of its patterns, different for each task
    #[arg(long)]
    pub seed: u16,
    /// CPU to run on, unless it is any
    #[arg(long)]
    pub cpu: Option<usize>,
    /// How long
    #[arg(long)]
    pub seconds: u64,
    /// Which of the modes is its first one
    #[arg(long)]
    pub first: usize,
    /// Microseconds to sleep after each check: whoever wakes up takes the CPU
    /// from a vCPU, and does so more often than the scheduler's tick
    #[arg(long, default_value_t = 0)]
    pub pause_us: u64,
    /// Change vector lengths while registers are held, too
    #[arg(long)]
    pub length_changes: bool,
}

/// What a host task did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Done {
    tally: Tally,
    /// Changes of a vector length while registers were held.
    length_changes: u64,
}

/// Changes between neighbouring vector lengths, up and down, and between the
/// shortest and the longest.
fn length_changes(of: Vectors, lengths: &[usize]) -> Vec<Mode> {
    let neighbours = lengths.windows(2).map(|pair| (pair[0], pair[1]));
    let ends = match lengths {
        [shortest, _, .., longest] => Some((*shortest, *longest)),
        _ => None,
    };
    neighbours
        .chain(ends)
        .flat_map(|(short, long)| [(short, long), (long, short)])
        .map(|(from, to)| Mode::LengthChange { of, from, to })
        .collect()
}

/// All ways to hold registers on a machine with these vector lengths, in an
/// order that brings a bit of everything early.
fn modes(sve: &[usize], sme: &[usize]) -> Vec<Mode> {
    let mut modes = vec![Mode::Fpsimd { syscalls: true }];
    for n in 0..sve.len().max(sme.len()) {
        // Longest first.
        let nth = |lengths: &[usize]| lengths.iter().rev().nth(n).copied();
        modes.extend(nth(sve).map(|vl| Mode::Sve { vl }));
        if let Some(vl) = nth(sme) {
            let syscalls = n % 2 == 0;
            modes.extend([Mode::Streaming { vl }, Mode::Za { vl, syscalls }]);
        }
    }
    modes.push(Mode::Fpsimd { syscalls: false });
    modes
}

impl HostTask {
    /// The task itself: checks, and prints "checks corruptions length-changes".
    pub fn run(&self) -> Result<()> {
        if let Some(cpu) = self.cpu {
            affinity::pin(&[cpu])?;
        }
        let (sve, sme) = (fp::sve_lengths(), fp::sme_lengths());
        let mut modes = modes(&sve, &sme);
        if self.length_changes {
            modes.extend(length_changes(Vectors::Sve, &sve));
            modes.extend(length_changes(Vectors::Streaming, &sme));
        }
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut done = Done::default();
        for mode in modes.iter().cycle().skip(self.first % modes.len()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let mut checker =
                Checker::new(self.seed, *mode).with_context(|| format!("{mode:?}"))?;
            if checker.check_wrongly().is_ok() {
                bail!("{mode:?}: a wrong register was not noticed");
            }
            let before = done.tally.checks;
            self.slice(&mut checker, left.min(SLICE), &mut done.tally);
            if let Mode::LengthChange { .. } = mode {
                done.length_changes += done.tally.checks - before;
            }
        }
        let Done {
            tally,
            length_changes,
        } = done;
        println!("{} {} {length_changes}", tally.checks, tally.corruptions);
        Ok(())
    }

    /// Checks for `duration`, with a pause after each check if there is one.
    fn slice(&self, checker: &mut Checker, duration: Duration, tally: &mut Tally) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            tally.checks += 1;
            if let Err(mismatch) = checker.check() {
                tally.corruptions += 1;
                self.report(&mismatch, tally.corruptions);
            }
            if self.pause_us > 0 {
                thread::sleep(Duration::from_micros(self.pause_us));
            }
        }
    }

    fn report(&self, mismatch: &Mismatch, count: u64) {
        if count <= REPORTED {
            eprintln!("{}: {mismatch}", self.what());
        }
    }

    /// Its name in messages.
    fn what(&self) -> String {
        match self.cpu {
            Some(cpu) => format!("host task {} on CPU {cpu}", self.seed),
            None => format!("host task {}", self.seed),
        }
    }

    /// Starts the task as a process of its own.
    pub fn spawn(&self) -> Result<Running> {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("host-task")
            .args(["--seed", &self.seed.to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .args(["--first", &self.first.to_string()])
            .args(["--pause-us", &self.pause_us.to_string()]);
        if let Some(cpu) = self.cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        if self.length_changes {
            command.arg("--length-changes");
        }
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a host task")?;
        Ok(Running {
            child,
            what: self.what(),
        })
    }
}

/// A host task that runs.
pub struct Running {
    child: Child,
    what: String,
}

impl Running {
    /// Waits for the task's end.
    pub fn finish(mut self) -> Result<Tally> {
        let mut text = String::new();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_string(&mut text)?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} failed: {status}", self.what);
        }
        let done = parse(&text).ok_or_else(|| anyhow!("{} printed {text:?}", self.what))?;
        Ok(done.tally)
    }
}

/// Reads what a task printed at its end.
fn parse(text: &str) -> Option<Done> {
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [checks, corruptions, length_changes] = numbers[..] else {
        return None;
    };
    Some(Done {
        tally: Tally {
            checks,
            corruptions,
        },
        length_changes,
    })
}

/// The tasks of a contest: `per_cpu` on each of `cpus`. They go through all
/// modes, each from another one on, and every second one of a CPU pauses.
pub fn assign(per_cpu: usize, cpus: &[usize], seconds: u64) -> Vec<HostTask> {
    let count = per_cpu * cpus.len();
    let modes = modes(&fp::sve_lengths(), &fp::sme_lengths()).len();
    (0..count)
        .map(|index| HostTask {
            // Guests number their patterns from 1.
            seed: 1000 + index as u16,
            cpu: Some(cpus[index % cpus.len()]),
            seconds,
            first: index * modes / count,
            pause_us: if index / cpus.len() % 2 == 1 {
                PAUSE_US
            } else {
                0
            },
            length_changes: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_all_there_are() {
        let all = modes(&[16, 32, 48], &[16, 64]);
        for vl in [16, 32, 48] {
            assert!(all.contains(&Mode::Sve { vl }), "{vl}");
        }
        for vl in [16, 64] {
            assert!(all.contains(&Mode::Streaming { vl }), "{vl}");
            let za = |mode: &Mode| matches!(mode, Mode::Za { vl: found, .. } if *found == vl);
            assert!(all.iter().any(za), "{vl}");
        }
        for syscalls in [false, true] {
            assert!(all.contains(&Mode::Fpsimd { syscalls }));
        }
        assert_eq!(all.len(), 2 + 3 + 2 * 2);
        assert_eq!(all[2], Mode::Streaming { vl: 64 }, "not only at the end");
    }

    #[test]
    fn without_sve_and_sme_all_tasks_hold_v_registers() {
        let all = modes(&[], &[]);
        assert!(all.iter().all(|mode| matches!(mode, Mode::Fpsimd { .. })));
    }

    #[test]
    fn tasks_have_their_own_seeds_and_every_cpu_one_that_pauses() {
        let tasks = assign(2, &[0, 1], 5);
        assert_eq!(tasks.len(), 4);
        let mut seeds: Vec<_> = tasks.iter().map(|task| task.seed).collect();
        seeds.dedup();
        assert_eq!(seeds.len(), 4);
        for cpu in [0, 1] {
            let pauses = tasks.iter().filter(|task| task.cpu == Some(cpu));
            let pauses: Vec<_> = pauses.map(|task| task.pause_us > 0).collect();
            assert_eq!(pauses, [false, true], "CPU {cpu}");
        }
    }

    #[test]
    fn changes_go_up_and_down_between_neighbours_and_ends() {
        let pairs = |lengths: &[usize]| -> Vec<(usize, usize)> {
            let modes = length_changes(Vectors::Sve, lengths);
            let pair = |mode: &Mode| match mode {
                Mode::LengthChange { from, to, .. } => (*from, *to),
                other => panic!("{other:?}"),
            };
            modes.iter().map(pair).collect()
        };
        assert!(pairs(&[]).is_empty() && pairs(&[16]).is_empty());
        assert_eq!(pairs(&[16, 32]), [(16, 32), (32, 16)]);
        let three = pairs(&[16, 32, 64]);
        assert_eq!(three.len(), 6);
        assert!(three.contains(&(64, 16)) && three.contains(&(32, 64)));
    }

    #[test]
    fn what_a_task_did_is_read_back() {
        let done = Done {
            tally: Tally {
                checks: 12,
                corruptions: 3,
            },
            length_changes: 4,
        };
        assert_eq!(parse("12 3 4\n"), Some(done));
        assert_eq!(parse("12 3\n"), None);
        assert_eq!(parse("12 3 x\n"), None);
    }
}
