// SPDX-License-Identifier: GPL-2.0
//! The register files of FP and SVE, and the lengths of vectors.

use super::traps::Unit;
use super::{Access, Cpu};
use crate::arm64::registers::{FPMR, FPSR, ZCR_EL1, ZCR_EL2};

/// The longest vector of the architecture, in bytes.
const MAX: usize = 256;
/// The vector length of streaming mode, in bytes: the CPU has this one alone.
pub const STREAMING_VECTOR_LENGTH: usize = 32;

/// `SVCR.SM`: streaming mode.
pub const SVCR_SM: u64 = 1 << 0;
/// `SVCR.ZA`: ZA has contents.
pub const SVCR_ZA: u64 = 1 << 1;

/// FPSR after a change of streaming mode, by `ResetSVEState()`: all flags are set.
const STREAMING_FPSR: u64 = 0x0800_009f;

/// Z0 to Z31, of which V0 to V31 are the first 16 bytes, P0 to P15, and FFR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FpRegisters {
    /// The vectors. What lies beyond the length in force can be neither read
    /// nor written, and is kept. The architecture lets a CPU make it 0 as well:
    /// `MaybeZeroSVEUppers()`.
    pub z: Box<[[u8; MAX]; 32]>,
    /// P0 to P15, and FFR behind them.
    pub p: [[u8; MAX / 8]; 17],
}

impl FpRegisters {
    /// Different bytes everywhere, which depend on `seed`.
    pub fn filled(seed: u64) -> Self {
        let mut registers = Self {
            z: Box::new([[0; MAX]; 32]),
            p: [[0; MAX / 8]; 17],
        };
        let z = registers.z.as_flattened_mut();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for word in z
            .chunks_exact_mut(8)
            .chain(registers.p.as_flattened_mut().chunks_exact_mut(8))
        {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        registers
    }

    /// How many bytes the registers take in memory with a vector length.
    pub const fn sve_size(length: usize) -> usize {
        32 * length + 17 * (length / 8)
    }

    /// V0 to V31, as they are in memory.
    pub fn v(&self) -> [u8; 32 * 16] {
        let mut bytes = [0; 32 * 16];
        for (to, z) in bytes.chunks_exact_mut(16).zip(self.z.iter()) {
            to.copy_from_slice(&z[..16]);
        }
        bytes
    }

    /// Z0 to Z31, P0 to P15 and FFR, as they are in memory with a vector
    /// length.
    pub fn sve(&self, length: usize) -> Vec<u8> {
        let z = self.z.iter().flat_map(|z| &z[..length]);
        let p = self.p.iter().flat_map(|p| &p[..length / 8]);
        z.chain(p).copied().collect()
    }

    /// Writes V0 to V31, by which the rest of each Z becomes 0, up to the
    /// vector length.
    ///
    /// `V[]`: beyond that length, and beyond 128 bits while SVE is trapped here
    /// (`IsSVEEnabled()`), a CPU may keep what was there (Unpredictable_SVEZEROUPPER).
    pub fn set_v(&mut self, bytes: &[u8; 32 * 16], length: usize) {
        for (from, z) in bytes.chunks_exact(16).zip(self.z.iter_mut()) {
            z[..16].copy_from_slice(from);
            z[16..length.max(16)].fill(0);
        }
    }

    /// Writes Z0 to Z31, P0 to P15 and FFR from memory.
    pub fn set_sve(&mut self, bytes: &[u8], length: usize) {
        let (z, p) = bytes.split_at(32 * length);
        for (from, z) in z.chunks_exact(length).zip(self.z.iter_mut()) {
            z[..length].copy_from_slice(from);
        }
        for (from, p) in p.chunks_exact(length / 8).zip(self.p.iter_mut()) {
            p[..length / 8].copy_from_slice(from);
        }
    }
}

impl Cpu {
    /// Whether the CPU has SVE.
    pub(super) fn has_sve(&self) -> bool {
        self.vector_lengths != 0
    }

    /// Takes SVE away from a CPU.
    pub fn remove_sve(&mut self) {
        self.vector_lengths = 0;
    }

    /// Gives the CPU vectors of these lengths, in bytes, and of no others.
    pub fn set_vector_lengths(&mut self, lengths: &[usize]) {
        self.vector_lengths = 0;
        for length in lengths {
            assert!(*length % 16 == 0 && (16..=MAX).contains(length));
            self.vector_lengths |= 1 << (length / 16 - 1);
        }
    }

    /// Takes FPMR away from a CPU.
    pub fn remove_fpmr(&mut self) {
        self.has_fpmr = false;
    }

    /// Has the CPU trap nothing, whatever is in `CPTR_EL2`.
    pub fn trap_no_fp(&mut self) {
        self.traps_fp = false;
    }

