// SPDX-License-Identifier: GPL-2.0

//! A VMM's process from its start to its end.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use guest_init::report::{self, Event};

use crate::end::{Ended, Meaning};
use crate::processes::{Kind, Process};
use crate::soak::Soak;
use crate::system;

/// Time that most guests may take. An emulated one shares the CPUs with many others.
pub const LIMIT: Duration = Duration::from_secs(300);
/// And then its process, to its end.
const END: Duration = Duration::from_secs(60);

/// Lines of a VMM that are kept for an error.
const LAST_LINES: usize = 12;

/// A VMM to start.
pub struct Start {
    /// What its guest is, for messages.
    pub what: String,
    /// The program.
    pub command: Command,
    /// Whether its allocations may be made to fail.
    pub faulty: bool,
    /// Whether SIGUSR1 only interrupts it.
    pub interruptible: bool,
    /// How its guest says what it compared.
    pub counts: Counts,
    /// Time that it may take.
    pub limit: Duration,
}

/// How a guest says what it compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// By the reports of guest-init.
    Reports,
    /// By a line `result: ` with `comparisons` and `host_checks`.
    Result,
    /// Not at all: it powers off where all was right, and resets otherwise.
    PowerOff,
}

impl Start {
    /// Starts it and sees it through. `None` where the host has no memory for another
    /// process, or the soak is over.
    pub fn run(mut self, soak: &Soak) -> Result<Option<Meaning>> {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: signal() is async-signal-safe.
        unsafe {
            self.command.pre_exec(|| {
                // Until the VMM has a handler.
                libc::signal(libc::SIGUSR1, libc::SIG_IGN);
                Ok(())
            });
        }
        let child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN)) => {
                soak.over.wait(Duration::from_secs(1));
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot start {:?}", self.command))
            }
        };
        soak.counters.vmms.add(1);
        let kind = Kind::Vmm {
            faulty: self.faulty,
            interruptible: self.interruptible,
        };
        let process = soak.processes.add(child.id(), kind);
        let mut ended = self.follow(soak, child, &process)?;
        if ended.status.signal() == Some(libc::SIGKILL) && !ended.killed && !ended.hung {
            ended.out_of_memory = system::was_killed_for_memory(process.pid)?;
            let count = u64::from(ended.out_of_memory);
            soak.counters.killed_for_memory.add(count);
        }
        soak.counters.guest_checks.add(ended.checks);
        soak.counters.guest_corruptions.add(ended.corruptions);
        let meaning = ended.meaning();
        match &meaning {
            Meaning::Killed => soak.counters.guests_killed.add(1),
            Meaning::EndedByFault => soak.counters.guests_ended_by_fault.add(1),
            Meaning::Passed | Meaning::Skipped => {}
            Meaning::Wrong(why) => {
                soak.wrong(format!("{}: {why}", self.what));
                for line in &ended.lines {
                    println!("{}: {line}", self.what);
                }
            }
        }
        Ok(Some(meaning))
    }

    /// Reads what it prints, until it ends or has to be ended.
    fn follow(&self, soak: &Soak, mut child: Child, process: &Arc<Process>) -> Result<Ended> {
        let lines = lines(&mut child);
        let deadline = Instant::now() + self.limit;
        let mut ended = Ended {
            faulty: self.faulty,
            counts: self.counts != Counts::PowerOff,
            ..Default::default()
        };
        loop {
            match lines.recv_timeout(Duration::from_millis(200)) {
                Ok(line) => self.take(&mut ended, line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if soak.over.is_now() {
                ended.killed = true;
            } else if Instant::now() > deadline {
                ended.hung = true;
            } else {
                continue;
            }
            if ended.hung {
                ended.lines.push(system::where_it_is(process.pid));
            }
            let _ = child.kill();
            break;
        }
        ended.killed |= soak.processes.remove(process);
        ended.status = wait(&mut child)?;
        // What it printed before it was killed.
        while let Ok(line) = lines.recv() {
            self.take(&mut ended, line);
        }
        // A bare-metal guest says by its reset that a register was wrong.
        let reset = |line: &String| line.contains("the guest asked for a reset");
        if self.counts == Counts::PowerOff && ended.lines.iter().any(reset) {
            ended.corruptions += 1;
        }
        Ok(ended)
    }

    fn take(&self, ended: &mut Ended, text: String) {
        match (self.counts, report::of_line(&text)) {
            (
                Counts::Reports,
                Some(Event::Fp {
                    checks,
                    corruptions,
                    ..
                }),
            ) => {
                ended.checks += checks;
                // Each was reported by itself as well, up to a number.
                ended.corruptions = ended.corruptions.max(corruptions);
                return;
            }
            (Counts::Reports, Some(Event::Corruption { .. })) => {
                ended.corruptions += 1;
            }
            (Counts::Result, _) => {
                if let Some(checks) = checks_of_result(&text) {
                    ended.checks += checks;
                }
            }
            _ => {}
        }
        if ended.lines.len() == LAST_LINES {
            ended.lines.remove(0);
        }
        ended.lines.push(text);
    }
}

/// Waits for a process that ends now, or does not even though it was killed.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let deadline = Instant::now() + END;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a VMM")? {
            return Ok(status);
        }
        ensure!(
            Instant::now() < deadline,
            "a VMM does not end: {}",
            system::where_it_is(child.id() as i32)
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a line `result: ` of aarch32 says of comparisons.
fn checks_of_result(line: &str) -> Option<u64> {
    let result: serde_json::Value = serde_json::from_str(line.strip_prefix("result: ")?).ok()?;
    Some(result["comparisons"].as_u64()? + result["host_checks"].as_u64()?)
}

/// The lines that a process prints. They end when it does.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as _),
        child.stderr.take().map(|stream| Box::new(stream) as _),
    ];
    for stream in streams.into_iter().flatten() {
        let sender: Sender<String> = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(counts: Counts) -> Start {
        Start {
            what: "t".into(),
            command: Command::new("true"),
            faulty: false,
            interruptible: false,
            counts,
            limit: LIMIT,
        }
    }

    fn taken(counts: Counts, lines: &[&str]) -> Ended {
        let mut ended = Ended::default();
        for line in lines {
            start(counts).take(&mut ended, (*line).to_owned());
        }
        ended
    }

    #[test]
    fn reports_of_a_linux_guest_are_counted_and_corruptions_once() {
        let corruption = concat!(
            r#"guest: {"event":"corruption","thread":1,"register":"v0","#,
            r#""expected":"00","found":"01","owner":null}"#
        );
        let fp = concat!(
            r#"guest: {"event":"fp","seconds":1,"threads":2,"checks":9,"corruptions":3,"#,
            r#""device_reads":0,"sve_lengths":[]}"#
        );
        let ended = taken(Counts::Reports, &["x", corruption, fp]);
        assert_eq!((ended.checks, ended.corruptions), (9, 3));
        // Killed before the last report.
        assert_eq!(taken(Counts::Reports, &[corruption]).corruptions, 1);
    }

    #[test]
    fn the_result_of_aarch32_is_counted() {
        let line = r#"result: {"comparisons":40,"host_checks":2,"exits":7}"#;
        assert_eq!(taken(Counts::Result, &[line, "result: x"]).checks, 42);
    }

    #[test]
    fn the_last_lines_are_kept() {
        let lines: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let ended = taken(Counts::PowerOff, &lines);
        assert_eq!(ended.lines.len(), LAST_LINES);
        assert_eq!(ended.lines.last().unwrap(), "99");
    }
}
