// SPDX-License-Identifier: GPL-2.0

//! CPUs that go offline and come back, all but the first. Under pKVM, too: EL2 hands on
//! what the host asks of the firmware, and lets CPUs come back that were there when it
//! was set up.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::soak::Soak;
use crate::system;

/// Held while a CPU goes or comes.
static CHANGING: Mutex<()> = Mutex::new(());

/// Keeps all CPUs as they are.
pub fn lock() -> MutexGuard<'static, ()> {
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(cpu: usize) -> String {
    format!("/sys/devices/system/cpu/cpu{cpu}/online")
}

/// The CPUs that are online, of so many.
pub fn online(cpus: usize) -> Result<Vec<usize>> {
    let mut online = vec![0];
    for cpu in 1..cpus {
        if system::number(path(cpu))? == 1 {
            online.push(cpu);
        }
    }
    Ok(online)
}

/// Takes one after the other away, and brings it back.
pub fn run(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    let away = Pace::choose(&mut numbers, 100..2000);
    let there = Pace::choose(&mut numbers, 500..5000);
    while soak.over.wait(there.next(&mut numbers)) {
        let cpu = numbers.random_range(1..soak.cpus);
        let taken = {
            let _changing = lock();
            fs::write(path(cpu), "0")
        };
        match taken {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOMEM)) => {
                soak.counters.hotplugs_refused.add(1);
                continue;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot take CPU {cpu} offline"))
            }
        }
        soak.over.wait(away.next(&mut numbers));
        bring_back(cpu)?;
        soak.counters.hotplugs.add(1);
    }
    Ok(())
}

/// Without memory it can take more than one try.
fn bring_back(cpu: usize) -> Result<()> {
    const TRIES: u32 = 20;
    for _ in 1..TRIES {
        let _changing = lock();
        match fs::write(path(cpu), "1") {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {}
            result => return result.with_context(|| format!("cannot bring back CPU {cpu}")),
        }
    }
    system::write(path(cpu), "1")
}
