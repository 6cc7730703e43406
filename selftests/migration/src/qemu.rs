// SPDX-License-Identifier: GPL-2.0

//! A QEMU with the guest, or one that waits for it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use serde_json::json;

use crate::frame::{Frame, LONGEST};
use crate::guest;
use crate::port::Port;
use crate::qmp::Qmp;

/// The sockets, of which there is one of each at a time.
const MONITOR: &str = "/tmp/migration-monitor";
const INCOMING: &str = "/tmp/migration-incoming";
const OUTGOING: &str = "/tmp/migration-outgoing";

/// More than anything takes here.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at something.
const PAUSE: Duration = Duration::from_millis(20);

pub struct Qemu {
    child: Child,
    qmp: Qmp,
}

impl Qemu {
    /// Starts one with the guest, or one that waits for it.
    pub fn start(incoming: bool) -> Result<Self> {
        for socket in [MONITOR, INCOMING] {
            // Those of the QEMU before.
            let _ = fs::remove_file(socket);
        }
        let mut command = Command::new("/usr/bin/qemu-system-aarch64");
        command
            .args(["-M", "virt,gic-version=3", "-accel", "kvm", "-cpu", "host"])
            .args([
                "-m",
                "64",
                "-nodefaults",
                "-nic",
                "none",
                "-display",
                "none",
            ])
            .args(["-kernel", guest::IMAGE])
            .arg("-qmp")
            .arg(format!("unix:{MONITOR},server=on,wait=off"));
        if incoming {
            command.arg("-incoming").arg(format!("unix:{INCOMING}"));
        }
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let qmp = connect(&mut child, MONITOR).and_then(Qmp::new);
        match qmp {
            Ok(qmp) => Ok(Self { child, qmp }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Waits until the guest has gone on, and all of its registers were right.
    /// Returns its round.
    pub fn check_guest(&mut self) -> Result<u64> {
        let begin = self.round()?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let round = self.round()?;
            // What it says first after it went on could be of before.
            if round >= begin + 192 {
                return Ok(round);
            }
            ensure!(Instant::now() < deadline, "the guest does not go on");
            thread::sleep(PAUSE);
        }
    }

    fn round(&mut self) -> Result<u64> {
        let line = format!("xp /2gx {:#x}", guest::SAYS);
        let printed = self
            .qmp
            .execute("human-monitor-command", json!({ "command-line": line }))?;
        guest::round(printed.as_str().unwrap_or_default())
    }

    /// Migrates the guest to the other host.
    pub fn migrate_to(&mut self, port: &mut Port) -> Result<()> {
        let _ = fs::remove_file(OUTGOING);
        let listener =
            UnixListener::bind(OUTGOING).with_context(|| format!("cannot make {OUTGOING}"))?;
        let uri = format!("unix:{OUTGOING}");
        self.qmp.execute("migrate", json!({ "uri": uri }))?;
        let (mut stream, _) = listener.accept().context("QEMU does not connect")?;
        let mut part = vec![0; LONGEST];
        loop {
            match stream
                .read(&mut part)
                .context("cannot read QEMU's stream")?
            {
                0 => break,
                length => port.send(&Frame::Part(part[..length].to_vec()))?,
            }
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            let info = self.qmp.execute("query-migrate", json!({}))?;
            match info["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") | None => bail!("the migration failed: {info}"),
                Some(_) => ensure!(Instant::now() < deadline, "it does not end: {info}"),
            }
            thread::sleep(PAUSE);
        }
        port.send(&Frame::End)
    }

    /// Takes the guest from the other host, and waits until it runs.
    pub fn migrate_from(&mut self, port: &mut Port) -> Result<()> {
        let mut stream = connect(&mut self.child, INCOMING)?;
        loop {
            match port.receive()? {
                Frame::Part(part) => stream
                    .write_all(&part)
                    .context("cannot write QEMU's stream")?,
                Frame::End => break,
                other => bail!("the other host says {other:?}"),
            }
        }
        drop(stream);
        let deadline = Instant::now() + LIMIT;
        loop {
            let status = self.qmp.execute("query-status", json!({}))?;
            if status["status"] == "running" {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the guest does not run: {status}"
            );
            thread::sleep(PAUSE);
        }
    }
}

/// Connects to a socket that QEMU is about to make.
fn connect(child: &mut Child, path: &str) -> Result<UnixStream> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("cannot connect to {path}"))
            }
            Err(_) => (),
        }
        if let Some(status) = child.try_wait().context("cannot wait for QEMU")? {
            bail!("QEMU ended: {status}");
        }
        thread::sleep(PAUSE);
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Nothing to do for one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
