// SPDX-License-Identifier: GPL-2.0

//! Small guests under the VMM.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const VMM: &str = "/kvm-rust/bin/vmm";

/// More than any guest takes that is not lost.
pub const ENOUGH: Duration = Duration::from_secs(60);

/// What the guest is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is not protected from the host.
    Ordinary,
    /// pKVM protects it from the host.
    Protected,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Ordinary, Self::Protected];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordinary => "ordinary",
            Self::Protected => "protected",
        })
    }
}

/// A guest of selftests/exits.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// It looks at its own registers.
    Registers,
    /// It does hypercalls.
    Hypercall,
}

impl Program {
    fn path(self) -> &'static str {
        match self {
            Self::Registers => "/kvm-rust/guest/registers",
            Self::Hypercall => "/kvm-rust/guest/exit-hypercall",
        }
    }
}

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It found everything as it must be and powered off.
    Passed,
    /// The VMM says why not.
    Failed(String),
    /// It did not end in time.
    StillRunning,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(why) => write!(f, "failed ({})", why.trim()),
            Self::StillRunning => f.write_str("was still running when its time was up"),
        }
    }
}

/// Runs `program` for `limit` at most.
pub fn run(program: Program, kind: Kind, limit: Duration) -> Result<End> {
    let mut command = Command::new(VMM);
    // 32 MiB are taken from the host and given back faster than 256.
    command.args(["--kernel", program.path(), "--memory", "32"]);
    if kind == Kind::Protected {
        command.arg("--protected");
    }
    let mut vmm = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {VMM}"))?;
    let end = wait(&mut vmm, limit);
    if !matches!(end, Ok(Some(_))) {
        vmm.kill().context("cannot end the VMM")?;
        vmm.wait().context("the VMM does not go away")?;
    }
    let Some(passed) = end? else {
        return Ok(End::StillRunning);
    };
    if passed {
        return Ok(End::Passed);
    }
    let mut why = String::new();
    if let Some(mut stderr) = vmm.stderr.take() {
        stderr
            .read_to_string(&mut why)
            .context("cannot read what the VMM says")?;
    }
    Ok(End::Failed(why))
}

/// Waits for the VMM; returns whether it was successful, if it ended in time.
fn wait(vmm: &mut Child, limit: Duration) -> Result<Option<bool>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = vmm.try_wait().context("cannot wait for the VMM")? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
