// SPDX-License-Identifier: GPL-2.0

//! The virtio-serial port.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, Context, Result};

use crate::frame::Frame;

/// More than the other host takes to open its end.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(50);

/// This host's end.
pub struct Port(File);

/// Where there is nobody at the other end, there is nothing to read, as at the
/// end of a file. That is no end here: the other host starts later.
impl Read for Port {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.0.read(bytes) {
                Ok(0) if Instant::now() < deadline => thread::sleep(PAUSE),
                result => return result,
            }
        }
    }
}

impl Port {
    /// Opens the port, which the kernel knows by name and devtmpfs by number.
    pub fn open(name: &str) -> Result<Self> {
        const CLASS: &str = "/sys/class/virtio-ports";
        for entry in fs::read_dir(CLASS).with_context(|| format!("cannot read {CLASS}"))? {
            let entry = entry?;
            let its = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if its.trim() == name {
                let device = Path::new("/dev").join(entry.file_name());
                return OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&device)
                    .map(Self)
                    .with_context(|| format!("cannot open {}", device.display()));
            }
        }
        Err(anyhow!("there is no virtio-serial port named \"{name}\""))
    }

    pub fn send(&mut self, frame: &Frame) -> Result<()> {
        frame.write(&mut self.0)
    }

    pub fn receive(&mut self) -> Result<Frame> {
        Frame::read(self)
    }
}
