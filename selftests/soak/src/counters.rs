// SPDX-License-Identifier: GPL-2.0

//! What has happened so far, in numbers. All threads of this program add to the
//! same; its children report on pipes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// All counters.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        /// Their values at one time.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// The values now.
            pub fn totals(&self) -> Totals {
                Totals {
                    $($name: self.$name.get(),)*
                }
            }
        }
    };
}

counters! {
    /// VMMs that were started.
    vmms,
    /// Guests that came to their end and found everything as it must be.
    guests,
    /// Linux guests among those.
    linux_guests,
    /// Bare-metal guests among those.
    bare_guests,
    /// AArch32 guests among those.
    aarch32_guests,
    /// Guests that pKVM protects among those.
    protected_guests,
    /// Guests that SVE was given to, of some vector length or of all, among those.
    sve_guests,
    /// Guests from which SVE was withheld among those.
    guests_without_sve,
    /// VMMs that were killed in the middle.
    guests_killed,
    /// VMMs that ended because an injected fault made something fail.
    guests_ended_by_fault,
    /// Guests that were entered and left, as KVM's statistics had it when it was last
    /// looked at each VM.
    vcpu_runs,
    /// Comparisons of all registers in host tasks.
    host_checks,
    /// Comparisons of all registers in guests.
    guest_checks,
    /// Comparisons in host tasks that found something else.
    host_corruptions,
    /// Comparisons in guests that found something else.
    guest_corruptions,
    /// Uses of NEON in softirqs.
    neon_rounds,
    /// Those that found a register changed.
    neon_corruptions,
    /// Changes of a vector length while a host task held registers.
    length_changes,
    /// CPUs that were taken offline, and came back.
    hotplugs,
    /// CPUs that could not be taken offline.
    hotplugs_refused,
    /// Signals that interrupted a VMM.
    signals,
    /// VMMs and host tasks that were stopped for a while.
    stops,
    /// Threads of VMMs and host tasks that were stopped by ptrace.
    ptrace_stops,
    /// Threads that had not stopped when the tracer's patience was at its end.
    ptrace_too_late,
    /// Register sets of them that were read, written back and read again.
    ptrace_registers,
    /// Register sets that were then not as they had been.
    ptrace_corruptions,
    /// Memory that was allocated to have little left, in MiB.
    memory_taken_mib,
    /// Times that all caches were dropped.
    cache_drops,
    /// Guests' memory that was reclaimed by request, in MiB.
    memory_reclaimed_mib,
    /// Pages that went to swap.
    pages_swapped,
    /// Processes that were killed because there was no memory.
    killed_for_memory,
    /// Allocations that failed because they were to.
    faults_injected,
}

impl Totals {
    /// All that must be 0.
    pub fn corruptions(&self) -> u64 {
        self.host_corruptions
            + self.guest_corruptions
            + self.neon_corruptions
            + self.ptrace_corruptions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_corruption_counts() {
        let counters = Counters::default();
        assert_eq!(counters.totals().corruptions(), 0);
        for counter in [
            &counters.host_corruptions,
            &counters.guest_corruptions,
            &counters.neon_corruptions,
            &counters.ptrace_corruptions,
        ] {
            counter.add(1);
        }
        counters.host_checks.add(7);
        assert_eq!(counters.totals().corruptions(), 4);
    }

    #[test]
    fn totals_are_reported_by_name() {
        let counters = Counters::default();
        counters.hotplugs.add(3);
        let json = serde_json::to_value(counters.totals()).unwrap();
        assert_eq!(json["hotplugs"], 3);
        assert_eq!(json["faults_injected"], 0);
    }
}
