// SPDX-License-Identifier: GPL-2.0

//! Who is at work at the same time.

mod faults;
mod guests;
mod host_tasks;
mod hotplug;
mod memory;
mod neon_softirqs;
mod ptrace;
mod signals;
mod statistics;
mod swap;

use crate::soak::Subject;

/// All of them. Each has numbers of its own, by its place here.
pub const SUBJECTS: [(&str, Subject); 20] = [
    ("Linux guests", guests::linux),
    ("Linux guests", guests::linux),
    ("bare-metal guests", guests::bare_metal),
    ("bare-metal guests", guests::bare_metal),
    ("AArch32 guests", guests::aarch32),
    ("host tasks", host_tasks::run),
    ("host tasks", host_tasks::run),
    ("host tasks", host_tasks::run),
    ("NEON in softirqs", neon_softirqs::run),
    ("CPU hotplug", hotplug::run),
    ("signals", signals::interrupt),
    ("stops", signals::stop),
    ("kills", signals::kill),
    ("ptrace", ptrace::run),
    ("memory pressure", memory::take),
    ("dropped caches", memory::drop_caches),
    ("swap", swap::run),
    ("faults", faults::run),
    ("statistics", statistics::run),
    ("guests that move", guests::moving),
];
