// SPDX-License-Identifier: GPL-2.0

//! The registers of SVE by their ids in `KVM_GET_ONE_REG` and `KVM_SET_ONE_REG`.
//!
//! The ABI cuts a register into slices of the size that it has at 2048 bits, which is all of it on
//! any CPU, so only slice 0 exists.

#![forbid(unsafe_code)]

use crate::vector_length::VectorLength;
use core::ops::Range;
use kernel::{
    arm64::speculation::index_nospec,
    bindings, //
};

/// The id that stands for the set of vector lengths.
pub(crate) const VECTOR_LENGTHS: u64 = bindings::KVM_REG_ARM64_SVE_VLS;

/// Ids of slices of a register follow one another.
const SLICES: u64 = bindings::KVM_ARM64_SVE_MAX_SLICES as u64;

/// How many ids there are for Z0 to Z31.
const Z_IDS: u64 = VectorLength::Z_REGISTERS as u64 * SLICES;

/// How many ids there are for P0 to P15 and FFR.
const P_IDS: u64 = VectorLength::P_REGISTERS_AND_FFR as u64 * SLICES;

/// Bytes of a slice of a Z register.
pub(crate) const Z_SLICE: usize = 256;

/// Bytes of a slice of a P register or of FFR.
const P_SLICE: usize = Z_SLICE / 8;

/// How many registers there are.
pub(crate) const COUNT: usize = 1 + VectorLength::Z_REGISTERS + VectorLength::P_REGISTERS_AND_FFR;

/// The ids of all registers. The set of vector lengths comes first: who restores a vCPU in this
/// order sets it before it is too late.
pub(crate) const ALL: [u64; COUNT] = {
    let mut ids = [VECTOR_LENGTHS; COUNT];
    let mut n = 0;
    while n < VectorLength::Z_REGISTERS {
        ids[1 + n] = bindings::KVM_REG_ARM64_SVE_ZREG_0 + n as u64 * SLICES;
        n += 1;
    }
    let mut n = 0;
    while n < VectorLength::P_REGISTERS_AND_FFR {
        ids[1 + VectorLength::Z_REGISTERS + n] =
            bindings::KVM_REG_ARM64_SVE_PREG_0 + n as u64 * SLICES;
        n += 1;
    }
    ids
};

// FFR is behind P15, as in memory.
const _: () = assert!(ALL[COUNT - 1] == bindings::KVM_REG_ARM64_SVE_FFR_0);

/// A slice of a register.
#[derive(Clone, Copy)]
pub(crate) struct Slice {
    register: Register,
    number: u64,
}

#[derive(Clone, Copy)]
enum Register {
    /// Z0 to Z31.
    Z(usize),
    /// P0 to P15, and FFR as if it were P16.
    P(usize),
}

/// Where a slice is in the state of a vCPU, and how much of it userspace sees.
pub(crate) struct Region {
    start: usize,
    length: usize,
    /// Bytes that userspace sees behind it: the slice is for the longest vectors, and the vCPU's
    /// may be shorter.
    pub(crate) padding: usize,
}

impl Slice {
    /// Returns the slice with an id, if there is one.
    pub(crate) fn from_id(id: u64) -> Option<Self> {
        let z = id.wrapping_sub(bindings::KVM_REG_ARM64_SVE_ZREG_0);
        let p = id.wrapping_sub(bindings::KVM_REG_ARM64_SVE_PREG_0);
        let register = if z < Z_IDS {
            Register::Z((z / SLICES) as usize)
        } else if p < P_IDS {
            Register::P((p / SLICES) as usize)
        } else {
            return None;
        };
        Some(Self {
            register,
            number: id % SLICES,
        })
    }

    /// Returns whether it is slice 0.
    pub(crate) fn exists(self) -> bool {
        self.number == 0
    }

    /// Returns where it is for vectors of the length `vl`.
    pub(crate) fn region(self, vl: VectorLength) -> Region {
        let (start, length, slice) = match self.register {
            Register::Z(n) => (n * vl.z_size(), vl.z_size(), Z_SLICE),
            Register::P(n) => {
                let behind_z = VectorLength::Z_REGISTERS * vl.z_size();
                (behind_z + n * vl.p_size(), vl.p_size(), P_SLICE)
            }
        };
        Region {
            start,
            length,
            padding: slice.saturating_sub(length),
        }
    }
}

impl Region {
    /// Returns its place in a state of `size` bytes, for speculation as well: the id is
    /// userspace's.
    pub(crate) fn within(&self, size: usize) -> Range<usize> {
        let start = index_nospec(self.start, size);
        start..start + self.length
    }
}
