// SPDX-License-Identifier: GPL-2.0
//! The kinds of exit that are measured: the interface to selftests/exits.

use crate::plan::Step;
use serde::{Deserialize, Serialize};

/// A kind of exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// A hypercall that KVM answers itself.
    Hypercall,
    /// A read of a device register that the vgic answers.
    VgicMmio,
    /// A read of a device register that the VMM answers.
    VmmMmio,
    /// An interrupt of the virtual timer.
    Timer,
}

/// Seconds for one guest; it takes one or two.
const TIMEOUT_S: u64 = 120;

impl Exit {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Hypercall, Self::VgicMmio, Self::VmmMmio, Self::Timer];

    /// Its name on the command line and of its guest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hypercall => "hypercall",
            Self::VgicMmio => "vgic-mmio",
            Self::VmmMmio => "vmm-mmio",
            Self::Timer => "timer",
        }
    }

    /// The number of its guest's marker.
    pub fn marker(self) -> u16 {
        match self {
            Self::Hypercall => 1,
            Self::VgicMmio => 2,
            Self::VmmMmio => 3,
            Self::Timer => 4,
        }
    }

    /// The step that runs its guest.
    pub fn step(self) -> Step {
        let guest = format!("/kvm-rust/guest/exit-{}", self.name());
        let argv = ["/kvm-rust/bin/vmm", "--kernel", &guest];
        Step::new(self.name(), &argv, TIMEOUT_S)
    }
}
