// SPDX-License-Identifier: GPL-2.0

//! perf events of threads: cycles and instructions of the host.

use std::fs;
use std::io;

use nix::errno::Errno;
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use crate::sample::Counted;

/// The counters of a thread, or why there are none.
pub struct Events {
    cycles: Result<Counter, String>,
    instructions: Result<Counter, String>,
}

/// What a counter says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    count: u64,
    /// Time in which the thread ran.
    enabled_ns: u128,
    /// Time of it in which the CPU counted.
    running_ns: u128,
}

/// What both counters of a thread say.
pub struct Readings {
    cycles: Result<Reading, String>,
    instructions: Result<Reading, String>,
}

impl Events {
    /// Counts for the calling thread from now on.
    pub fn of_this_thread() -> Self {
        Self {
            cycles: open(Hardware::CPU_CYCLES),
            instructions: open(Hardware::INSTRUCTIONS),
        }
    }

    /// What they say, whichever thread asks.
    pub fn read(&mut self) -> Readings {
        Readings {
            cycles: read(&mut self.cycles),
            instructions: read(&mut self.instructions),
        }
    }
}

/// Counts an event in userspace, kernel and hypervisor, but not in guests.
fn open(event: Hardware) -> Result<Counter, String> {
    Builder::new(event)
        .enabled(true)
        .include_kernel()
        .include_hv()
        .exclude_guest(true)
        .build()
        .map_err(|error| why_not(&error, paranoid().as_deref()))
}

fn read(counter: &mut Result<Counter, String>) -> Result<Reading, String> {
    let counter = counter.as_mut().map_err(|why| why.clone())?;
    let data = counter
        .read_full()
        .map_err(|error| format!("cannot read the counter: {error}"))?;
    Ok(Reading {
        count: data.count(),
        enabled_ns: data.time_enabled().unwrap_or_default().as_nanos(),
        running_ns: data.time_running().unwrap_or_default().as_nanos(),
    })
}

/// /proc/sys/kernel/perf_event_paranoid, which is only where there are perf events.
fn paranoid() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    Some(text.trim().to_owned())
}

/// Why an event cannot be counted, and what to do about it.
fn why_not(error: &io::Error, paranoid: Option<&str>) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => format!(
            "not permitted, as perf_event_paranoid is {}: run as root, or with \
             sysctl kernel.perf_event_paranoid=1",
            paranoid.unwrap_or("unknown")
        ),
        Some(Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => {
            "this host has no PMU that counts them, or no driver for it".to_owned()
        }
        Some(Errno::ENOSYS) => "this kernel has no perf events".to_owned(),
        _ => format!("cannot open a perf event: {error}"),
    }
}

/// What was counted between two readings of all threads, cycles and instructions.
pub fn between(begin: &[Readings], end: &[Readings]) -> (Counted, Counted) {
    let sum = |of: fn(&Readings) -> &Result<Reading, String>| {
        let pairs = begin.iter().map(of).zip(end.iter().map(of));
        pairs.map(|(begin, end)| counted(begin, end)).sum()
    };
    (sum(|all| &all.cycles), sum(|all| &all.instructions))
}

fn counted(begin: &Result<Reading, String>, end: &Result<Reading, String>) -> Counted {
    let begin = begin.as_ref().map_err(String::clone)?;
    let end = end.as_ref().map_err(String::clone)?;
    let enabled = end.enabled_ns.saturating_sub(begin.enabled_ns);
    let running = end.running_ns.saturating_sub(begin.running_ns);
    // The clocks are read one after the other. What is not counted all the time would have to
    // be estimated.
    if running + enabled / 100 < enabled {
        return Err("somebody else uses the PMU at the same time".to_owned());
    }
    Ok(end.count.saturating_sub(begin.count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(count: u64, enabled_ns: u128, running_ns: u128) -> Result<Reading, String> {
        Ok(Reading {
            count,
            enabled_ns,
            running_ns,
        })
    }

    fn readings(cycles: u64, instructions: Result<Reading, String>) -> Readings {
        Readings {
            cycles: reading(cycles, 0, 0),
            instructions,
        }
    }

    #[test]
    fn threads_are_added_up() {
        let none = || Err("none".to_owned());
        let begin = [readings(100, none()), readings(5, none())];
        let end = [readings(150, none()), readings(6, none())];
        assert_eq!(between(&begin, &end), (Ok(51), Err("none".to_owned())));
    }

    #[test]
    fn what_was_not_counted_all_the_time_is_no_figure() {
        let begin = reading(0, 1000, 1000);
        assert_eq!(counted(&begin, &reading(7, 3000, 2995)), Ok(7));
        assert!(counted(&begin, &reading(7, 3000, 2500)).is_err());
    }

    #[test]
    fn there_is_something_to_do_where_it_is_not_permitted() {
        let why = |errno: Errno| why_not(&io::Error::from(errno), Some("2"));
        assert!(why(Errno::EACCES).contains("perf_event_paranoid is 2"));
        assert!(why(Errno::ENOENT).contains("no PMU"));
        assert!(why(Errno::EMFILE).contains("cannot open"));
    }
}
