// SPDX-License-Identifier: GPL-2.0

//! Guests: a VMM's process, and what the guest's first process reports.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use guest_init::report::{self, Event};

use crate::affinity;
use crate::options::{Options, Vmm};

/// Lines of a guest that could not be started properly, for the error.
const LAST_LINES: usize = 8;

/// What came of a guest.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// From the start of the VMM to the guest's userspace.
    pub boot: Duration,
    pub checks: u64,
    pub corruptions: u64,
}

/// A line of a guest's console.
enum Line {
    Report(Event),
    Other(String),
}

/// A guest that runs.
pub struct Guest {
    name: String,
    child: Child,
    lines: Receiver<Line>,
    started: Instant,
    boot: Option<Duration>,
    last: Vec<String>,
    /// What its kernel is to call the CPU's state.
    machine: &'static str,
}

/// The command for guest `index`, which checks for `seconds`.
fn command(options: &Options, index: usize, seconds: u64) -> Result<Command> {
    let cpus = options.vcpus.to_string();
    let pin: Vec<_> = options.cpus.iter().map(usize::to_string).collect();
    // Each guest numbers its patterns from elsewhere, so that a value of
    // another guest is told from its own.
    let seed = 1 + index * 100;
    let check = format!("quiet panic=-1 fp.seconds={seconds} fp.seed={seed}");
    Ok(match options.vmm {
        Vmm::Ours => {
            let mut command = Command::new("/kvm-rust/bin/vmm");
            let (initrd, memory, guest) = match options.nested {
                false => (&options.initrd, "192", ""),
                true => (&options.nested_initrd, "512", " fp.guest=1"),
            };
            command
                .args(["--kernel", &options.kernel, "--initrd", initrd])
                .args(["--cpus", &cpus, "--memory", memory, "--pin", &pin.join(",")])
                .args(["--cmdline", &format!("console=ttyS0 {check}{guest}")]);
            if options.nested {
                command.arg("--el2");
            }
            if options.protected {
                command.arg("--protected");
            }
            // One guest in three has no SVE: its registers are saved in
            // another format than its neighbours'.
            if index % 3 == 1 {
                command.args(["--sve-vl", "off"]);
            }
            command
        }
        Vmm::Qemu => options.system.qemu(options, index, &check)?,
    })
}

impl Guest {
    /// Starts guest `index`.
    pub fn start(options: &Options, index: usize, seconds: u64) -> Result<Self> {
        let name = format!("guest {index} ({:?})", options.vmm);
        let mut command = command(options, index, seconds)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // The VMM inherits where this thread runs.
        affinity::pin(&options.cpus)?;
        let mut child = command
            .spawn()
            .with_context(|| format!("{name}: cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("no output")?;
        let (sender, lines) = channel();
        let prefix = name.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout)
                .split(b'\n')
                .map_while(std::result::Result::ok)
            {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                println!("{prefix}: {text}");
                let line = match report::of_line(text) {
                    Some(event) => Line::Report(event),
                    None => Line::Other(text.to_owned()),
                };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            name,
            child,
            lines,
            started: Instant::now(),
            boot: None,
            last: Vec::new(),
            machine: options.system.machine(),
        })
    }

    /// Waits for the guest's userspace.
    pub fn wait_for_boot(&mut self, limit: Duration) -> Result<()> {
        match self.next_report(self.started + limit)? {
            Event::Boot { machine, .. } => {
                ensure!(
                    machine == self.machine,
                    "{}: its kernel says {machine}, not {}",
                    self.name,
                    self.machine
                );
                self.boot = Some(self.started.elapsed());
                Ok(())
            }
            other => bail!("{}: reported {other:?} before it had booted", self.name),
        }
    }

    /// Waits for the guest's end, and for that of its VMM.
    pub fn finish(mut self, limit: Duration) -> Result<Played> {
        let deadline = Instant::now() + limit;
        let mut result = Played {
            boot: self.boot.unwrap_or_default(),
            checks: 0,
            corruptions: 0,
        };
        loop {
            match self.next_report(deadline)? {
                Event::Fp {
                    checks,
                    corruptions,
                    ..
                } => {
                    result.checks += checks;
                    result.corruptions += corruptions;
                }
                Event::Corruption {
                    thread,
                    register,
                    expected,
                    found,
                    owner,
                } => eprintln!(
                    "{}: {register} of thread {thread} was {found} instead of {expected}: {}",
                    self.name,
                    owner.as_deref().unwrap_or("nobody's"),
                ),
                Event::Error { message } => bail!("{}: {message}", self.name),
                Event::Boot { .. } => bail!("{}: booted twice", self.name),
                Event::Done => break,
            }
        }
        if result.checks == 0 {
            bail!("{}: did not check anything", self.name);
        }
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("{}: the VMM failed: {status}", self.name);
                }
                return Ok(result);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!(
            "{}: the VMM did not end after the guest's power-off",
            self.name
        )
    }

    fn next_report(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(Line::Report(report)) => return Ok(report),
                Ok(Line::Other(text)) => {
                    if self.last.len() == LAST_LINES {
                        self.last.remove(0);
                    }
                    self.last.push(text);
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{}: time-out; its last lines: {:#?}", self.name, self.last)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!(
                        "{}: ended early ({status}); its last lines: {:#?}",
                        self.name,
                        self.last
                    )
                }
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Nothing to do for a VMM that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
