// SPDX-License-Identifier: GPL-2.0
//! What becomes of an instruction at EL2: whether it is executed, traps, or is
//! UNDEFINED.
//!
//! All rules are those of the Arm ARM (DDI 0487), by the names that its
//! pseudocode functions and its registers' descriptions have. The emulator is
//! asked the same: see `tests/emulator/`.

use super::{Cpu, SVCR_SM, SVCR_ZA};
use crate::arm64::registers::{
    CPTR_EL2, FPCR, FPEXC32_EL2, FPMR, FPSR, HCR_EL2, ID_AA64MMFR3_EL1, ID_AA64PFR0_EL1,
    ID_AA64PFR2_EL1, MIDR_EL1, MPIDR_EL1, SP_EL2, ZCR_EL1, ZCR_EL2,
};
use crate::arm64::sysreg::{Encoding, Reaches, RegisterName};

/// `ESR_EL2.EC`, as far as an access can give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionClass {
    /// An instruction that is UNDEFINED: "Exceptions with an unknown reason".
    Unknown = 0x00,
    /// `AArch64.AdvSIMDFPAccessTrap()`.
    Fp = 0x07,
    /// `SVEAccessTrap()`.
    Sve = 0x19,
    /// `SMEAccessTrap()`.
    Sme = 0x1d,
}

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is executed.
    Executed,
    /// It takes an exception to EL2.
    Exception(ExceptionClass),
    /// One thing or another, until there is a context synchronisation event.
    Undetermined,
}

/// What an instruction or an access belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// FP and Advanced SIMD, V registers and status:
    /// `AArch64.CheckFPAdvSIMDEnabled()`.
    Fp,
    /// SVE's vector lengths: accessors of `ZCR_EL1` and `ZCR_EL2`, which FPEN
    /// does not trap.
    SveLength,
    /// SVE's instructions, which FP traps, too: `CheckSVEEnabled()`.
    Sve,
    /// The same where they are illegal in streaming mode, as those of FFR are.
    /// This CPU has no FEAT_SME_FA64: `CheckNonStreamingSVEEnabled()`.
    SveWithFfr,
    /// `SVCR`: its accessor, which FPEN does not trap.
    Svcr,
    /// ZA: `CheckSMEAndZAEnabled()`.
    Za,
}

/// A value of `CPTR_EL2`, and by which layout it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cptr {
    value: u64,
    e2h: bool,
}

impl Cptr {
    /// By which class of exception an instruction traps from EL2, with what is
    /// in `SVCR`.
    ///
    /// "CPTR_EL2, Architectural Feature Trap Register (EL2)", for EL2, and for
    /// EL1 and EL0 while `HCR_EL2.TGE` is 0. Where several traps apply, that
    /// comes first which the pseudocode of [`Unit`] looks at first.
    fn trap(self, unit: Unit, svcr: u64) -> Option<ExceptionClass> {
        let bit = |number: u32| self.value & (1 << number) != 0;
        // FPEN, ZEN and SMEN trap EL2 with 0bx0, TFP, TZ and TSM with 1.
        let (fp, sve, sme) = match self.e2h {
            true => (!bit(20), !bit(16), !bit(24)),
            false => (bit(10), bit(8), bit(12)),
        };
        let fp = fp.then_some(ExceptionClass::Fp);
        let sve = sve.then_some(ExceptionClass::Sve);
        let sme = sme.then_some(ExceptionClass::Sme);
        let illegal = Some(ExceptionClass::Sme);
        let is_streaming = svcr & SVCR_SM != 0;
        match unit {
            Unit::Fp => fp,
            Unit::SveLength => sve,
            Unit::Svcr => sme,
            Unit::Za if svcr & SVCR_ZA == 0 => sme.or(fp).or(illegal),
            Unit::Za => sme.or(fp),
            // CheckSVEEnabled() leaves it to CheckSMEEnabled() then.
            Unit::Sve if is_streaming => sme.or(fp),
            Unit::SveWithFfr if is_streaming => sme.or(fp).or(illegal),
            // CheckNormalSVEEnabled()
            Unit::Sve | Unit::SveWithFfr => sve.or(fp),
        }
    }
}

