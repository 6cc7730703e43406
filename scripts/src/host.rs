// SPDX-License-Identifier: GPL-2.0
//! The hosts that can be emulated: how KVM runs there, and on which CPU.

use crate::error::hinted;
use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How KVM runs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The kernel itself runs at EL2.
    Vhe,
    /// The hypervisor runs at EL2 in the layout of Armv8.0.
    Nvhe,
    /// As nvhe, but with the E2H layout of the registers.
    Hvhe,
    /// The hypervisor is protected from the host (pKVM).
    Protected,
    /// VHE with nested virtualisation by FEAT_NV2.
    Nested,
}

/// A CPU model of QEMU.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cpu {
    /// Everything QEMU can do: SVE, SME, MTE, pointer authentication, NV2.
    Max,
    /// Armv8.2 without SVE.
    #[value(name = "neoverse-n1")]
    NeoverseN1,
    /// Armv8.4 with SVE.
    #[value(name = "neoverse-v1")]
    NeoverseV1,
    /// Armv9.0 with SVE2.
    #[value(name = "neoverse-n2")]
    NeoverseN2,
    /// Armv8.0: no VHE, AArch32 at all exception levels.
    #[value(name = "cortex-a57")]
    CortexA57,
}

/// Vector lengths of SVE that the CPU `max` has. Architecture and QEMU have 128
/// bits always, and all powers of two below the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VectorLengths {
    /// All, up to 2048 bits.
    #[default]
    All,
    /// All up to this, in quadwords.
    UpTo(u32),
    /// Powers of two, up to 2048 bits.
    PowersOfTwo,
    /// Up to 1024 bits, without 384 and 896.
    WithGaps,
}

impl VectorLengths {
    /// All but the CPU's own.
    pub const OTHERS: [Self; 6] = [
        Self::UpTo(1),
        Self::UpTo(2),
        Self::UpTo(4),
        Self::UpTo(8),
        Self::PowersOfTwo,
        Self::WithGaps,
    ];

    /// What comes behind the CPU in QEMU's -cpu.
    pub fn qemu(self) -> String {
        let off = |lengths: &[u32]| -> String {
            let off = lengths.iter().map(|bits| format!(",sve{bits}=off"));
            off.collect()
        };
        match self {
            Self::All => String::new(),
            Self::UpTo(quadwords) => format!(",sve-max-vq={quadwords}"),
            Self::PowersOfTwo => {
                let others: Vec<u32> = (1..16).filter(|n: &u32| !n.is_power_of_two()).collect();
                let bits: Vec<u32> = others.iter().map(|quadwords| 128 * quadwords).collect();
                off(&bits)
            }
            Self::WithGaps => format!(",sve-max-vq=8{}", off(&[384, 896])),
        }
    }

    /// What comes behind the CPU in the name of a host.
    pub fn suffix(self) -> String {
        match self {
            Self::All => String::new(),
            Self::UpTo(quadwords) => format!("-sve{}", 128 * quadwords),
            Self::PowersOfTwo => "-sve-powers-of-two".to_owned(),
            Self::WithGaps => "-sve-with-gaps".to_owned(),
        }
    }
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 5] = [
        Self::Vhe,
        Self::Nvhe,
        Self::Hvhe,
        Self::Protected,
        Self::Nested,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vhe => "vhe",
            Self::Nvhe => "nvhe",
            Self::Hvhe => "hvhe",
            Self::Protected => "protected",
            Self::Nested => "nested",
        }
    }

    /// Kernel parameters that select it.
    pub fn parameters(self) -> &'static str {
        match self {
            Self::Vhe => "",
            Self::Nvhe => "kvm-arm.mode=nvhe",
            Self::Hvhe => "kvm-arm.mode=nvhe arm64_sw.hvhe=1",
            Self::Protected => "kvm-arm.mode=protected",
            Self::Nested => "kvm-arm.mode=nested",
        }
    }

    /// What the kernel may say it initialised. pKVM uses the E2H layout where
    /// the CPU has it.
    fn announced(self) -> &'static [&'static str] {
        match self {
            Self::Vhe => &["VHE"],
            Self::Nvhe => &["Hyp nVHE"],
            Self::Hvhe => &["Hyp hVHE"],
            Self::Protected => &["Protected hVHE", "Protected nVHE"],
            Self::Nested => &["VHE+NV2"],
        }
    }

    /// Fails unless the console log says that KVM came up in this mode.
    pub fn verify(self, console: &str) -> Result<()> {
        const END: &str = " mode initialized successfully";
        let found = console
            .lines()
            .filter_map(|line| line.trim_end().strip_suffix(END))
            .find_map(|line| line.rsplit_once("]: ").map(|(_, mode)| mode));
        match found {
            Some(mode) if self.announced().contains(&mode) => Ok(()),
            Some(mode) => {
                anyhow::bail!("KVM came up in {mode} mode, {} was asked for", self.name())
            }
            None => anyhow::bail!("KVM did not come up ({} was asked for)", self.name()),
        }
    }
}

impl Cpu {
    /// All CPUs.
    #[cfg(test)]
    pub const ALL: [Self; 5] = [
        Self::Max,
        Self::NeoverseN1,
        Self::NeoverseV1,
        Self::NeoverseN2,
        Self::CortexA57,
    ];

