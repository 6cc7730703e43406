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
        match Traced::seize(Pid::from_raw(thread)) {
            Ok(traced) => traced.visit(&mut visit)?,
            Err(error) => gone_is_right(Err(error))?,
        }
        if visit.too_late {
            break;
        }
    }
    Ok(visit)
}

/// A thread may end at any time, and be killed while it is stopped.
fn gone_is_right(result: nix::Result<()>) -> Result<()> {
    match result {
        Ok(()) | Err(Errno::ESRCH) | Err(Errno::EPERM) => Ok(()),
        Err(error) => Err(error).context("ptrace"),
    }
}

/// A thread that this process traces. If it ends before it is let go, it has to be waited
/// for here as well: until then its process does not come to its end for whoever waits for
/// that.
struct Traced(Pid);

impl Traced {
    fn seize(thread: Pid) -> nix::Result<Self> {
        ptrace::seize(thread, Options::empty())?;
        Ok(Self(thread))
    }

    /// Stops it, looks at its registers, and lets it go.
    fn visit(self, visit: &mut Visit) -> Result<()> {
        match ptrace::interrupt(self.0) {
            // It ends already.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).context("cannot stop a thread"),
        }
        match self.wait()? {
            Stop::For(signal) => {
                visit.stops += 1;
                look(self.0, visit)?;
                self.let_go(signal, visit)
            }
            Stop::Ended => Ok(()),
            Stop::TooLate => {
                visit.too_late = true;
                Ok(())
            }
        }
    }

    /// Lets it go on, with the signal that it was to be given.
    fn let_go(self, signal: Option<Signal>, visit: &mut Visit) -> Result<()> {
        match ptrace::detach(self.0, signal) {
            Ok(()) => return Ok(()),
            // It was killed, and is no longer stopped.
            Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).context("cannot let a thread go"),
        }
        match self.wait()? {
            Stop::Ended => {}
            // Killed where it had been stopped, it stops once more on its way out, or takes
            // too long for that. The end of this process lets it go.
            Stop::For(_) | Stop::TooLate => visit.too_late = true,
        }
        Ok(())
    }

    /// Waits until it stops or ends.
    fn wait(&self) -> Result<Stop> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
            let status = match waitpid(self.0, Some(flags)) {
                Err(Errno::ECHILD) => return Ok(Stop::Ended),
                other => other.context("cannot wait for a thread")?,
            };
            match status {
                WaitStatus::PtraceEvent(..) => return Ok(Stop::For(None)),
                WaitStatus::Stopped(_, signal) => return Ok(Stop::For(Some(signal))),
                WaitStatus::StillAlive if Instant::now() < deadline => {
                    thread::sleep(Duration::from_micros(200));
                }
                WaitStatus::StillAlive => return Ok(Stop::TooLate),
                _ => return Ok(Stop::Ended),
            }
        }
    }
}

/// What a thread that is waited for has done.
enum Stop {
    /// It is stopped, and is to be given this signal when it goes on.
    For(Option<Signal>),
    /// It has ended.
    Ended,
    /// Neither, in the time that it may take.
    TooLate,
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

    /// Whether a process that was killed comes to its end for its parent, this process.
    fn ends(child: &mut Child) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if child.try_wait().unwrap().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn a_thread_that_is_killed_in_the_middle_does_not_keep_its_process() {
        for killed_when_stopped in [false, true] {
            let mut child = start(true);
            thread::sleep(Duration::from_millis(500));
            // Not the first one: that is waited for by its parent anyway.
            let threads = threads(child.id() as i32, 0);
            let thread = Pid::from_raw(*threads.last().unwrap());
            assert_ne!(thread.as_raw(), child.id() as i32);
            let traced = Traced::seize(thread).unwrap();
            let mut visit = Visit::default();
            if killed_when_stopped {
                ptrace::interrupt(thread).unwrap();
                let Stop::For(signal) = traced.wait().unwrap() else {
                    panic!("it does not stop");
                };
                child.kill().unwrap();
                thread::sleep(Duration::from_millis(100));
                look(thread, &mut visit).unwrap();
                traced.let_go(signal, &mut visit).unwrap();
            } else {
                child.kill().unwrap();
                thread::sleep(Duration::from_millis(100));
                traced.visit(&mut visit).unwrap();
            }
            assert!(
                ends(&mut child),
                "killed when stopped: {killed_when_stopped}"
            );
            assert!(!visit.too_late);
        }
    }

    #[test]
    fn who_is_gone_is_not_visited() {
        let mut child = start(false);
        child.wait().unwrap();
        assert_eq!(visit(child.id() as i32, 0).unwrap(), Visit::default());
    }
}
