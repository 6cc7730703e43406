// SPDX-License-Identifier: GPL-2.0

//! What the CPU and the kernel offer to this thread.

use std::fmt;

use crate::registers::{Layout, MAX_VL};

const PR_SVE_SET_VL: libc::c_int = 50;
const PR_SVE_GET_VL: libc::c_int = 51;
const PR_SME_SET_VL: libc::c_int = 63;
const PR_SME_GET_VL: libc::c_int = 64;
const PR_VL_LEN_MASK: libc::c_int = 0xffff;

/// Why registers could not be checked in the way that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The program runs neither in AArch64 nor in AArch32 state.
    NotArm,
    /// The CPU or the kernel does not offer the named extension.
    Missing(&'static str),
    /// The vector length (in bytes) cannot be had; the nearest one is given.
    Length {
        /// The extension: "SVE" or "SME".
        extension: &'static str,
        /// The length asked for, in bytes.
        asked: usize,
        /// The length that the kernel would give instead, in bytes; 0 where
        /// it refused.
        nearest: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotArm => write!(f, "FP registers can be checked on Arm only"),
            Error::Missing(extension) => write!(
                f,
                "the CPU or the kernel does not offer {extension}; choose another mode"
            ),
            Error::Length {
                extension,
                asked,
                nearest: 0,
            } => write!(
                f,
                "the kernel refused the {extension} vector length {asked} (bytes); \
                 take a multiple of 16 from 16 to 256"
            ),
            Error::Length {
                extension,
                asked,
                nearest,
            } => write!(
                f,
                "the {extension} vector length {asked} (bytes) does not exist here; \
                 the nearest one is {nearest}"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// The extensions that decide which registers exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// SVE: Z0-31, P0-15, FFR.
    pub sve: bool,
    /// SME: streaming mode and ZA.
    pub sme: bool,
    /// SME2: ZT0.
    pub sme2: bool,
    /// FFR exists in streaming mode too.
    pub sme_fa64: bool,
    /// FPMR.
    pub fpmr: bool,
    /// The FP8 conversions, to which the fields of FPMR belong.
    pub fp8: bool,
    /// FPCR.{NEP,AH,FIZ}.
    pub afp: bool,
    /// FPCR.FZ16.
    pub fp16: bool,
}

impl Features {
    /// Those of this machine, as the kernel tells them.
    #[cfg(target_arch = "aarch64")]
    pub fn detect() -> Self {
        const HWCAP_FPHP: u64 = 1 << 9;
        const HWCAP_SVE: u64 = 1 << 22;
        const HWCAP2_AFP: u64 = 1 << 20;
        const HWCAP2_SME: u64 = 1 << 23;
        const HWCAP2_SME_FA64: u64 = 1 << 30;
        const HWCAP2_SME2: u64 = 1 << 37;
        const HWCAP2_FPMR: u64 = 1 << 48;
        const HWCAP2_F8CVT: u64 = 1 << 51;

        // SAFETY: getauxval only reads the auxiliary vector.
        let (hwcap, hwcap2) = unsafe {
            (
                libc::getauxval(libc::AT_HWCAP),
                libc::getauxval(libc::AT_HWCAP2),
            )
        };
        Self {
            sve: hwcap & HWCAP_SVE != 0,
            sme: hwcap2 & HWCAP2_SME != 0,
            sme2: hwcap2 & HWCAP2_SME2 != 0,
            sme_fa64: hwcap2 & HWCAP2_SME_FA64 != 0,
            fpmr: hwcap2 & HWCAP2_FPMR != 0,
            fp8: hwcap2 & HWCAP2_F8CVT != 0,
            afp: hwcap2 & HWCAP2_AFP != 0,
            fp16: hwcap & HWCAP_FPHP != 0,
        }
    }

    /// None: a program that does not run in AArch64 state cannot use them.
    #[cfg(not(target_arch = "aarch64"))]
    pub fn detect() -> Self {
        Self::default()
    }
}

/// Asks the kernel for a vector length of the calling thread and returns the
/// one that it gave: the largest that exists and is not longer.
fn set_length(option: libc::c_int, vl: usize) -> Option<usize> {
    if vl > MAX_VL {
        return None;
    }
    // SAFETY: both options take plain numbers. They may discard the thread's
    // SVE and SME state, which the ABI does not preserve over a call anyway.
    let result = unsafe { libc::prctl(option, vl as libc::c_ulong, 0, 0, 0) };
    (result >= 0).then_some((result & PR_VL_LEN_MASK) as usize)
}

fn set_exact_length(extension: &'static str, option: libc::c_int, vl: usize) -> Result<(), Error> {
    match set_length(option, vl) {
        Some(got) if got == vl => Ok(()),
        got => Err(Error::Length {
            extension,
            asked: vl,
            nearest: got.unwrap_or(0),
        }),
    }
}

/// Which vector length of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// That of SVE.
    Sve,
    /// The streaming vector length.
    Streaming,
}

impl Vectors {
    /// Arguments of prctl() that set the length, in bytes.
    #[cfg_attr(
        not(any(target_arch = "aarch64", target_arch = "arm")),
        allow(dead_code)
    )]
    pub(crate) fn set_arguments(self, vl: usize) -> [u64; 2] {
        let option = match self {
            Self::Sve => PR_SVE_SET_VL,
            Self::Streaming => PR_SME_SET_VL,
        };
        [option as u64, vl as u64]
    }

    /// Sets the length of the calling thread, in bytes.
    pub(crate) fn set(self, vl: usize) -> Result<(), Error> {
        match self {
            Self::Sve => set_sve_length(vl),
            Self::Streaming => set_sme_length(vl),
        }
    }

    /// The length of the calling thread, in bytes; 0 where there is none.
    #[cfg_attr(
        not(any(target_arch = "aarch64", target_arch = "arm")),
        allow(dead_code)
    )]
    pub(crate) fn get(self) -> usize {
        let option = match self {
            Self::Sve => PR_SVE_GET_VL,
            Self::Streaming => PR_SME_GET_VL,
        };
        // SAFETY: both options take no argument and only return a number.
        let result = unsafe { libc::prctl(option, 0, 0, 0, 0) };
        (result.max(0) & PR_VL_LEN_MASK) as usize
    }
}

