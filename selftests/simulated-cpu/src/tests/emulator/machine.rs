// SPDX-License-Identifier: GPL-2.0
//! The CPUs of the emulator that sequences run on.

use crate::arm64::registers::SP_EL2;
use crate::arm64::sysreg::RegisterName;
use crate::{bindings, Cpu, Mode, STREAMING_VECTOR_LENGTH};
use std::fmt;

/// A machine of QEMU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// What follows `-cpu`.
    pub(super) cpu: &'static str,
    /// Further options of the machine.
    pub(super) options: &'static str,
    /// FEAT_VHE: `HCR_EL2.E2H` can be 1.
    pub(super) has_vhe: bool,
    /// FEAT_SME, with vectors of [`STREAMING_VECTOR_LENGTH`].
    pub(super) has_sme: bool,
    /// The vector lengths of SVE, in 128 bits.
    pub(super) lengths: &'static [usize],
    /// Features of [`FEATURES`] that the CPU lacks.
    pub(super) lacks: &'static [&'static str],
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cpu)
    }
}

impl Machine {
    /// The same machine, simulated.
    pub(super) fn simulated(&self) -> Cpu {
        assert_eq!(STREAMING_VECTOR_LENGTH, 32, "sme256, below");
        let mut cpu = Cpu::new(Mode::Nvhe);
        let lengths: Vec<usize> = self.lengths.iter().map(|length| 16 * length).collect();
        cpu.set_vector_lengths(&lengths);
        if self.has_sme {
            cpu.add_capability(bindings::ARM64_SME);
        }
        // See FEATURES.
        cpu.remove_fpmr();
        cpu
    }

    /// Whether the machine lacks a register of the simulated CPU.
    pub(super) fn lacks(&self, register: &str) -> bool {
        let lacking = NOT_EMULATED
            .iter()
            .chain(FEATURES.iter().filter(|(f, _)| self.lacks.contains(f)));
        let mut registers = lacking.flat_map(|(_, registers)| registers.iter());
        // At EL2 it is UNDEFINED on every CPU.
        register == SP_EL2::NAME || registers.any(|lacking| *lacking == register)
    }
}

/// Registers that come with features which QEMU 10.0 does not have.
const NOT_EMULATED: &[(&str, &[&str])] = &[
    ("FEAT_FPMR", &["FPMR"]),
    (
        "FEAT_FGT2",
        &[
            "HDFGRTR2_EL2",
            "HDFGWTR2_EL2",
            "HFGITR2_EL2",
            "HFGRTR2_EL2",
            "HFGWTR2_EL2",
        ],
    ),
    (
        "FEAT_GCIE",
        &["ICH_HFGITR_EL2", "ICH_HFGRTR_EL2", "ICH_HFGWTR_EL2"],
    ),
    ("FEAT_AMUv1", &["HAFGRTR_EL2"]),
    (
        "FEAT_MPAM",
        &["MPAM0_EL1", "MPAM1_EL1", "MPAM2_EL2", "MPAMHCR_EL2"],
    ),
    ("FEAT_NV3", &["NVHCR_EL2"]),
    (
        "FEAT_S1PIE",
        &["PIRE0_EL1", "PIRE0_EL2", "PIR_EL1", "PIR_EL2"],
    ),
    ("FEAT_S1POE", &["POR_EL0", "POR_EL1", "POR_EL2"]),
    ("FEAT_SCTLR2", &["SCTLR2_EL1", "SCTLR2_EL2"]),
    ("FEAT_TCR2", &["TCR2_EL1", "TCR2_EL2"]),
];

/// Registers that come with features which some machines do not have.
const FEATURES: &[(&str, &[&str])] = &[
    (
        "AArch32 at EL1",
        &["DACR32_EL2", "DBGVCR32_EL2", "FPEXC32_EL2", "IFSR32_EL2"],
    ),
    ("FEAT_ECV", &["CNTPOFF_EL2"]),
    (
        "FEAT_FGT",
        &[
            "HDFGRTR_EL2",
            "HDFGWTR_EL2",
            "HFGITR_EL2",
            "HFGRTR_EL2",
            "HFGWTR_EL2",
        ],
    ),
    ("FEAT_HCX", &["HCRX_EL2"]),
    (
        "FEAT_MTE2",
        &["GCR_EL1", "RGSR_EL1", "TFSRE0_EL1", "TFSR_EL1", "TFSR_EL2"],
    ),
    ("FEAT_NV2", &["VNCR_EL2"]),
    (
        "FEAT_PAuth",
        &[
            "APDAKEYHI_EL1",
            "APDAKEYLO_EL1",
            "APDBKEYHI_EL1",
            "APDBKEYLO_EL1",
            "APGAKEYHI_EL1",
            "APGAKEYLO_EL1",
            "APIAKEYHI_EL1",
            "APIAKEYLO_EL1",
            "APIBKEYHI_EL1",
            "APIBKEYLO_EL1",
        ],
    ),
    ("FEAT_RAS", &["DISR_EL1", "VDISR_EL2", "VSESR_EL2"]),
    ("FEAT_SVE", &["ZCR_EL1", "ZCR_EL2"]),
    (
        "FEAT_VHE",
        &[
            "CNTHV_CTL_EL2",
            "CNTHV_CVAL_EL2",
            "CONTEXTIDR_EL2",
            "TTBR1_EL2",
        ],
    ),
];

/// The machines.
pub(super) const MACHINES: [Machine; 6] = [
    // Everything, and all vector lengths that the architecture has.
    Machine {
        cpu: "max,sme128=off,sme256=on,sme512=off,sme1024=off,sme2048=off",
        options: ",mte=on",
        has_vhe: true,
        has_sme: true,
        lengths: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        lacks: &[],
    },
    // Vector lengths with gaps, and SME with shorter and longer ones.
    Machine {
        cpu: "max,sme128=off,sme256=on,sme512=off,sme1024=off,sme2048=off,\
              sve128=on,sve256=on,sve384=off,sve512=on,sve640=off,sve768=off,sve896=off,\
              sve1024=off",
        options: ",mte=on",
        has_vhe: true,
        has_sme: true,
        lengths: &[1, 2, 4],
        lacks: &[],
    },
    // SVE without SME.
    Machine {
        cpu: "max,sme=off,sve-max-vq=3",
        options: ",mte=on",
        has_vhe: true,
        has_sme: false,
        lengths: &[1, 2, 3],
        lacks: &[],
    },
    // Neither.
    Machine {
        cpu: "max,sme=off,sve=off",
        options: "",
        has_vhe: true,
        has_sme: false,
        lengths: &[],
        lacks: &["FEAT_MTE2", "FEAT_SVE"],
    },
    Machine {
        cpu: "neoverse-n1",
        options: "",
        has_vhe: true,
        has_sme: false,
        lengths: &[],
        lacks: &[
            "AArch32 at EL1",
            "FEAT_ECV",
            "FEAT_FGT",
            "FEAT_HCX",
            "FEAT_MTE2",
            "FEAT_NV2",
            "FEAT_PAuth",
            "FEAT_SVE",
        ],
    },
    // Without VHE.
    Machine {
        cpu: "cortex-a72",
        options: "",
        has_vhe: false,
        has_sme: false,
        lengths: &[],
        lacks: &[
            "FEAT_ECV",
            "FEAT_FGT",
            "FEAT_HCX",
            "FEAT_MTE2",
            "FEAT_NV2",
            "FEAT_PAuth",
            "FEAT_RAS",
            "FEAT_SVE",
            "FEAT_VHE",
        ],
    },
];
