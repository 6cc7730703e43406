// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;

use crate::layout::MAX_CPUS;

/// Boots an arm64 Linux guest under KVM, with its console on stdout.
///
/// The exit status is 0 only when the guest powered itself off.
#[derive(Debug, Parser)]
#[command(name = "vmm")]
pub struct Options {
    /// Kernel, an uncompressed arm64 Image
    #[arg(long, value_name = "FILE")]
    pub kernel: PathBuf,

    /// Initramfs, which a guest that is not Linux may do without
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,

    /// Kernel command line
    #[arg(long, value_name = "STRING", default_value = "console=ttyS0 panic=-1")]
    pub cmdline: String,

    /// Number of vCPUs
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_CPUS)))]
    pub cpus: u8,

    /// Guest memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256,
          value_parser = clap::value_parser!(u64).range(32..=1 << 20))]
    pub memory: u64,

    /// Longest SVE vector in bytes, "max" for all that the host has (also none), or "off"
    #[arg(long, value_name = "BYTES|off|max", default_value = "max")]
    pub sve_vl: SveLength,

    /// Give the guest memory tagging
    #[arg(long)]
    pub mte: bool,

    /// Leave pointer authentication out (a protected Linux needs arm64.nopauth then)
    #[arg(long)]
    pub no_pauth: bool,

    /// Take LORegions from the guest: ID_AA64MMFR1_EL1.LO is 0
    #[arg(long)]
    pub no_lor: bool,

    /// Give the guest EL2, so that it can have guests itself (the host needs kvm-arm.mode=nested)
    #[arg(long, conflicts_with = "protected")]
    pub el2: bool,

    /// Make it a protected VM (the host needs kvm-arm.mode=protected)
    #[arg(long)]
    pub protected: bool,

    /// Host CPUs for the vCPUs: vCPU i runs on the i-th of the list, which repeats
    #[arg(long, value_name = "CPU,...", value_delimiter = ',')]
    pub pin: Vec<usize>,

    /// Make a second machine, the same as the first; where a guest exits to this program, it
    /// gives the CPU up, so that on one CPU the two run in turn if they have --realtime
    #[arg(long)]
    pub twin: bool,

    /// Run the vCPUs with SCHED_FIFO: they give the CPU up where they wait, and nowhere else
    #[arg(long)]
    pub realtime: bool,

    /// Use the FP registers of this program after each KVM_RUN
    #[arg(long)]
    pub use_fp: bool,

    /// End with status 1 if the guest has not powered off after so many seconds
    #[arg(long, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
}

/// What `--sve-vl` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SveLength {
    /// No SVE.
    Off,
    /// What KVM gives by default, which is nothing on a host without SVE.
    Max,
    /// No vector longer than this number of 128-bit quadwords.
    Quadwords(u32),
}

/// Longest vector that the architecture allows, in bytes.
const ARCHITECTURAL_MAX: u32 = 256;

impl FromStr for SveLength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => return Ok(Self::Off),
            "max" => return Ok(Self::Max),
            _ => {}
        }
        match text.parse() {
            Ok(bytes) if (16..=ARCHITECTURAL_MAX).contains(&bytes) && bytes % 16 == 0 => {
                Ok(Self::Quadwords(bytes / 16))
            }
            _ => Err(format!(
                "expected off, max or a multiple of 16 up to {ARCHITECTURAL_MAX}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn sve_lengths() {
        assert_eq!("off".parse(), Ok(SveLength::Off));
        assert_eq!("max".parse(), Ok(SveLength::Max));
        assert_eq!("16".parse(), Ok(SveLength::Quadwords(1)));
        assert_eq!("256".parse(), Ok(SveLength::Quadwords(16)));
        for wrong in ["", "0", "8", "24", "272", "-16", "16 ", "MAX"] {
            assert!(wrong.parse::<SveLength>().is_err(), "{wrong:?}");
        }
    }
}
