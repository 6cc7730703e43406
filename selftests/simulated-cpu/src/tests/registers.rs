// SPDX-License-Identifier: GPL-2.0
//! What the generator makes of the kernel's descriptions.
//!
//! The numbers here are those of the Arm ARM.

use super::names;
use crate::arm64::registers::*;
use crate::arm64::sysreg::{Encoding, RegisterName};
use std::collections::BTreeSet;

#[test]
fn encodings_are_those_of_the_architecture() {
    let expected = [
        (SCTLR_EL1::ENCODING, Encoding::new(3, 0, 1, 0, 0)),
        (SCTLR_EL12::ENCODING, Encoding::new(3, 5, 1, 0, 0)),
        (SCTLR_EL2::ENCODING, Encoding::new(3, 4, 1, 0, 0)),
        (CPTR_EL2::ENCODING, Encoding::new(3, 4, 1, 1, 2)),
        (CPACR_EL1::ENCODING, Encoding::new(3, 0, 1, 0, 2)),
        (CNTV_CTL_EL02::ENCODING, Encoding::new(3, 5, 14, 3, 1)),
        (SP_EL1::ENCODING, Encoding::new(3, 4, 4, 1, 0)),
        (SPSR_und::ENCODING, Encoding::new(3, 4, 4, 3, 2)),
        (DBGVCR32_EL2::ENCODING, Encoding::new(2, 4, 0, 7, 0)),
        (NVHCR_EL2::ENCODING, Encoding::new(3, 4, 1, 5, 0)),
    ];
    for (encoding, expected) in expected {
        assert_eq!(encoding, expected);
    }
}

#[test]
fn no_two_names_have_one_encoding() {
    let encodings: BTreeSet<_> = names::all().iter().map(|n| n.encoding).collect();
    assert_eq!(encodings.len(), names::all().len());
}

#[test]
fn fields_are_where_the_architecture_has_them() {
    assert_eq!(HCR_EL2::from_raw(0).with_e2h(true).into_raw(), 1 << 34);
    assert_eq!(HCR_EL2::from_raw(0).with_tge(true).into_raw(), 1 << 27);
    assert_eq!(TCR_EL1::EPD0_MASK, 1 << 7);
    assert_eq!(TCR_EL1::EPD1_MASK, 1 << 23);
    assert_eq!(SCTLR_EL1::M_MASK, 1);
    assert_eq!(MPAM1_EL1::MPAMEN_MASK, 1 << 63);
    assert_eq!(CPACR_EL1::from_raw(0b11 << 20).fpen().get(), 0b11);
}

#[test]
fn a_register_that_maps_onto_another_has_its_fields() {
    assert_eq!(NVHCR_EL2::E2H_MASK, HCR_EL2::E2H_MASK);
    assert_eq!(PIR_EL2::PERM0_MASK, PIR_EL1::PERM0_MASK);
}

#[test]
fn values_of_fields_have_names() {
    assert_eq!(SCTLR_EL1::TCF_ASYMM, 0b11);
    assert_eq!(POR_EL1::from_raw(0).into_raw(), 0);
}
