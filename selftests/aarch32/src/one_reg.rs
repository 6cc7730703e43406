// SPDX-License-Identifier: GPL-2.0

//! Where KVM_GET_ONE_REG and KVM_SET_ONE_REG have the registers of a vCPU in
//! AArch32 state: in the AArch64 registers that they are mapped to.

use std::mem::offset_of;

use anyhow::{ensure, Context, Result};
use kvm_bindings::{
    kvm_regs, KVM_REG_ARM64, KVM_REG_ARM64_SYSREG, KVM_REG_ARM_CORE, KVM_REG_SIZE_U128,
    KVM_REG_SIZE_U32, KVM_REG_SIZE_U64,
};
use kvm_ioctls::VcpuFd;

use crate::registers::Register;
use crate::subject::Subject;

/// Bytes of the largest register that is used here.
const LARGEST: usize = 16;

/// A word of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Id of the register.
    id: u64,
    /// Which of its words.
    word: usize,
}

const fn core(offset: usize, size: u64) -> u64 {
    KVM_REG_ARM64 | size | KVM_REG_ARM_CORE as u64 | (offset / 4) as u64
}

/// X0 to X30.
pub const fn x(number: usize) -> u64 {
    core(
        offset_of!(kvm_regs, regs.regs) + 8 * number,
        KVM_REG_SIZE_U64,
    )
}

/// PC.
pub const PC: u64 = core(offset_of!(kvm_regs, regs.pc), KVM_REG_SIZE_U64);

const fn spsr(number: usize) -> u64 {
    core(offset_of!(kvm_regs, spsr) + 8 * number, KVM_REG_SIZE_U64)
}

const fn v(number: usize) -> u64 {
    core(
        offset_of!(kvm_regs, fp_regs.vregs) + 16 * number,
        KVM_REG_SIZE_U128,
    )
}

const FPSR: u64 = core(offset_of!(kvm_regs, fp_regs.fpsr), KVM_REG_SIZE_U32);
const FPCR: u64 = core(offset_of!(kvm_regs, fp_regs.fpcr), KVM_REG_SIZE_U32);
/// Bits of FPSCR that are in FPCR: AHP, DN, FZ and RMode.
const FPCR_BITS: u32 = 0x07c0_0000;

/// The id of a system register.
const fn system(op0: u64, op1: u64, crn: u64, crm: u64, op2: u64) -> u64 {
    let encoding = (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;
    KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG as u64 | encoding
}

impl Place {
    const fn low(id: u64) -> Self {
        Self { id, word: 0 }
    }

    const fn high(id: u64) -> Self {
        Self { id, word: 1 }
    }

    /// Where a register is; None for what is no register.
    pub const fn of(subject: Subject) -> Option<Self> {
        match subject {
            Subject::Register(register) => Some(Self::of_register(register)),
            // D0 and D1 are Q0, which is V0.
            Subject::Half { register, high } => Some(Self {
                id: v(register / 2),
                word: 2 * (register % 2) + high as usize,
            }),
            Subject::Answer(_) => None,
        }
    }

    const fn of_register(register: Register) -> Self {
        // "Mapping of the general-purpose registers between the Execution
        // states" in the Arm Architecture Reference Manual.
        match register {
            Register::SpsrSvc => Self::low(spsr(0)),
            Register::SpsrAbt => Self::low(spsr(1)),
            Register::SpsrUnd => Self::low(spsr(2)),
            Register::SpsrIrq => Self::low(spsr(3)),
            Register::SpsrFiq => Self::low(spsr(4)),
            Register::LrIrq => Self::low(x(16)),
            Register::SpIrq => Self::low(x(17)),
            Register::LrSvc => Self::low(x(18)),
            Register::SpSvc => Self::low(x(19)),
            Register::LrAbt => Self::low(x(20)),
            Register::SpAbt => Self::low(x(21)),
            Register::LrUnd => Self::low(x(22)),
            Register::SpUnd => Self::low(x(23)),
            Register::R8Fiq => Self::low(x(24)),
            Register::R9Fiq => Self::low(x(25)),
            Register::R10Fiq => Self::low(x(26)),
            Register::R11Fiq => Self::low(x(27)),
            Register::R12Fiq => Self::low(x(28)),
            Register::SpFiq => Self::low(x(29)),
            Register::LrFiq => Self::low(x(30)),
            // DACR32_EL2, IFSR32_EL2.
            Register::Dacr => Self::low(system(3, 4, 3, 0, 0)),
            Register::Ifsr => Self::low(system(3, 4, 5, 0, 1)),
            // ESR_EL1.
            Register::Dfsr => Self::low(system(3, 0, 5, 2, 0)),
            // FAR_EL1.
            Register::Dfar => Self::low(system(3, 0, 6, 0, 0)),
            Register::Ifar => Self::high(system(3, 0, 6, 0, 0)),
            // TTBR0_EL1, TTBR1_EL1, TCR_EL1.
            Register::Ttbr0 => Self::low(system(3, 0, 2, 0, 0)),
            Register::Ttbr1 => Self::low(system(3, 0, 2, 0, 1)),
            Register::Ttbcr => Self::low(system(3, 0, 2, 0, 2)),
            // CONTEXTIDR_EL1, TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1.
            Register::Contextidr => Self::low(system(3, 0, 13, 0, 1)),
            Register::Tpidrurw => Self::low(system(3, 3, 13, 0, 2)),
            Register::Tpidruro => Self::low(system(3, 3, 13, 0, 3)),
            Register::Tpidrprw => Self::low(system(3, 0, 13, 0, 4)),
            // VBAR_EL1, PAR_EL1, CSSELR_EL1.
            Register::Vbar => Self::low(system(3, 0, 12, 0, 0)),
            Register::Par => Self::low(system(3, 0, 7, 4, 0)),
            Register::Csselr => Self::low(system(3, 2, 0, 0, 0)),
            // MAIR_EL1.
            Register::Prrr => Self::low(system(3, 0, 10, 2, 0)),
            Register::Nmrr => Self::high(system(3, 0, 10, 2, 0)),
            // CPACR_EL1, SCTLR_EL1, CNTKCTL_EL1.
            Register::Cpacr => Self::low(system(3, 0, 1, 0, 2)),
            Register::Sctlr => Self::low(system(3, 0, 1, 0, 0)),
            Register::Cntkctl => Self::low(system(3, 0, 14, 1, 0)),
            // MDSCR_EL1, DBGVCR32_EL2.
            Register::Dbgdscr => Self::low(system(2, 0, 0, 2, 2)),
            Register::Dbgvcr => Self::low(system(2, 4, 0, 7, 0)),
            // The rest of FPSCR is in FPCR.
            Register::Fpscr => Self::low(FPSR),
            // FPEXC32_EL2.
            Register::Fpexc => Self::low(system(3, 4, 5, 3, 0)),
        }
    }

    fn size(self) -> usize {
        // The field holds the logarithm.
        1 << ((self.id >> 52) & 0xf)
    }

    fn get(self, vcpu: &VcpuFd) -> Result<[u8; LARGEST]> {
        let mut bytes = [0; LARGEST];
        vcpu.get_one_reg(self.id, &mut bytes[..self.size()])
            .with_context(|| format!("cannot read register {:#x}", self.id))?;
        Ok(bytes)
    }

    /// The word, while the vCPU is stopped.
    pub fn read(self, vcpu: &VcpuFd) -> Result<u32> {
        Ok(self.word(&self.get(vcpu)?))
    }

    fn word(self, bytes: &[u8; LARGEST]) -> u32 {
        let at = 4 * self.word;
        let mut word = [0; 4];
        word.copy_from_slice(&bytes[at..at + 4]);
        u32::from_le_bytes(word)
    }

    /// Inverts `bits` of the word, while the vCPU is stopped.
    fn invert(self, vcpu: &VcpuFd, bits: u32) -> Result<()> {
        let mut bytes = self.get(vcpu)?;
        let word = self.word(&bytes) ^ bits;
        let at = 4 * self.word;
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        vcpu.set_one_reg(self.id, &bytes[..self.size()])
            .with_context(|| format!("cannot write register {:#x}", self.id))?;
        Ok(())
    }
}

/// Sets a register before the vCPU runs.
pub fn set(vcpu: &VcpuFd, id: u64, value: u64) -> Result<()> {
    vcpu.set_one_reg(id, &value.to_le_bytes())
        .with_context(|| format!("cannot write register {id:#x}"))?;
    Ok(())
}

/// A change of a register under the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alteration {
    /// The register.
    pub subject: Subject,
    /// The bits that are inverted.
    pub bits: u32,
    place: Place,
}

