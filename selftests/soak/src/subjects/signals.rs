// SPDX-License-Identifier: GPL-2.0

//! Signals: some interrupt a VMM, some stop a VMM or a host task for a while, and some
//! kill a VMM.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{kill as send, Signal};
use nix::unistd::Pid;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::processes::{Kind, Process};
use crate::soak::Soak;

/// Sends a signal. Returns whether there was still somebody to get it.
fn signal(process: &Process, signal: Signal) -> Result<bool> {
    match send(Pid::from_raw(process.pid), signal) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot send {signal}")),
    }
}

/// Interrupts one VMM and another, several times in a row.
pub fn interrupt(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let pace = Pace::choose(&mut numbers, 5..100);
    while soak.over.wait(pace.next(&mut numbers)) {
        let count = numbers.random_range(1..8);
        let sent = soak.processes.with_one(
            &mut numbers,
            Kind::is_interruptible,
            |process, _| -> Result<u64> {
                let mut sent = 0;
                for _ in 0..count {
                    sent += u64::from(signal(process, Signal::SIGUSR1)?);
                }
                Ok(sent)
            },
        );
        if let Some(sent) = sent {
            soak.counters.signals.add(sent?);
        }
    }
    Ok(())
}

/// Stops one process and another, and has it go on.
pub fn stop(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let pace = Pace::choose(&mut numbers, 300..3000);
    while soak.over.wait(pace.next(&mut numbers)) {
        let time = Duration::from_millis(numbers.random_range(1..600));
        let stopped = soak.processes.with_one(
            &mut numbers,
            |_| true,
            |process, _| -> Result<bool> {
                if !signal(process, Signal::SIGSTOP)? {
                    return Ok(false);
                }
                thread::sleep(time);
                signal(process, Signal::SIGCONT)
            },
        );
        if let Some(stopped) = stopped {
            soak.counters.stops.add(u64::from(stopped?));
        }
    }
    Ok(())
}

/// Kills one VMM and another, wherever it is.
pub fn kill(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let pace = Pace::choose(&mut numbers, 15000..40000);
    while soak.over.wait(pace.next(&mut numbers)) {
        let killed = soak
            .processes
            .with_one(&mut numbers, Kind::is_vmm, |process, state| {
                state.killed = true;
                signal(process, Signal::SIGKILL)
            });
        killed.transpose()?;
    }
    Ok(())
}
