// SPDX-License-Identifier: GPL-2.0

//! Memory pressure: somebody takes nearly all memory, and caches are dropped.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::soak::Soak;
use crate::system;

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Takes memory again and again, by a process of its own, as it may be killed for it.
pub fn take(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let pace = Pace::choose(&mut numbers, 3000..12000);
    while soak.over.wait(pace.next(&mut numbers)) {
        let leave: u64 = numbers.random_range(16..256);
        let milliseconds: u64 = numbers.random_range(10..2000);
        let output = Command::new("/proc/self/exe")
            .arg("memory-hog")
            .args(["--leave", &leave.to_string()])
            .args(["--milliseconds", &milliseconds.to_string()])
            .stderr(Stdio::inherit())
            .output();
        let output = match output {
            Ok(output) => output,
            // That is little enough.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN)) => {
                continue
            }
            Err(error) => return Err(error).context("cannot start who takes memory"),
        };
        match (output.status.code(), output.status.signal()) {
            (Some(0), _) => {
                let text = String::from_utf8_lossy(&output.stdout);
                let taken = text.trim().parse();
                let taken = taken.with_context(|| format!("who took memory printed {text:?}"))?;
                soak.counters.memory_taken_mib.add(taken);
            }
            // It says that it is the first to go.
            (_, Some(libc::SIGKILL)) => soak.counters.killed_for_memory.add(1),
            _ => bail!("who takes memory failed: {}", output.status),
        }
    }
    Ok(())
}

/// Drops the page cache, the slabs, or both.
pub fn drop_caches(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    // Not a word in the log from here on.
    system::write(DROP_CACHES, "4")?;
    let pace = Pace::choose(&mut numbers, 3000..12000);
    while soak.over.wait(pace.next(&mut numbers)) {
        let which = numbers.random_range(1..=3).to_string();
        system::write(DROP_CACHES, &which)?;
        soak.counters.cache_drops.add(1);
    }
    Ok(())
}
