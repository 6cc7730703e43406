// SPDX-License-Identifier: GPL-2.0

//! NEON in softirqs. CPUs come and go, and a timer moves away from one that goes: so
//! they are started anew, now and then, on those that are there.

use anyhow::Result;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

use crate::neon::Neon;
use crate::soak::Soak;
use crate::subjects::hotplug;

/// Starts and stops the timers, until the soak is over.
pub fn run(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    loop {
        let time = Duration::from_millis(numbers.random_range(2000..8000));
        let neon = {
            // None of them goes while its timer is started.
            let _all_stay = hotplug::lock();
            Neon::start(&hotplug::online(soak.cpus)?)?
        };
        let go_on = soak.over.wait(time);
        let counts = neon.stop()?;
        soak.counters.neon_rounds.add(counts.rounds);
        soak.counters.neon_corruptions.add(counts.corruptions);
        if !go_on {
            return Ok(());
        }
    }
}
