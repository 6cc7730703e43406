// SPDX-License-Identifier: GPL-2.0
//! The kinds of exit that are measured: the interface to selftests/exits.

use super::window::Window;
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
    /// The first FP access after the vCPU was loaded.
    FirstFp,
}

/// Seconds for one guest; it takes one or two.
const TIMEOUT_S: u64 = 120;

impl Exit {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Hypercall,
        Self::VgicMmio,
        Self::VmmMmio,
        Self::Timer,
        Self::FirstFp,
    ];

    /// Its name on the command line and of its guest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hypercall => "hypercall",
            Self::VgicMmio => "vgic-mmio",
            Self::VmmMmio => "vmm-mmio",
            Self::Timer => "timer",
            Self::FirstFp => "first-fp",
        }
    }

    /// The number of its guest's marker.
    pub fn marker(self) -> u16 {
        match self {
            Self::Hypercall => 1,
            Self::VgicMmio => 2,
            Self::VmmMmio => 3,
            Self::Timer => 4,
            Self::FirstFp => 5,
        }
    }

    /// True if `window` is one of this exit, and not of another that its guest
    /// causes as well.
    pub fn is_own(self, window: &Window) -> bool {
        match self {
            Self::Hypercall | Self::VgicMmio | Self::VmmMmio | Self::Timer => true,
            // EL2 loads the registers and goes back to the guest: the only
            // ERET is that to the guest. On the way to the VMM, where the
            // host's registers are saved, there are others: to the host, or to
            // userspace. So there are where the host handles an interrupt.
            Self::FirstFp => {
                let counts = &window.counts;
                counts.eret == 1 && counts.vector_moves > 0 && !window.has_userspace()
            }
        }
    }

    /// The step that runs its guest.
    pub fn step(self) -> Step {
        let guest = format!("/kvm-rust/guest/exit-{}", self.name());
        let argv = ["/kvm-rust/bin/vmm", "--kernel", &guest];
        Step::new(self.name(), &argv, TIMEOUT_S)
    }
}
