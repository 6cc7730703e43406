// SPDX-License-Identifier: GPL-2.0

//! The kinds of exit that selftests/exits has guests for, and what their VMM is to do.
//!
//! Whoever counts or measures them has this file.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A kind of exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    Hypercall,
    VgicMmio,
    VmmMmio,
    Timer,
    FirstFp,
    FirstSve,
    VcpuSwitch,
    Ipi,
    RunIdle,
    RunFp,
    RunIdleFpGuest,
    RunFpFpGuest,
}

impl Exit {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 12] = [
        Self::Hypercall,
        Self::VgicMmio,
        Self::VmmMmio,
        Self::Timer,
        Self::FirstFp,
        Self::FirstSve,
        Self::VcpuSwitch,
        Self::Ipi,
        Self::RunIdle,
        Self::RunFp,
        Self::RunIdleFpGuest,
        Self::RunFpFpGuest,
    ];

    /// Its name on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hypercall => "hypercall",
            Self::VgicMmio => "vgic-mmio",
            Self::VmmMmio => "vmm-mmio",
            Self::Timer => "timer",
            Self::FirstFp => "first-fp",
            Self::FirstSve => "first-sve",
            Self::VcpuSwitch => "vcpu-switch",
            Self::Ipi => "ipi",
            Self::RunIdle => "run-idle",
            Self::RunFp => "run-fp",
            Self::RunIdleFpGuest => "run-idle-fp-guest",
            Self::RunFpFpGuest => "run-fp-fp-guest",
        }
    }

    /// True if its vCPUs are to run with SCHED_FIFO, so that none takes the CPU from another.
    pub fn is_realtime(self) -> bool {
        matches!(self, Self::VcpuSwitch | Self::Ipi)
    }

    /// What the VMM is told beside the guest and the CPU.
    pub fn vmm_options(self, realtime: bool) -> Vec<&'static str> {
        let mut options = match self {
            Self::VcpuSwitch => vec!["--twin"],
            Self::Ipi => vec!["--cpus", "2"],
            Self::RunFp | Self::RunFpFpGuest => vec!["--use-fp"],
            _ => vec![],
        };
        if realtime && self.is_realtime() {
            options.push("--realtime");
        }
        options
    }
}