impl Alteration {
    /// The change of `subject`, if it is a register.
    pub fn of(subject: Subject) -> Option<Self> {
        let bits = match subject {
            Subject::Register(register) => register.alterable(),
            Subject::Half { .. } => 1 << 31,
            Subject::Answer(_) => return None,
        };
        let place = Place::of(subject)?;
        Some(Self {
            subject,
            bits,
            place,
        })
    }

    /// Changes the register of `vcpu`, in which the guest has just written
    /// `expected`: so KVM must have it, too.
    pub fn apply(&self, vcpu: &VcpuFd, expected: u32) -> Result<()> {
        let mut found = self.place.read(vcpu)?;
        if self.subject == Subject::Register(Register::Fpscr) {
            found = (found & !FPCR_BITS) | Place::low(FPCR).read(vcpu)?;
        }
        ensure!(
            (found ^ expected) & self.subject.compared() == 0,
            "{} is {expected:#010x} in the guest, and KVM_GET_ONE_REG gives {found:#010x}",
            self.subject
        );
        self.place.invert(vcpu, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_those_of_the_documentation() {
        // Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG.
        assert_eq!(x(0), 0x6030_0000_0010_0000);
        assert_eq!(PC, 0x6030_0000_0010_0040);
        assert_eq!(spsr(0), 0x6030_0000_0010_0048);
        assert_eq!(v(0), 0x6040_0000_0010_0054);
        assert_eq!(FPSR, 0x6020_0000_0010_00d4);
        assert_eq!(FPCR, 0x6020_0000_0010_00d5);
        // MPIDR_EL1.
        assert_eq!(system(3, 0, 0, 0, 5), 0x6030_0000_0013_c005);
    }

    #[test]
    fn each_register_has_a_place_of_its_own_with_room_for_it() {
        let mut places = HashSet::new();
        for number in 0..0x200 {
            let Some(subject) = Subject::from_number(number) else {
                continue;
            };
            let place = Place::of(subject).unwrap();
            assert!(4 * place.word < place.size(), "{subject}");
            assert!(places.insert((place.id, place.word)), "{subject}");
            let alteration = Alteration::of(subject).unwrap();
            assert_ne!(alteration.bits & subject.compared(), 0, "{subject}");
        }
    }

    #[test]
    fn words_are_those_of_the_register() {
        let place = Place::of(Subject::Half {
            register: 7,
            high: true,
        })
        .unwrap();
        assert_eq!(place.id, v(3));
        let mut bytes = [0; LARGEST];
        bytes[12] = 5;
        assert_eq!(place.word(&bytes), 5);
    }
}
