// SPDX-License-Identifier: GPL-2.0
//! Where registers are kept, as read from the kernel's headers.

use super::machine::{place, VNCR_START};
use std::collections::BTreeSet;

#[test]
fn registers_of_the_vncr_page_are_where_the_architecture_has_them() {
    // Arm ARM (DDI 0487), the offsets of registers in the page at VNCR_EL2.
    for (name, offset) in [
        ("VMPIDR_EL2", 0x050),
        ("VPIDR_EL2", 0x088),
        ("SCTLR_EL1", 0x110),
        ("MDSCR_EL1", 0x158),
        ("SP_EL1", 0x240),
        ("VBAR_EL1", 0x250),
        ("TCR2_EL1", 0x270),
        ("VDISR_EL2", 0x500),
    ] {
        assert_eq!((place(name) - VNCR_START) * 8, offset, "{name}");
    }
}

#[test]
fn registers_are_on_the_right_side_of_the_marks() {
    let sanitised = bindings::vcpu_sysreg___SANITISED_REG_START__ as usize;
    for name in ["MPIDR_EL1", "POR_EL0", "DACR32_EL2", "TCR_EL2", "SP_EL2"] {
        assert!(place(name) < sanitised, "{name}");
    }
    for name in ["SCTLR_EL2", "TCR2_EL2", "CNTHCTL_EL2", "HCR_EL2"] {
        assert!((sanitised..VNCR_START).contains(&place(name)), "{name}");
    }
}

#[test]
fn no_two_registers_share_a_place() {
    let places = bindings::VCPU_SYSREGS.map(|(_, place)| place);
    let different: BTreeSet<u32> = places.into_iter().collect();
    assert_eq!(different.len(), places.len());
    assert!(!different.contains(&0), "what is not a register is at 0");
    assert!(different.last() < Some(&bindings::vcpu_sysreg_NR_SYS_REGS));
}
