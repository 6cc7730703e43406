// SPDX-License-Identifier: GPL-2.0
//! The kinds of exit that are measured: the interface to selftests/exits.

use super::window::Window;
use crate::host::Cpu;
use crate::plan::Step;

#[path = "../../../selftests/bench/src/kind.rs"]
mod kind;

pub use kind::Exit;

/// Seconds for one guest; it takes one or two.
const TIMEOUT_S: u64 = 120;

impl Exit {
    /// Those at which C and Rust are compared access by access. The others are only counted.
    pub const TRACED: [Self; 5] = [
        Self::Hypercall,
        Self::VgicMmio,
        Self::VmmMmio,
        Self::Timer,
        Self::FirstFp,
    ];

    /// The number of its guest's marker. With the bit 0x8000 its windows are
    /// rounds, each of several exits.
    pub fn marker(self) -> u16 {
        match self {
            Self::Hypercall => 1,
            Self::VgicMmio => 2,
            Self::VmmMmio => 3,
            Self::Timer => 4,
            Self::FirstFp => 5,
            Self::FirstSve => 7,
            Self::VcpuSwitch => 8,
            Self::Ipi => 0x8009,
            Self::RunIdle => 0x800a,
            Self::RunFp => 0x800b,
            Self::RunIdleFpGuest => 0x800c,
            Self::RunFpFpGuest => 0x800d,
        }
    }

    /// True where guests on `cpu` can cause it.
    pub fn is_on(self, cpu: Cpu) -> bool {
        self != Self::FirstSve || cpu.has_sve()
    }

    /// True if its guest causes exits of another kind as well.
    pub fn has_others(self) -> bool {
        matches!(self, Self::FirstFp | Self::FirstSve)
    }

    /// True if `window` is one of this exit, and not of another that its guest
    /// causes as well.
    pub fn is_own(self, window: &Window) -> bool {
        // EL2 loads the registers and goes back to the guest: the only ERET is
        // that to the guest. On the way to the VMM, where the host's registers
        // are saved, there are others: to the host, or to userspace. So there
        // are where the host handles an interrupt.
        let counts = &window.counts;
        !self.has_others()
            || (counts.eret == 1 && counts.vector_moves > 0 && !window.has_userspace())
    }

    /// The step that runs its guest.
    pub fn step(self) -> Step {
        let guest = format!("/kvm-rust/guest/exit-{}", self.name());
        let mut argv = vec!["/kvm-rust/bin/vmm", "--kernel", &guest];
        argv.extend(self.vmm_options(true));
        Step::new(self.name(), &argv, TIMEOUT_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn markers_and_names_are_their_own() {
        let markers: BTreeSet<u16> = Exit::ALL.map(Exit::marker).into();
        let names: BTreeSet<&str> = Exit::ALL.map(Exit::name).into();
        assert_eq!((markers.len(), names.len()), (12, 12));
        // 0 ends a section, and 0x8000 a round.
        assert!(!markers.contains(&0) && !markers.contains(&0x8000));
        assert!(Exit::TRACED.iter().all(|exit| Exit::ALL.contains(exit)));
    }

    #[test]
    fn names_are_those_in_files() {
        for exit in Exit::ALL {
            let json = serde_json::to_string(&exit).unwrap();
            assert_eq!(json, format!("\"{}\"", exit.name()));
        }
    }

    #[test]
    fn sve_needs_a_cpu_that_has_it() {
        assert!(Exit::FirstSve.is_on(Cpu::Max) && !Exit::FirstSve.is_on(Cpu::NeoverseN1));
        assert!(Exit::FirstFp.is_on(Cpu::NeoverseN1));
    }

    #[test]
    fn the_vmm_is_told_what_the_exit_needs() {
        let argv = Exit::Ipi.step().argv;
        let guest = "/kvm-rust/guest/exit-ipi";
        assert_eq!(argv[1..], ["--kernel", guest, "--cpus", "2", "--realtime"]);
        assert_eq!(Exit::Hypercall.step().argv.len(), 3);
    }
}
