// SPDX-License-Identifier: GPL-2.0

//! QEMU's monitor, as far as it is needed here.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use anyhow::{bail, Context, Result};
use serde_json::{json, Value};

/// A monitor.
pub struct Qmp(BufReader<UnixStream>);

impl Qmp {
    /// Takes a monitor that was connected just now.
    pub fn new(stream: UnixStream) -> Result<Self> {
        let mut qmp = Self(BufReader::new(stream));
        qmp.line().context("QEMU's monitor does not greet")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            bail!("QEMU closed its monitor");
        }
        serde_json::from_str(&line).with_context(|| format!("cannot read {line}"))
    }

    /// Executes a command, and returns what it returns.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let text = json!({ "execute": command, "arguments": arguments }).to_string();
        self.0.get_mut().write_all(text.as_bytes())?;
        loop {
            let mut answer = self.line()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
            // Others are events.
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }
}
