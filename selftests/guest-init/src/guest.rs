// SPDX-License-Identifier: GPL-2.0

//! A guest of this guest, which runs the same programs.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use guest_init::report::{self, Error, Event};

use crate::cmdline::Settings;

/// The VMM and what it boots, where an image of the host has them, too.
const VMM: &str = "/kvm-rust/bin/vmm";
const KERNEL: &str = "/kvm-rust/guest/Image";
const INITRD: &str = "/kvm-rust/guest/initramfs.cpio";

/// MiB of its memory.
const MEMORY: &str = "128";
/// Its patterns begin so much later than those of this guest.
const SEEDS: u16 = 50;

/// A guest that has booted.
pub struct Guest {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Guest {
    /// Starts a guest that checks as long as this one is to, and waits until it begins.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        let check = format!(
            "console=ttyS0 quiet panic=-1 fp.seconds={} fp.seed={}",
            settings.seconds,
            settings.seed + SEEDS
        );
        let mut child = Command::new(VMM)
            .args(["--kernel", KERNEL, "--initrd", INITRD])
            .args(["--memory", MEMORY, "--cmdline", &check])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {VMM}: {error}"))?;
        let output = child.stdout.take().ok_or("the VMM has no output")?;
        let mut guest = Self {
            child,
            lines: BufReader::new(output).lines(),
        };
        loop {
            match guest.next()? {
                (_, Some(Event::Boot { .. })) => return Ok(guest),
                (line, Some(_)) => return Err(format!("before it had booted: {line}")),
                (_, None) => {}
            }
        }
    }

    /// Waits for its end, and passes on what it reports of registers.
    pub fn finish(mut self) -> Result<(), Error> {
        let mut checked = 0;
        loop {
            match self.next()? {
                (line, Some(Event::Fp { checks, .. })) => {
                    checked += checks;
                    report::send_line(&line);
                }
                (line, Some(Event::Corruption { .. })) => report::send_line(&line),
                (_, Some(Event::Error { message })) => return Err(format!("its guest: {message}")),
                (_, Some(Event::Boot { .. })) => return Err("its guest booted twice".into()),
                (_, Some(Event::Done)) => break,
                (_, None) => {}
            }
        }
        if checked == 0 {
            return Err("its guest did not check anything".into());
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{VMM} failed: {status}")),
            Err(error) => Err(format!("cannot wait for {VMM}: {error}")),
        }
    }

    /// The next line of its console.
    fn next(&mut self) -> Result<(String, Option<Event>), Error> {
        let line = self.lines.next().ok_or("its guest ended early")?;
        let line = line.map_err(|error| format!("cannot read from {VMM}: {error}"))?;
        let line = line.trim_end().to_owned();
        let event = report::of_line(&line);
        if event.is_none() {
            // What the kernel says there, whose way down here is long.
            eprintln!("guest of the guest: {line}");
        }
        Ok((line, event))
    }
}
