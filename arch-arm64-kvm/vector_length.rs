// SPDX-License-Identifier: GPL-2.0

//! A vector length of SVE, and how SVE state is laid out for it.

#![forbid(unsafe_code)]
// What each world does with it differs.
#![allow(dead_code)]

/// Bytes of a quadword, in which vector lengths are counted. The kernel's `SVE_VQ_BYTES`.
const QUADWORD: u32 = 16;

/// A vector length: 1 to 16 quadwords, the architecture's 128 to 2048 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VectorLength {
    bytes: u32,
}

impl VectorLength {
    /// The architecture's longest, in quadwords.
    pub(crate) const MAX_QUADWORDS: u32 = 16;

    /// The architecture's longest. The kernel's `VL_ARCH_MAX`.
    pub(crate) const MAX: Self = Self {
        bytes: Self::MAX_QUADWORDS * QUADWORD,
    };

    /// How many Z registers there are. The kernel's `SVE_NUM_ZREGS`.
    pub(crate) const Z_REGISTERS: usize = 32;

    /// How many P registers there are, and FFR, which is as long and comes behind them.
    pub(crate) const P_REGISTERS_AND_FFR: usize = 17;

    /// One of `bytes`, which have been checked: a multiple of 16, and not 0, but where there is no
    /// SVE. Nobody asks for the vectors of such a one.
    #[inline(always)]
    pub(crate) fn of_bytes(bytes: u32) -> Self {
        Self { bytes }
    }

    /// One of `bytes`, if there is one. No longer than the architecture's longest.
    #[inline]
    pub(crate) fn from_bytes(bytes: u32) -> Option<Self> {
        if bytes % QUADWORD != 0 {
            return None;
        }
        Self::from_quadwords(bytes / QUADWORD)
    }

    /// One of `quadwords`, if there is one: the kernel's `vq`.
    #[inline]
    pub(crate) fn from_quadwords(quadwords: u32) -> Option<Self> {
        (1..=Self::MAX_QUADWORDS)
            .contains(&quadwords)
            .then_some(Self {
                bytes: quadwords * QUADWORD,
            })
    }

    /// In bytes: the kernel's `vl`.
    #[inline(always)]
    pub(crate) fn bytes(self) -> u32 {
        self.bytes
    }

    /// In quadwords.
    #[inline(always)]
    pub(crate) fn quadwords(self) -> u32 {
        self.bytes / QUADWORD
    }

    /// The value of `ZCR_EL1` or `ZCR_EL2` that asks for it.
    #[inline(always)]
    pub(crate) fn zcr(self) -> u64 {
        u64::from(self.quadwords().wrapping_sub(1))
    }

    /// Bytes of a Z register.
    #[inline(always)]
    pub(crate) const fn z_size(self) -> usize {
        self.bytes as usize
    }

    /// Bytes of a P register, or of FFR: a bit for each byte of a Z register.
    #[inline(always)]
    pub(crate) const fn p_size(self) -> usize {
        self.z_size() / 8
    }

    /// Bytes of Z0 to Z31, P0 to P15 and FFR, which are in memory in this order.
    ///
    /// The order, and that there are no gaps, is the kernel's `SVE_SIG_REGS_SIZE()`.
    #[inline(always)]
    pub(crate) const fn state_size(self) -> usize {
        Self::Z_REGISTERS * self.z_size() + Self::P_REGISTERS_AND_FFR * self.p_size()
    }
}

// Between the two, it is a multiple of the length.
const _: () =
    assert!(VectorLength::MAX.state_size() == kernel::bindings::SVE_SIG_REGS_SIZE_MAX as usize);