    /// Its name in QEMU.
    pub fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::NeoverseN1 => "neoverse-n1",
            Self::NeoverseV1 => "neoverse-v1",
            Self::NeoverseN2 => "neoverse-n2",
            Self::CortexA57 => "cortex-a57",
        }
    }

    /// The value of QEMU's -cpu. `lpa2`: with addresses of 52 bits where it can have
    /// them, which is max alone.
    pub fn qemu(self, lpa2: bool) -> &'static str {
        match self {
            // The architected algorithm costs TCG most of its time.
            Self::Max if lpa2 => "max,pauth-impdef=on",
            Self::Max => "max,pauth-impdef=on,lpa2=off",
            // Revision r1p3. On r1p2 and before, where Linux works around
            // erratum 834220, Linux 7.3 never resolves a stage 2 fault on a
            // walk of the guest's page tables: __hpfar_valid() distrusts
            // HPFAR_EL2 there as well, and translating the address by AT
            // takes the same fault.
            Self::CortexA57 => "cortex-a57,midr=0x411fd073",
            other => other.name(),
        }
    }

    /// True where guests can be in AArch32 state at EL1.
    pub fn has_aarch32_guests(self) -> bool {
        matches!(self, Self::Max | Self::CortexA57)
    }

    /// True where it has SVE.
    pub fn has_sve(self) -> bool {
        matches!(self, Self::Max | Self::NeoverseV1 | Self::NeoverseN2)
    }

    /// True where QEMU's machine can have tag memory with this CPU.
    pub fn mte(self) -> bool {
        self == Self::Max
    }

    /// Modes that this CPU can do. VHE came with Armv8.1, NV2 with Armv8.4 as
    /// an option that only max has.
    pub fn modes(self) -> &'static [Mode] {
        match self {
            Self::Max => &Mode::ALL,
            Self::NeoverseN1 | Self::NeoverseV1 | Self::NeoverseN2 => {
                &[Mode::Vhe, Mode::Nvhe, Mode::Hvhe, Mode::Protected]
            }
            Self::CortexA57 => &[Mode::Nvhe, Mode::Protected],
        }
    }

    /// Fails where this CPU cannot do `mode`.
    pub fn check(self, mode: Mode) -> Result<()> {
        if self.modes().contains(&mode) {
            return Ok(());
        }
        let names: Vec<_> = self.modes().iter().map(|m| m.name()).collect();
        Err(hinted(
            format!("CPU={} cannot do MODE={}", self.name(), mode.name()),
            format!(
                "with CPU={}, MODE is one of: {}",
                self.name(),
                names.join(" ")
            ),
        ))
    }
}

/// Reads a MODE or CPU of the user; an unknown one lists those there are.
pub fn parse<T: ValueEnum>(variable: &str, value: &str) -> Result<T> {
    T::from_str(value, false).map_err(|_| {
        let known: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|v| v.to_possible_value())
            .map(|v| v.get_name().to_owned())
            .collect();
        hinted(
            format!("{variable}={value} is not known"),
            format!("{variable} is one of: {}", known.join(" ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_taken_from_the_kernel_log() {
        let log = "[    0.1] x\n[    0.150000] kvm [1]: Hyp nVHE mode initialized successfully\r\n";
        Mode::Nvhe.verify(log).unwrap();
        let wrong = Mode::Vhe.verify(log).unwrap_err().to_string();
        assert_eq!(wrong, "KVM came up in Hyp nVHE mode, vhe was asked for");
        assert!(Mode::Vhe
            .verify("[ 0.1] kvm [1]: HYP mode not available\n")
            .is_err());
        Mode::Nested
            .verify("[ 0.1] kvm [1]: VHE+NV2 mode initialized successfully\n")
            .unwrap();
        assert!(Mode::Vhe
            .verify("[ 0.1] kvm [1]: VHE+NV2 mode initialized successfully\n")
            .is_err());
        Mode::Protected
            .verify("[ 0.1] kvm [1]: Protected hVHE mode initialized successfully\n")
            .unwrap();
    }

    #[test]
    fn unknown_values_list_the_known_ones() {
        for value in ["list", "VHE", ""] {
            let error = parse::<Mode>("MODE", value).unwrap_err();
            assert_eq!(error.to_string(), format!("MODE={value} is not known"));
            let hint = crate::error::hint(&error).unwrap();
            assert_eq!(hint, "MODE is one of: vhe nvhe hvhe protected nested");
        }
        for cpu in Cpu::ALL {
            assert_eq!(parse::<Cpu>("CPU", cpu.name()).unwrap(), cpu);
        }
    }

    #[test]
    fn vector_lengths_are_as_qemu_has_them() {
        let qemu = VectorLengths::PowersOfTwo.qemu();
        assert!(qemu.starts_with(",sve384=off,sve640=off,"), "{qemu}");
        assert!(!qemu.contains("sve1024") && qemu.ends_with(",sve1920=off"));
        let gaps = VectorLengths::WithGaps.qemu();
        assert_eq!(gaps, ",sve-max-vq=8,sve384=off,sve896=off");
        assert_eq!(VectorLengths::UpTo(4).suffix(), "-sve512");
        assert_eq!(VectorLengths::All.qemu(), "");
    }

    #[test]
    fn impossible_hosts_are_refused() {
        assert!(Cpu::CortexA57.check(Mode::Vhe).is_err());
        assert!(Cpu::NeoverseN1.check(Mode::Nested).is_err());
        for mode in Mode::ALL {
            Cpu::Max.check(mode).unwrap();
        }
    }
}
