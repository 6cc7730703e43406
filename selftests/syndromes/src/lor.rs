// SPDX-License-Identifier: GPL-2.0

//! What a guest without LORegions must see of them.

use anyhow::{ensure, Context, Result};

use crate::report::{Encoding, Report};

const ID_AA64MMFR1_EL1: Encoding = Encoding::new(3, 0, 0, 7, 1);

/// The registers of LORegions.
const REGISTERS: [(&str, Encoding); 5] = [
    ("LORSA_EL1", Encoding::new(3, 0, 10, 4, 0)),
    ("LOREA_EL1", Encoding::new(3, 0, 10, 4, 1)),
    ("LORN_EL1", Encoding::new(3, 0, 10, 4, 2)),
    ("LORC_EL1", Encoding::new(3, 0, 10, 4, 3)),
    ("LORID_EL1", Encoding::new(3, 0, 10, 4, 7)),
];

/// An undefined instruction: no class, IL set, no more.
const UNDEFINED: &str = "EC 0x00 ESR 0x2000000";

/// Succeeds where ID_AA64MMFR1_EL1.LO is 0, and all accesses to the registers
/// are undefined.
pub fn check_that_there_is_none(report: &Report) -> Result<()> {
    let id = report
        .of_register("MRS", ID_AA64MMFR1_EL1)
        .and_then(|value| u64::from_str_radix(value.strip_prefix("0x")?, 16).ok())
        .context("the guest could not read ID_AA64MMFR1_EL1")?;
    ensure!(
        (id >> 16) & 0xf == 0,
        "ID_AA64MMFR1_EL1.LO is not 0: {id:#x}"
    );
    for (name, encoding) in REGISTERS {
        for what in ["MRS", "MSR"] {
            let outcome = report.of_register(what, encoding).unwrap_or("nothing");
            ensure!(
                outcome == UNDEFINED,
                "{what} of {name} must be undefined without LORegions, but gave {outcome}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, lorid: &str) -> Result<()> {
        let mut text = format!("EL1 MRS S3_0_C0_C7_1: {id}\n");
        for what in ["MRS", "MSR"] {
            text += &format!("EL1 {what} S3_0_C10_C3_6 +8: {UNDEFINED}\n");
            text += &format!("EL1 {what} S3_0_C10_C4_7: {lorid}\n");
        }
        check_that_there_is_none(&Report::read(&(text + "end\n")).unwrap())
    }

    #[test]
    fn b27_all_accesses_must_be_undefined() {
        assert!(check("0x11200000", UNDEFINED).is_ok());
        let error = check("0x11200000", "0x0").unwrap_err().to_string();
        assert_eq!(
            error,
            "MRS of LORID_EL1 must be undefined without LORegions, but gave 0x0"
        );
    }

    #[test]
    fn b27_the_id_register_must_say_so() {
        assert!(check("0x11210000", UNDEFINED).is_err());
        assert!(check("EC 0x00 ESR 0x2000000", UNDEFINED).is_err());
    }
}
