// SPDX-License-Identifier: GPL-2.0
//! The registers that the host has for itself.

use super::super::super::{machine, names};
use crate::Mode;

/// Registers that do not have to be the host's after a run: of EL2, and only
/// about guests, or about the exit.
const NOT_THE_HOSTS: [&str; 25] = [
    "ELR_EL2",
    "SPSR_EL2",
    "ESR_EL2",
    "FAR_EL2",
    "HPFAR_EL2",
    "VBAR_EL2",
    "HSTR_EL2",
    "PMSELR_EL0",
    "MPAM2_EL2",
    "MPAMHCR_EL2",
    "VSESR_EL2",
    "VNCR_EL2",
    "VTCR_EL2",
    "VTTBR_EL2",
    "VDISR_EL2",
    "VPIDR_EL2",
    "VMPIDR_EL2",
    "FPEXC32_EL2",
    "DACR32_EL2",
    "IFSR32_EL2",
    "DBGVCR32_EL2",
    // The host has no value of its own there, but bits that are set for it.
    "CNTHCTL_EL2",
    // Compared as a whole.
    "FPSR",
    "FPCR",
    "FPMR",
];

/// Registers that the kernel has no use for when it calls EL2, unless it must not see a guest's.
pub(in super::super::super) const UNUSED_AT_A_CALL: [&str; 7] = [
    "ESR_EL1",
    "FAR_EL1",
    "AFSR0_EL1",
    "AFSR1_EL1",
    "ELR_EL1",
    "SPSR_EL1",
    "PAR_EL1",
];

/// Registers that the kernel has no use for under VHE.
const UNUSED_UNDER_VHE: [&str; 10] = [
    "NVHCR_EL2",
    "PAR_EL1",
    "SPSR_abt",
    "SPSR_fiq",
    "SPSR_irq",
    "SPSR_und",
    "SP_EL1",
    "TPIDR_EL1",
    "TFSRE0_EL1",
    "CPTR_EL2",
];

/// Whether the host has a register for itself, while a vCPU is loaded.
fn is_hosts(mode: Mode, name: &str, is_loaded: bool) -> bool {
    if NOT_THE_HOSTS.contains(&name) || name.starts_with("ZCR_EL") {
        return false;
    }
    // The mode's own, which the other tests are about.
    if machine::NOT_FILLED.contains(&name) {
        return false;
    }
    // It shows another, which is looked at.
    if name == "PMCNTENCLR_EL0" {
        return false;
    }
    if ["TPIDR_EL0", "TPIDRRO_EL0", "TFSRE0_EL1"].contains(&name) && is_loaded {
        return false;
    }
    if mode == Mode::Vhe {
        // All of EL1 is the guest's, but for what acts on EL2 as well.
        let of_el1 = name.ends_with("_EL1") && name != "MDSCR_EL1" && name != "MIDR_EL1";
        let is_shared = ["MPIDR_EL1", "MPAM0_EL1"].contains(&name) || name.starts_with("ID_");
        if (of_el1 && !is_shared) || UNUSED_UNDER_VHE.contains(&name) {
            return false;
        }
        // The traps that stay.
        let stays = name.starts_with("HF")
            || name.starts_with("HDF")
            || name.starts_with("HAF")
            || name.starts_with("ICH_HF")
            || ["HCRX_EL2", "PMUSERENR_EL0"].contains(&name);
        return !(is_loaded && stays);
    }
    // A protected guest's are looked for in save_restore.rs.
    if UNUSED_AT_A_CALL.contains(&name) {
        return false;
    }
    // Those of AArch32 modes the kernel cannot reach.
    !name.starts_with("SPSR_") || name.ends_with("_EL1")
}

/// Registers by their numbers in [`names::REGISTERS`], and whether what is in them
/// may change.
pub(super) struct Hosts {
    /// While no vCPU is loaded, and while one is.
    registers: [Vec<(usize, bool)>; 2],
}

impl Hosts {
    pub(super) fn of(mode: Mode) -> Self {
        let registers = |is_loaded| {
            let numbered = names::REGISTERS.iter().enumerate();
            let hosts = numbered.filter(|(_, name)| is_hosts(mode, name, is_loaded));
            // Some the hypervisor finds its own by, and some never change.
            let stays = |name: &str| {
                ["TPIDR_EL1", "TPIDR_EL2", "MIDR_EL1", "HCRX_EL2"].contains(&name)
                    || ["ID_", "HF", "HDF", "HAF", "ICH_HF"]
                        .iter()
                        .any(|start| name.starts_with(start))
            };
            hosts.map(|(number, name)| (number, !stays(name))).collect()
        };
        Self {
            registers: [false, true].map(registers),
        }
    }

    /// Those that the host has while a vCPU is loaded, or while none is.
    pub(super) fn registers(&self, is_loaded: bool) -> &[(usize, bool)] {
        &self.registers[usize::from(is_loaded)]
    }
}