/// Sets the SVE vector length of the calling thread, in bytes.
pub(crate) fn set_sve_length(vl: usize) -> Result<(), Error> {
    set_exact_length("SVE", PR_SVE_SET_VL, vl)
}

/// Sets the streaming vector length of the calling thread, in bytes.
pub(crate) fn set_sme_length(vl: usize) -> Result<(), Error> {
    set_exact_length("SME", PR_SME_SET_VL, vl)
}

fn lengths(option: libc::c_int) -> Vec<usize> {
    // In a thread of its own, so that the caller keeps its vector length.
    std::thread::spawn(move || {
        let mut found: Vec<usize> = (1..=MAX_VL / 16)
            .filter_map(|quads| set_length(option, quads * 16))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    })
    .join()
    .unwrap_or_default()
}

/// All SVE vector lengths, in bytes and ascending; empty without SVE.
pub fn sve_lengths() -> Vec<usize> {
    if Features::detect().sve {
        lengths(PR_SVE_SET_VL)
    } else {
        Vec::new()
    }
}

/// All streaming vector lengths, in bytes and ascending; empty without SME.
pub fn sme_lengths() -> Vec<usize> {
    if Features::detect().sme {
        lengths(PR_SME_SET_VL)
    } else {
        Vec::new()
    }
}

impl Features {
    /// The bits of FPCR that can be set without a trap and without effect on
    /// loads and stores.
    pub(crate) fn fpcr_mask(&self) -> u64 {
        // AHP, DN, FZ, RMode; FZ16; NEP, AH, FIZ.
        let mut mask = 0b1_1111 << 22;
        if self.fp16 {
            mask |= 1 << 19;
        }
        if self.afp {
            mask |= 0b111;
        }
        mask
    }

    /// The bits of FPMR that hold any value: of the format fields the lowest
    /// bit, because the other values are reserved.
    pub(crate) fn fpmr_mask(&self) -> u64 {
        if !self.fpmr || !self.fp8 {
            return 0;
        }
        // LSCALE2, NSCALE, LSCALE, OSC, OSM, F8D, F8S2, F8S1.
        (0x3f << 32) | (0xff << 24) | (0x7f << 16) | (0b11 << 14) | 0b001_001_001
    }

    /// Whether the registers of `layout` exist.
    pub(crate) fn require(&self, layout: Layout) -> Result<(), Error> {
        match layout {
            Layout::Sve { .. } if !self.sve => Err(Error::Missing("SVE")),
            Layout::Streaming { .. } if !self.sme => Err(Error::Missing("SME")),
            _ => Ok(()),
        }
    }
}