    /// What is in the registers.
    pub fn fp(&self) -> &FpRegisters {
        &self.fp
    }

    /// As [`Self::fp`], to be changed.
    pub fn fp_mut(&mut self) -> &mut FpRegisters {
        &mut self.fp
    }

    /// The vector length at EL2, in bytes; 16 without SVE.
    ///
    /// `CurrentVL`: in streaming mode `CurrentSVL`, otherwise by `ZCR_EL2.LEN`.
    /// A write to that counts from the next instruction on, without a context
    /// synchronisation event: see the field's description.
    pub fn vector_length_at_el2(&self) -> usize {
        if self.svcr & SVCR_SM != 0 {
            return STREAMING_VECTOR_LENGTH;
        }
        self.implemented_vector_length(self.get::<ZCR_EL2>().into())
    }

    /// The vector length at EL1, in bytes; 16 without SVE.
    ///
    /// `CurrentVL`: `ZCR_EL2.LEN` is a limit there.
    pub fn vector_length_at_el1(&self) -> usize {
        if self.svcr & SVCR_SM != 0 {
            return STREAMING_VECTOR_LENGTH;
        }
        let [el1, el2] = [self.get::<ZCR_EL1>().into(), self.get::<ZCR_EL2>().into()];
        let len = |zcr: u64| zcr & 0xf;
        self.implemented_vector_length(len(el1).min(len(el2)))
    }

    /// `ImplementedSVEVectorLength()`: the longest that the CPU has of those that
    /// are no longer than ZCR asks for.
    fn implemented_vector_length(&self, zcr: u64) -> usize {
        let asked = zcr & 0xf;
        let fitting = self.vector_lengths & (u16::MAX >> (15 - asked));
        16 * (u16::BITS - fitting.leading_zeros()).max(1) as usize
    }

    /// What is in `SVCR`.
    pub fn svcr(&self) -> u64 {
        self.svcr
    }

    /// Changes what is in `SVCR`: entering or leaving streaming mode makes all
    /// vectors and predicates 0, and so does for ZA that it gets contents.
    ///
    /// `SetPSTATE_SM()` with `ResetSVEState()`, and `SetPSTATE_ZA()` with
    /// `ResetSMEState()`. What becomes of FPSR and FPMR is left to
    /// [`Self::write_svcr`].
    pub fn set_svcr(&mut self, svcr: u64) {
        let changes = self.svcr ^ svcr;
        if changes & SVCR_SM != 0 {
            self.fp.z.as_flattened_mut().fill(0);
            self.fp.p.as_flattened_mut().fill(0);
        }
        if changes & svcr & SVCR_ZA != 0 {
            self.za = 0;
        }
        self.svcr = svcr;
    }

    /// An MSR of `SVCR`: as [`Self::set_svcr`], and streaming mode changes FPSR and
    /// FPMR as well, by `ResetSVEState()`.
    pub fn write_svcr(&mut self, svcr: u64) {
        self.check(Unit::Svcr, "SVCR");
        if (self.svcr ^ svcr) & SVCR_SM != 0 {
            self.set(FPSR::from(STREAMING_FPSR));
            self.set(FPMR::from(0));
        }
        self.set_svcr(svcr);
    }

    /// What stands for the contents of ZA.
    pub fn za(&self) -> u64 {
        self.za
    }

    /// As [`Self::za`], to be changed.
    pub fn za_mut(&mut self) -> &mut u64 {
        &mut self.za
    }

    /// As [`Self::svcr`], by an instruction.
    pub(crate) fn read_svcr(&self) -> u64 {
        self.check(Unit::Svcr, "SVCR");
        self.svcr
    }

    pub(crate) fn save_v(&mut self) -> [u8; 32 * 16] {
        self.check(Unit::Fp, "a store of V registers");
        self.trace.push(Access::SaveV);
        self.fp.v()
    }

    pub(crate) fn load_v(&mut self, bytes: &[u8; 32 * 16]) {
        self.check(Unit::Fp, "a load of V registers");
        self.trace.push(Access::LoadV);
        let length = self.vector_length_at_el2();
        self.fp.set_v(bytes, length);
    }

    pub(crate) fn save_sve(&mut self) -> Vec<u8> {
        self.check(Unit::SveWithFfr, "a store of Z registers");
        let length = self.vector_length_at_el2();
        self.trace.push(Access::SaveSve { length });
        self.fp.sve(length)
    }

    pub(crate) fn load_sve(&mut self, bytes: &[u8]) {
        self.check(Unit::SveWithFfr, "a load of Z registers");
        let length = self.vector_length_at_el2();
        self.trace.push(Access::LoadSve { length });
        self.fp.set_sve(bytes, length);
    }
}
