// SPDX-License-Identifier: GPL-2.0

//! Reports to the machine that emulates the host, through the virtio-serial
//! port named "report": one JSON object a line.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use anyhow::{anyhow, Context, Result};
use serde::Serialize;

/// A report.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The host has reached userspace.
    Up {
        /// Time since boot.
        uptime_ms: u64,
        /// Release of the kernel.
        kernel: &'a str,
        /// CPUs that are online.
        cpus: usize,
        /// Which implementation of the world switch KVM says that it has, if it says so.
        world_switch: Option<&'a str>,
    },
    /// A step begins.
    Start {
        /// Its name.
        name: &'a str,
    },
    /// A step says how far it is.
    Progress {
        /// Its name.
        name: &'a str,
        /// The object from a line that begins with `progress: `.
        progress: &'a serde_json::Value,
    },
    /// A step is over.
    End {
        /// Its name.
        name: &'a str,
        /// How it ended.
        outcome: Outcome,
        /// Exit status or number of the signal; 0 otherwise.
        code: i32,
        /// How long it ran.
        seconds: f64,
        /// The end of what it printed.
        output_tail: &'a str,
        /// Objects from lines that begin with `result: `.
        output: &'a [serde_json::Value],
    },
    /// All steps are over.
    Done {
        /// Value of /proc/sys/kernel/tainted.
        tainted: u64,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an exit status.
    Exited,
    /// By a signal that was not ours.
    Signalled,
    /// Killed because it took too long.
    Timeout,
    /// The program could not be started.
    NotFound,
    /// It ended, but something that it left behind keeps its output open.
    OutputOpen,
}

/// The port.
pub struct Port(File);

impl Port {
    /// Opens the port, which the kernel knows by name and devtmpfs by number.
    pub fn open() -> Result<Self> {
        const CLASS: &str = "/sys/class/virtio-ports";
        for entry in fs::read_dir(CLASS).with_context(|| format!("cannot read {CLASS}"))? {
            let entry = entry?;
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if name.trim() == "report" {
                let device = std::path::Path::new("/dev").join(entry.file_name());
                let file = OpenOptions::new()
                    .write(true)
                    .open(&device)
                    .with_context(|| format!("cannot open {}", device.display()))?;
                return Ok(Self(file));
            }
        }
        Err(anyhow!("there is no virtio-serial port named \"report\""))
    }

    /// Sends a report.
    pub fn send(&mut self, event: &Event<'_>) -> Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0
            .write_all(&line)
            .context("cannot write to the report port")
    }
}
