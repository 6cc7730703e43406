// SPDX-License-Identifier: GPL-2.0

//! Everything at once, for hours: guests of all kinds with more vCPUs than the host has
//! CPUs, which come and go, host tasks whose vector lengths change, NEON in softirqs,
//! CPU hotplug, signals, ptrace, memory pressure and swap, and allocations that fail in
//! the VMMs. Whoever can checks that its registers are as it left them.
//!
//! A seed decides what is started and how often what happens; when it happens is up to
//! the host. Progress is a line `progress: ` and a JSON object, at the start and once a
//! minute; the last line is `result: ` and such an object. Exit status 0 says that
//! nothing was wrong, but not that everything happened: that is in the numbers.

#[path = "../../contest/src/affinity.rs"]
mod affinity;
mod counters;
mod end;
mod memory_hog;
#[path = "../../contest/src/neon.rs"]
mod neon;
mod options;
mod over;
mod pace;
mod processes;
mod reclaim;
mod registers;
mod regset;
mod soak;
mod subjects;
mod system;
mod tracer;
mod vmm;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use clap::Parser;

use options::{Options, Role};
use soak::Soak;

/// CPUs that the host has, online or not, in the text of a file like "0-3".
fn last_cpu(present: &str) -> Option<usize> {
    present.trim().rsplit(['-', ',']).next()?.parse().ok()
}

fn soak(options: Options) -> Result<()> {
    let path = "/sys/devices/system/cpu/present";
    let cpus = 1 + last_cpu(&system::read(path)?).with_context(|| format!("{path} is strange"))?;
    ensure!(cpus > 1, "there is no CPU that could be taken offline");
    // Neither this process nor a VMM is the first to be killed where there is no memory.
    system::write("/proc/self/oom_score_adj", "-500")?;
    println!("seed {}", options.seed);
    Soak::new(options, cpus).run()
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.role {
        None => soak(options),
        Some(Role::Tracer) => tracer::run(),
        Some(Role::MemoryHog {
            leave,
            milliseconds,
        }) => memory_hog::run(leave, Duration::from_millis(milliseconds)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_counted_from_0() {
        assert_eq!(last_cpu("0-3\n"), Some(3));
        assert_eq!(last_cpu("0\n"), Some(0));
        assert_eq!(last_cpu("0,2-7\n"), Some(7));
        assert_eq!(last_cpu("\n"), None);
    }
}