/// A value of `CPTR_EL2` that lets EL2 use everything.
pub(crate) const fn open(e2h: bool) -> u64 {
    match e2h {
        // FPEN, SMEN and ZEN.
        true => (0b11 << 20) | (0b11 << 24) | (0b11 << 16),
        // RES1 bits.
        false => (1 << 13) | (1 << 9) | 0xff,
    }
}

/// What `CPTR_EL2` and `HCR_EL2.E2H` may be for an instruction: what they were at
/// the last context synchronisation event, and each value since.
///
/// "Synchronization requirements for AArch64 System registers": an indirect read
/// after a direct write needs one, and each register is on its own.
#[derive(Clone, Debug, Default)]
pub(super) struct InForce {
    cptr: Vec<u64>,
    /// Whether E2H may be 0, and whether it may be 1.
    e2h: [bool; 2],
}

impl InForce {
    fn all(&self) -> impl Iterator<Item = Cptr> + '_ {
        let layouts = [false, true].into_iter();
        let layouts = layouts.filter(|e2h| self.e2h[usize::from(*e2h)]);
        layouts.flat_map(|e2h| {
            self.cptr
                .iter()
                .map(move |value| Cptr { value: *value, e2h })
        })
    }
}

impl Cpu {
    fn e2h(&self) -> bool {
        self.get::<HCR_EL2>().e2h().into_bool()
    }

    fn cptr(&self) -> Cptr {
        Cptr {
            value: self.get::<CPTR_EL2>().into(),
            e2h: self.e2h(),
        }
    }

    /// A context synchronisation event: what has been written is in force.
    pub(crate) fn synchronise(&mut self) {
        let Cptr { value, e2h } = self.cptr();
        self.in_force.cptr.clear();
        self.in_force.cptr.push(value);
        self.in_force.e2h = [!e2h, e2h];
    }

    /// A register has been written: if it controls traps, they may change now,
    /// or later.
    pub(super) fn written(&mut self, register: Encoding) {
        if register == CPTR_EL2::ENCODING {
            let value = self.cptr().value;
            self.in_force.cptr.push(value);
        } else if register == HCR_EL2::ENCODING {
            let e2h = self.e2h();
            self.in_force.e2h[usize::from(e2h)] = true;
        }
    }

    /// The register that a name reaches now, or what becomes of the access.
    ///
    /// "System and Special-purpose register redirection" and "System and
    /// Special-purpose register aliasing", of FEAT_VHE.
    #[inline]
    pub(super) fn reached_by(&self, reaches: Reaches) -> Result<Encoding, Outcome> {
        let Reaches {
            without_e2h,
            with_e2h,
        } = reaches;
        if without_e2h == Some(with_e2h) {
            return Ok(with_e2h);
        }
        match self.in_force.e2h {
            [true, true] => Err(Outcome::Undetermined),
            [_, true] => Ok(with_e2h),
            _ => without_e2h.ok_or(Outcome::Exception(ExceptionClass::Unknown)),
        }
    }

    /// What becomes of an MRS, or of an MSR.
    pub fn access_outcome<N: RegisterName>(&self, is_write: bool) -> Outcome {
        match self.reached_by(N::REACHES) {
            Ok(register) if !self.is_accessible(register, is_write) => {
                Outcome::Exception(ExceptionClass::Unknown)
            }
            Ok(register) => match unit_of(register) {
                Some(unit) => self.outcome(unit),
                None => Outcome::Executed,
            },
            Err(outcome) => outcome,
        }
    }

    /// Whether the CPU has a register, and EL2 can read or write it.
    fn is_accessible(&self, register: Encoding, is_write: bool) -> bool {
        // The accessor of SP_EL2 is for EL3 alone.
        let is_el3s = register == SP_EL2::ENCODING;
        let is_missing = register == FPMR::ENCODING && !self.has_fpmr;
        !(is_el3s || is_missing || (is_write && is_read_only(register)))
    }

