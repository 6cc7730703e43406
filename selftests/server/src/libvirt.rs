// SPDX-License-Identifier: GPL-2.0

//! libvirt, by its shell.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};

/// Pause between two attempts to reach it.
const PAUSE: Duration = Duration::from_secs(2);

/// Lines of QEMU's log that are shown of a domain that failed.
const LAST_LINES: usize = 5;

/// The libvirt of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libvirt(String);

impl Libvirt {
    /// That of the server with this address.
    pub fn at(address: &str) -> Self {
        Self(format!("qemu+tcp://{address}/system"))
    }

    fn virsh(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("virsh")
            .args(["--connect", &self.0, "--quiet"])
            .args(arguments)
            .output()
            .context("cannot start virsh")?;
        ensure!(
            output.status.success(),
            "virsh {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Waits until it answers.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let error = match self.virsh(&["version"]) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if Instant::now() > end {
                return Err(error)
                    .with_context(|| format!("{} does not answer for {limit:?}", self.0));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Defines a domain from a file.
    pub fn define(&self, file: &str) -> Result<()> {
        self.virsh(&["define", file]).map(drop)
    }

    /// Starts a domain that is defined.
    pub fn start(&self, domain: &str) -> Result<()> {
        self.virsh(&["start", domain]).map(drop)
    }

    /// Ends a domain at once.
    pub fn destroy(&self, domain: &str) -> Result<()> {
        self.virsh(&["destroy", domain]).map(drop)
    }

    /// Whether a domain runs here.
    pub fn runs(&self, domain: &str) -> Result<bool> {
        let running = self.virsh(&["list", "--state-running", "--name"])?;
        Ok(running.lines().any(|name| name.trim() == domain))
    }

    /// What is known of a domain of this server, for an error.
    pub fn describe(&self, domain: &str) -> String {
        let state = self.virsh(&["domstate", "--reason", domain]);
        let state = state.unwrap_or_else(|error| error.to_string());
        let path = format!("/var/log/libvirt/qemu/{domain}.log");
        let log = fs::read_to_string(&path).unwrap_or_else(|error| format!("{path}: {error}"));
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        format!(
            "{domain} is {state}, its vCPUs at {}; QEMU's last words: {}",
            self.places(domain),
            last.join("; ")
        )
    }

    /// The PC of each vCPU of a domain, as QEMU knows them, or why they are not known.
    fn places(&self, domain: &str) -> String {
        let monitor = ["qemu-monitor-command", domain, "--hmp", "info registers -a"];
        match self.virsh(&monitor) {
            Ok(said) => program_counters(&said).join(" "),
            Err(error) => format!("an unknown place ({error})"),
        }
    }

    /// Migrates a domain to the server with the address `to`, while it runs. Returns how
    /// long that took.
    pub fn migrate(&self, domain: &str, to: &str) -> Result<Duration> {
        let start = Instant::now();
        let (there, stream) = (Self::at(to).0, format!("tcp://{to}"));
        self.virsh(&[
            "migrate",
            "--live",
            "--persistent",
            "--domain",
            domain,
            "--desturi",
            &there,
            // Not by the name of the host, which nobody resolves here.
            "--migrateuri",
            &stream,
        ])?;
        Ok(start.elapsed())
    }
}

/// The program counters in what QEMU says of the registers of a machine.
fn program_counters(said: &str) -> Vec<String> {
    let words = said.split_whitespace();
    words
        .filter(|word| word.starts_with("PC="))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_counters_are_found_among_other_registers() {
        let said =
            "CPU#0\n PC=0000000000001234 X00=0000000000000001\nX01=2\n\nCPU#1\n PC=5 X00=6\n";
        assert_eq!(program_counters(said), ["PC=0000000000001234", "PC=5"]);
    }
}
