// SPDX-License-Identifier: GPL-2.0

//! Threads of VMMs and host tasks are stopped by ptrace, wherever they are, their
//! registers read and written back. A process of its own does it: this one waits for
//! them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::soak::Soak;
use crate::tracer::Visit;

/// The process that traces. Killed when dropped.
struct Tracer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Tracer {
    fn start() -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg("tracer")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the tracer")?;
        let requests = child.stdin.take().context("no input")?;
        let answers = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self {
            child,
            requests,
            answers,
        })
    }

    /// Has it visit a process.
    fn visit(&mut self, pid: i32) -> Result<Visit> {
        writeln!(self.requests, "{pid}").context("the tracer has ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the tracer said {line:?}"))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has one process after the other visited.
pub fn run(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let mut tracer = Tracer::start()?;
    let pace = Pace::choose(&mut numbers, 50..800);
    while soak.over.wait(pace.next(&mut numbers)) {
        let visit = soak.processes.with_one(
            &mut numbers,
            |_| true,
            |process, _| tracer.visit(process.pid),
        );
        if let Some(visit) = visit.transpose()? {
            soak.counters.ptrace_stops.add(visit.stops);
            soak.counters.ptrace_registers.add(visit.registers);
            soak.counters.ptrace_corruptions.add(visit.corruptions);
            if visit.too_late {
                soak.counters.ptrace_too_late.add(1);
                tracer = Tracer::start()?;
            }
        }
    }
    Ok(())
}