    /// What becomes of an instruction.
    pub fn outcome(&self, unit: Unit) -> Outcome {
        if self.needs(unit).is_some() {
            return Outcome::Exception(ExceptionClass::Unknown);
        }
        let mut outcomes = self.in_force.all().map(|cptr| match self.traps_fp {
            true => cptr.trap(unit, self.svcr),
            false => None,
        });
        let first = outcomes.next().flatten();
        match outcomes.all(|outcome| outcome == first) {
            true => first.map_or(Outcome::Executed, Outcome::Exception),
            false => Outcome::Undetermined,
        }
    }

    /// The feature that an instruction needs, if the CPU does not have it.
    fn needs(&self, unit: Unit) -> Option<&'static str> {
        let (is_there, feature) = match unit {
            Unit::Fp => (true, "FP"),
            Unit::Sve | Unit::SveWithFfr | Unit::SveLength => (self.has_sve(), "SVE"),
            Unit::Svcr | Unit::Za => (self.has_capability(bindings::ARM64_SME), "SME"),
        };
        (!is_there).then_some(feature)
    }

    /// Panics if an instruction would trap, or could: by a value of `CPTR_EL2`
    /// that is in force, or that may be.
    pub(super) fn check(&self, unit: Unit, what: &str) {
        if self.outcome(unit) == Outcome::Executed {
            return;
        }
        if let Some(feature) = self.needs(unit) {
            panic!("{what} is UNDEFINED without {feature}");
        }
        let traps = |cptr: &Cptr| cptr.trap(unit, self.svcr).is_some();
        let cptr = self.in_force.all().find(traps).expect("it traps by one");
        panic!(
            "{what} may trap at EL2: since the last context synchronisation CPTR_EL2 was {:#x}, \
             with E2H {}; SVCR is {}",
            cptr.value,
            u8::from(cptr.e2h),
            self.svcr
        );
    }

    /// The register that an access is to.
    ///
    /// # Panics
    ///
    /// If the access would not be executed, or may not be.
    pub(super) fn reached<N: RegisterName>(&self, is_write: bool) -> Encoding {
        let name = N::NAME;
        let register = match self.reached_by(N::REACHES) {
            Ok(register) => register,
            Err(Outcome::Undetermined) => panic!(
                "{name} is one register or another: HCR_EL2.E2H has changed since the last \
                 context synchronisation"
            ),
            Err(_) => panic!("{name} is UNDEFINED while HCR_EL2.E2H is 0"),
        };
        assert!(
            self.is_accessible(register, is_write),
            "{name} is UNDEFINED: this CPU does not have it, or EL2 cannot {} it",
            if is_write { "write" } else { "read" }
        );
        if let Some(unit) = unit_of(register) {
            self.check(unit, name);
        }
        register
    }

    /// Whether a guest, at EL1 or EL0, can use SME by what is in `CPTR_EL2`.
    pub fn guest_can_use_sme(&self) -> bool {
        self.guest_can_use(Unit::Svcr)
    }

    /// Whether a guest, at EL1 or EL0, can use FP by what is in `CPTR_EL2`.
    pub fn guest_can_use_fp(&self) -> bool {
        self.guest_can_use(Unit::Fp)
    }

    /// Whether a guest, at EL1 or EL0, can use SVE by what is in `CPTR_EL2`.
    pub fn guest_can_use_sve(&self) -> bool {
        self.guest_can_use(Unit::Sve)
    }

    fn guest_can_use(&self, unit: Unit) -> bool {
        self.needs(unit).is_none() && self.cptr().trap(unit, self.svcr).is_none()
    }
}

/// What traps accesses to a register.
fn unit_of(register: Encoding) -> Option<Unit> {
    let status = [
        FPCR::ENCODING,
        FPSR::ENCODING,
        FPMR::ENCODING,
        FPEXC32_EL2::ENCODING,
    ];
    if status.contains(&register) {
        return Some(Unit::Fp);
    }
    [ZCR_EL1::ENCODING, ZCR_EL2::ENCODING]
        .contains(&register)
        .then_some(Unit::SveLength)
}

/// Whether there is no MSR of a register.
fn is_read_only(register: Encoding) -> bool {
    [
        ID_AA64MMFR3_EL1::ENCODING,
        ID_AA64PFR0_EL1::ENCODING,
        ID_AA64PFR2_EL1::ENCODING,
        MIDR_EL1::ENCODING,
        MPIDR_EL1::ENCODING,
    ]
    .contains(&register)
}
