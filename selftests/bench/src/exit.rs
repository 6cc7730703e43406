// SPDX-License-Identifier: GPL-2.0

//! What is measured of each kind of exit.

use exits::EXITS;
use serde::Serialize;

pub use crate::kind::Exit;

/// What a figure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// One exit.
    Exit,
    /// All from one time to the next, which may be several exits.
    Round,
}

impl Unit {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Round => "round",
        }
    }
}

impl Exit {
    /// What is measured.
    fn meaning(self) -> &'static str {
        match self {
            Self::Hypercall => "HVC with a function id that KVM answers as unknown",
            Self::VgicMmio => "a read of GICD_IIDR, which the vgic answers",
            Self::VmmMmio => "a read of the UART, which the VMM answers",
            Self::Timer => "the virtual timer fires, and its interrupt is acknowledged",
            Self::FirstFp => "a read as for vmm-mmio, and the trap of the first FP access after it",
            Self::FirstSve => "the same with an SVE access",
            Self::VcpuSwitch => "from one machine to another on the same CPU, by way of their VMM",
            Self::Ipi => "an SGI to another vCPU on the same CPU, and one back",
            Self::RunIdle => "from one read that the VMM answers to the next",
            Self::RunFp => "the same, with a VMM that uses FP",
            Self::RunIdleFpGuest => "as run-idle, with a guest that uses FP before each read",
            Self::RunFpFpGuest => "the same, with both",
        }
    }

    /// What its figures are for.
    pub fn unit(self) -> Unit {
        match self {
            Self::Hypercall | Self::VgicMmio | Self::VmmMmio => Unit::Exit,
            Self::Timer | Self::VcpuSwitch => Unit::Exit,
            // A trace tells the access from the read that is before it; the time does not.
            Self::FirstFp | Self::FirstSve | Self::Ipi => Unit::Round,
            Self::RunIdle | Self::RunFp => Unit::Round,
            Self::RunIdleFpGuest | Self::RunFpFpGuest => Unit::Round,
        }
    }

    /// How many of them there are between the two marks of a guest.
    pub fn count(self) -> u32 {
        match self {
            // Between two exits of one machine is one of the other.
            Self::VcpuSwitch => 2 * EXITS,
            _ => EXITS,
        }
    }

    /// True if only a guest with SVE can cause it.
    pub fn needs_sve(self) -> bool {
        self == Self::FirstSve
    }

    /// True if it is something else without SCHED_FIFO: a thread that gives the CPU up may then
    /// have it back at once. vCPUs that wait for each other take turns in any case.
    pub fn needs_realtime(self) -> bool {
        self == Self::VcpuSwitch
    }
}

/// The list of all exits, as lines.
pub fn list() -> String {
    let line = |exit: Exit| format!("{:<18}  {}\n", exit.name(), exit.meaning());
    Exit::ALL.map(line).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn names_are_those_of_the_command_line_and_of_files() {
        assert_eq!(Exit::value_variants(), Exit::ALL);
        for exit in Exit::ALL {
            let of_value = exit.to_possible_value().unwrap();
            assert_eq!(of_value.get_name(), exit.name());
            let json = serde_json::to_string(&exit).unwrap();
            assert_eq!(json, format!("\"{}\"", exit.name()));
            assert!(list().contains(exit.name()));
        }
    }

    #[test]
    fn the_vmm_is_told_what_the_exit_needs() {
        let options = |exit: Exit| exit.vmm_options(true).join(" ");
        assert_eq!(options(Exit::VcpuSwitch), "--twin --realtime");
        assert_eq!(options(Exit::Ipi), "--cpus 2 --realtime");
        assert_eq!(options(Exit::RunFp), "--use-fp");
        assert_eq!(options(Exit::RunFpFpGuest), "--use-fp");
        assert_eq!(options(Exit::RunIdleFpGuest), "");
        assert_eq!(Exit::Ipi.vmm_options(false), ["--cpus", "2"]);
    }

    #[test]
    fn exits_of_twins_are_counted_on_both_sides() {
        assert_eq!(Exit::Hypercall.count(), EXITS);
        assert_eq!(Exit::VcpuSwitch.count(), 2 * EXITS);
        assert_eq!(Exit::VcpuSwitch.unit(), Unit::Exit);
        assert_eq!(Exit::Ipi.unit(), Unit::Round);
    }
}
