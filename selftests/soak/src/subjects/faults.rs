// SPDX-License-Identifier: GPL-2.0

//! Allocations that fail in VMMs, and in nobody else:
//! Documentation/fault-injection/fault-injection.rst. An ioctl may fail then, and the
//! VMM with it; no guest and no host task may notice.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{ensure, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::pace::Pace;
use crate::processes::{Kind, Process};
use crate::soak::Soak;
use crate::system;

/// Slabs, and pages.
const CAPABILITIES: [&str; 2] = ["failslab", "fail_page_alloc"];
/// So many may fail before the number is set again.
const TIMES: u64 = 1_000_000;

fn path(capability: &str, file: &str) -> String {
    format!("/sys/kernel/debug/{capability}/{file}")
}

fn set_up() -> Result<()> {
    for capability in CAPABILITIES {
        ensure!(
            Path::new(&path(capability, "times")).exists(),
            "{} is missing: the kernel needs the options of scripts/config/soak.config",
            path(capability, "times")
        );
        for (file, value) in [
            // Only tasks that are told to.
            ("task-filter", "Y"),
            // Those that may sleep as well.
            ("ignore-gfp-wait", "N"),
            // Not a word in the log: there are thousands.
            ("verbose", "0"),
            ("space", "0"),
            ("probability", "100"),
        ] {
            system::write(path(capability, file), value)?;
        }
    }
    // Single pages, too, but not those of userspace.
    system::write(path("fail_page_alloc", "min-order"), "0")?;
    system::write(path("fail_page_alloc", "ignore-gfp-highmem"), "Y")
}

/// Allocations that failed since the last call.
fn count() -> Result<u64> {
    let mut failed = 0;
    for capability in CAPABILITIES {
        let times = path(capability, "times");
        failed += TIMES.saturating_sub(system::number(&times)?);
        system::write(&times, &TIMES.to_string())?;
    }
    Ok(failed)
}

/// Has allocations of all threads of a process fail, and of those that it starts, or
/// lets them be.
fn make_it_fail(process: &Process, yes: bool) {
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", process.pid)) else {
        // It is gone.
        return;
    };
    for task in tasks.flatten() {
        // The same.
        let _ = fs::write(
            task.path().join("make-it-fail"),
            if yes { "1" } else { "0" },
        );
    }
}

/// Takes one VMM and another for a time in which one of so many allocations fails.
pub fn run(soak: &Soak, mut numbers: ChaCha8Rng) -> Result<()> {
    set_up()?;
    count()?;
    let pace = Pace::choose(&mut numbers, 20..300);
    while soak.over.wait(pace.next(&mut numbers)) {
        for capability in CAPABILITIES {
            let interval = numbers.random_range(1..40).to_string();
            system::write(path(capability, "interval"), &interval)?;
        }
        let time = Duration::from_millis(numbers.random_range(1..1500));
        if let Some(process) = soak.processes.choose(&mut numbers, Kind::is_faulty) {
            process.while_it_runs(|process, _| make_it_fail(process, true));
            soak.over.wait(time);
            process.while_it_runs(|process, _| make_it_fail(process, false));
        }
        soak.counters.faults_injected.add(count()?);
    }
    Ok(())
}
