// SPDX-License-Identifier: GPL-2.0

//! The process that stops threads of others, and reads and writes back their registers.

use std::fs;
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::registers::{Difference, Registers};

/// Threads of a process that are stopped in one visit.
const THREADS: usize = 3;
/// Time that a thread may take to stop.
const LIMIT: Duration = Duration::from_secs(20);

/// What came of a visit to a process.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Threads that were stopped.
    pub stops: u64,
    /// Register sets that were read and written back.
    pub registers: u64,
    /// Those that were then not as they had been.
    pub corruptions: u64,
    /// A thread did not stop in time. It will, and only the end of this process lets it
    /// go then.
    pub too_late: bool,
}

/// Visits the processes whose ids come on standard input, and says of each what came
/// of it.
pub fn run() -> Result<()> {
    for (round, line) in io::stdin().lock().lines().enumerate() {
        let line = line.context("cannot read who is to be visited")?;
        let pid = line
            .parse()
            .with_context(|| format!("{line:?} is no process"))?;
        let visit = visit(pid, round)?;
        println!("{}", serde_json::to_string(&visit)?);
        if visit.too_late {
            break;
        }
    }
    Ok(())
}

/// The threads of a process to visit in this round. None of one that is gone.
fn threads(pid: i32, round: usize) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let mut all: Vec<i32> = tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect();
    all.sort_unstable();
    if !all.is_empty() {
        let first = round % all.len();
        all.rotate_left(first);
    }
    all.truncate(THREADS);
    all
}

fn visit(pid: i32, round: usize) -> Result<Visit> {
    let mut visit = Visit::default();
    for thread in threads(pid, round) {
        let thread = Pid::from_raw(thread);
        match stop(thread) {
            Ok(Some(signal)) => {
                visit.stops += 1;
                look(thread, &mut visit)?;
                gone_is_right(ptrace::detach(thread, signal))?;
            }
            Ok(None) => {}
            Err(Errno::ETIMEDOUT) => {
                visit.too_late = true;
                break;
            }
            Err(error) => gone_is_right(Err(error))?,
        }
    }
    Ok(visit)
}

/// A thread may end at any time, and be killed while it is stopped.
fn gone_is_right(result: nix::Result<()>) -> Result<()> {
    match result {
        Ok(()) | Err(Errno::ESRCH) | Err(Errno::ECHILD) | Err(Errno::EPERM) => Ok(()),
        Err(error) => Err(error).context("ptrace"),
    }
}

/// Stops a thread. Returns the signal that it is to be given when it goes on, which may
/// be none; or `None` if it has ended.
fn stop(thread: Pid) -> nix::Result<Option<Option<Signal>>> {
    ptrace::seize(thread, Options::empty())?;
    ptrace::interrupt(thread)?;
    let deadline = Instant::now() + LIMIT;
    loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG))? {
            WaitStatus::PtraceEvent(..) => return Ok(Some(None)),
            WaitStatus::Stopped(_, signal) => return Ok(Some(Some(signal))),
            WaitStatus::StillAlive if Instant::now() < deadline => {
                thread::sleep(Duration::from_micros(200));
            }
            WaitStatus::StillAlive => return Err(Errno::ETIMEDOUT),
            _ => return Ok(None),
        }
    }
}

/// Reads all registers, writes them back, and reads them again.
fn look(thread: Pid, visit: &mut Visit) -> Result<()> {
    let check = || -> io::Result<(u64, Vec<Difference>)> {
        let before = Registers::read(thread)?;
        before.write(thread)?;
        let after = Registers::read(thread)?;
        Ok((before.sets(), before.differences(&after)))
    };
    match check() {
        Ok((sets, differences)) => {
            visit.registers += sets;
            visit.corruptions += differences.len() as u64;
            for difference in differences {
                eprintln!("thread {thread}: {difference}");
            }
            Ok(())
        }
        // Killed meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        Err(error) => Err(error).context("cannot read or write back registers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// Says to `sleeper` that it is not run as a test.
    const SLEEP: &str = "SOAK_TEST_SLEEP";

    /// Not a test of its own: the process that is traced.
    #[test]
    fn sleeper() {
        if std::env::var_os(SLEEP).is_some() {
            thread::sleep(Duration::from_secs(600));
        }
    }

    fn start(sleeps: bool) -> Child {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["--exact", "tracer::tests::sleeper", "--test-threads=1"])
            .stdout(Stdio::null());
        if sleeps {
            command.env(SLEEP, "");
        }
        command.spawn().unwrap()
    }

    #[test]
    fn a_process_is_stopped_and_goes_on_with_its_registers() {
        let mut child = start(true);
        // Until all its threads are there.
        thread::sleep(Duration::from_millis(500));
        let visit = visit(child.id() as i32, 0);
        let goes_on = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        let visit = visit.unwrap();
        assert!(goes_on);
        assert!(visit.stops >= 1, "{visit:?}");
        assert!(visit.registers >= visit.stops, "{visit:?}");
        assert_eq!(visit.corruptions, 0);
    }

    #[test]
    fn who_is_gone_is_not_visited() {
        let mut child = start(false);
        child.wait().unwrap();
        assert_eq!(visit(child.id() as i32, 0).unwrap(), Visit::default());
    }
}
