// SPDX-License-Identifier: GPL-2.0
//! The register files of FP and SVE, and the traps of their use.

use super::{Access, Cpu};
use crate::arm64::registers::{CPTR_EL2, FPCR, FPEXC32_EL2, FPMR, FPSR, HCR_EL2, ZCR_EL1, ZCR_EL2};
use crate::arm64::sysreg::{Encoding, RegisterName};

/// The longest vector of the architecture, in bytes.
const MAX: usize = 256;
/// The vector length of streaming mode, in bytes: the CPU has this one alone.
pub const STREAMING_VECTOR_LENGTH: usize = 32;

/// `SVCR.SM`: streaming mode.
pub const SVCR_SM: u64 = 1 << 0;
/// `SVCR.ZA`: ZA has contents.
pub const SVCR_ZA: u64 = 1 << 1;

/// Z0 to Z31, of which V0 to V31 are the first 16 bytes, P0 to P15, and FFR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FpRegisters {
    /// The vectors. What lies beyond the length in force can be neither read
    /// nor written, and is kept.
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

/// What an instruction or an access belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// FP and Advanced SIMD: V registers and status.
    Fp,
    /// SVE's vector lengths.
    SveLength,
    /// SVE's instructions, which FP traps, too.
    Sve,
    /// SME's instructions, and `SVCR`.
    Sme,
}

/// A value of `CPTR_EL2`, and by which layout it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cptr {
    value: u64,
    e2h: bool,
}

impl Cptr {
    /// Arm ARM (DDI 0487), "CPTR_EL2, Architectural Feature Trap Register
    /// (EL2)", for EL2, and for EL1 and EL0 while `HCR_EL2.TGE` is 0.
    fn traps(self, unit: Unit) -> bool {
        let bit = |number: u32| self.value & (1 << number) != 0;
        // FPEN, ZEN and SMEN trap EL2 with 0bx0, TFP, TZ and TSM with 1.
        let (fp, sve, sme) = match self.e2h {
            true => (!bit(20), !bit(16), !bit(24)),
            false => (bit(10), bit(8), bit(12)),
        };
        match unit {
            Unit::Fp => fp,
            Unit::SveLength => sve,
            Unit::Sve => fp || sve,
            Unit::Sme => sme,
        }
    }
}

/// A value of `CPTR_EL2` that lets EL2 use everything.
pub(super) const fn open(e2h: bool) -> u64 {
    match e2h {
        // FPEN, SMEN and ZEN.
        true => (0b11 << 20) | (0b11 << 24) | (0b11 << 16),
        // RES1 bits.
        false => (1 << 13) | (1 << 9) | 0xff,
    }
}

impl Cpu {
    fn cptr(&self) -> Cptr {
        Cptr {
            value: self.get::<CPTR_EL2>().into(),
            e2h: self.get::<HCR_EL2>().e2h().into_bool(),
        }
    }

    /// A context synchronisation event: what has been written is in force.
    pub(super) fn synchronise(&mut self) {
        let cptr = self.cptr();
        self.cptr_in_force.clear();
        self.cptr_in_force.push(cptr);
    }

    /// A register has been written: if it controls traps, they may change now,
    /// or later.
    pub(super) fn written(&mut self, register: Encoding) {
        if [CPTR_EL2::ENCODING, HCR_EL2::ENCODING].contains(&register) {
            let cptr = self.cptr();
            self.cptr_in_force.push(cptr);
        }
    }

    /// Panics if an instruction would trap, or could: by a value of `CPTR_EL2`
    /// that is in force, or that may be.
    fn check(&self, unit: Unit, what: &str) {
        let (is_there, needs) = match unit {
            Unit::Fp => (true, "FP"),
            Unit::Sve | Unit::SveLength => (self.max_vector_length != 0, "SVE"),
            Unit::Sme => (self.has_capability(bindings::ARM64_SME), "SME"),
        };
        assert!(is_there, "{what} is UNDEFINED without {needs}");
        for cptr in self.cptr_in_force.iter().filter(|_| self.traps_fp) {
            assert!(
                !cptr.traps(unit),
                "{what} may trap at EL2: since the last context synchronisation CPTR_EL2 was \
                 {:#x}, with E2H {}",
                cptr.value,
                u8::from(cptr.e2h)
            );
        }
    }

    /// Panics if an access to a system register would trap, or could.
    pub(super) fn check_access(&self, register: Encoding, name: &str) {
        if [ZCR_EL1::ENCODING, ZCR_EL2::ENCODING].contains(&register) {
            self.check(Unit::SveLength, name);
        }
        if register == FPMR::ENCODING {
            assert!(self.has_fpmr, "{name} is UNDEFINED without FEAT_FPMR");
        }
        let status = [
            FPCR::ENCODING,
            FPSR::ENCODING,
            FPMR::ENCODING,
            FPEXC32_EL2::ENCODING,
        ];
        if status.contains(&register) {
            self.check(Unit::Fp, name);
        }
    }

    /// Takes SVE away from a CPU, which has vectors of all lengths.
    pub fn remove_sve(&mut self) {
        self.max_vector_length = 0;
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
    pub fn vector_length_at_el2(&self) -> usize {
        if self.svcr & SVCR_SM != 0 {
            return STREAMING_VECTOR_LENGTH;
        }
        let asked: u64 = self.get::<ZCR_EL2>().into();
        (16 * ((asked & 0xf) as usize + 1)).min(self.max_vector_length.max(16))
    }

    /// The vector length at EL1, in bytes; 16 without SVE.
    pub fn vector_length_at_el1(&self) -> usize {
        if self.svcr & SVCR_SM != 0 {
            return STREAMING_VECTOR_LENGTH;
        }
        let asked: u64 = self.get::<ZCR_EL1>().into();
        (16 * ((asked & 0xf) as usize + 1)).min(self.vector_length_at_el2())
    }

    /// What is in `SVCR`.
    pub fn svcr(&self) -> u64 {
        self.svcr
    }

    /// Changes what is in `SVCR`: entering or leaving streaming mode makes all
    /// vectors and predicates 0, and so does for ZA that it gets contents.
    ///
    /// Arm ARM (DDI 0487), "Process state, PSTATE.SM and PSTATE.ZA". What becomes
    /// of FPSR then is not done here: nothing depends on it.
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
        self.check(Unit::Sme, "SVCR");
        self.svcr
    }

    /// Whether a guest, at EL1 or EL0, can use SME by what is in `CPTR_EL2`.
    pub fn guest_can_use_sme(&self) -> bool {
        self.has_capability(bindings::ARM64_SME) && !self.cptr().traps(Unit::Sme)
    }

    /// Whether a guest, at EL1 or EL0, can use FP by what is in `CPTR_EL2`.
    pub fn guest_can_use_fp(&self) -> bool {
        !self.cptr().traps(Unit::Fp)
    }

    /// Whether a guest, at EL1 or EL0, can use SVE by what is in `CPTR_EL2`.
    pub fn guest_can_use_sve(&self) -> bool {
        self.max_vector_length != 0 && !self.cptr().traps(Unit::Sve)
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
        self.check(Unit::Sve, "a store of Z registers");
        let length = self.vector_length_at_el2();
        self.trace.push(Access::SaveSve { length });
        self.fp.sve(length)
    }

    pub(crate) fn load_sve(&mut self, bytes: &[u8]) {
        self.check(Unit::Sve, "a load of Z registers");
        let length = self.vector_length_at_el2();
        self.trace.push(Access::LoadSve { length });
        self.fp.set_sve(bytes, length);
    }
}
