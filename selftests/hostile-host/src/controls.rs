// SPDX-License-Identifier: GPL-2.0

//! The kernel's controls in debugfs.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Which lie is told.
pub const LIE: &str = "/sys/kernel/debug/kvm_arm64_rust/lie";
const TOLD: &str = "/sys/kernel/debug/kvm_arm64_rust/lies_told";
const WRITE_NOW: &str = "/sys/kernel/debug/kvm_arm64_rust/write_now";

/// What the kernel counts.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Told {
    /// How often lies were told.
    pub told: u64,
    /// How often something came back that shows that EL2 believed one.
    pub believed: u64,
}

/// The controls.
pub struct Controls(());

impl Controls {
    /// Looks whether they are there.
    pub fn open() -> Result<Self> {
        let controls = Self(());
        controls.names()?;
        Ok(controls)
    }

    /// The names of all lies that the kernel knows.
    pub fn names(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(LIE).with_context(|| {
            format!(
                "cannot read {LIE}: it takes a kernel with CONFIG_KVM_ARM64_RUST_FAULTS \
                     (scripts/xtask boot --variant faults)"
            )
        })?;
        Ok(names(&text))
    }

    /// The counts up to now.
    pub fn told(&self) -> Result<Told> {
        let text = fs::read_to_string(TOLD).with_context(|| format!("cannot read {TOLD}"))?;
        serde_json::from_str(&text).with_context(|| format!("cannot understand {TOLD}: {text}"))
    }
}

/// Names in the contents of the file.
fn names(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_start_matches(['*', ' ']).to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Takes the lie back when it goes away, whatever happens.
pub struct LieOn;

impl LieOn {
    /// Switches `lie` on.
    pub fn new(_: &Controls, lie: &str) -> Result<Self> {
        fs::write(LIE, lie).with_context(|| format!("cannot switch on the lie {lie} ({LIE})"))?;
        Ok(Self)
    }
}

impl Drop for LieOn {
    fn drop(&mut self) {
        if let Err(error) = fs::write(LIE, "none") {
            eprintln!("hostile-host: cannot switch the lie off: {error}");
        }
    }
}

/// A thread in which the kernel writes to what EL2 reads, until this goes away.
pub struct OtherCpu {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OtherCpu {
    /// Starts it, on whichever CPU the guest leaves free.
    pub fn start(_: &Controls) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Err(error) = fs::write(WRITE_NOW, "1") {
                        // The guest's end shows nothing then. That there is no such file means
                        // that the kernel is not the one that this program is for.
                        panic!("cannot write to {WRITE_NOW}: {error}");
                    }
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for OtherCpu {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the program already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_on_is_a_name_too() {
        assert_eq!(names("  a_b\n* c\n"), ["a_b", "c"]);
    }
}
