// SPDX-License-Identifier: GPL-2.0

//! What the guest reports about, by its number.

use std::fmt::{self, Display, Formatter};

use crate::registers::{self, Answer, Register, DOUBLEWORDS};

/// What a mismatch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A 32-bit register.
    Register(Register),
    /// Half a doubleword register.
    Half {
        /// Its number.
        register: usize,
        /// Which half.
        high: bool,
    },
    /// The result of an instruction.
    Answer(Answer),
}

impl Subject {
    /// What the guest means by `number`.
    pub fn from_number(number: u32) -> Option<Self> {
        let registers = Register::ALL.iter().copied().map(Self::Register);
        let halves = (0..DOUBLEWORDS)
            .flat_map(|register| [false, true].map(|high| Self::Half { register, high }));
        let answers = Answer::ALL.iter().copied().map(Self::Answer);
        registers
            .chain(halves)
            .chain(answers)
            .find(|subject| subject.number() == number)
    }

    fn number(self) -> u32 {
        match self {
            Self::Register(register) => register.number(),
            Self::Half { register, high } => registers::half(register, high),
            Self::Answer(answer) => answer.number(),
        }
    }

    /// What `vcpu` puts into it in `round`. None for the result of an
    /// instruction.
    pub fn pattern(self, vcpu: u32, round: u32) -> Option<u32> {
        match self {
            Self::Register(register) => Some(register.pattern(vcpu, round)),
            Self::Half { register, high } => {
                let value = registers::doubleword(register, vcpu, round);
                Some((value >> if high { 32 } else { 0 }) as u32)
            }
            Self::Answer(_) => None,
        }
    }

    /// The bits that are compared.
    pub fn compared(self) -> u32 {
        match self {
            Self::Register(register) => register.compared(),
            Self::Half { .. } | Self::Answer(_) => u32::MAX,
        }
    }

    /// Whose pattern `value` is, near `round`: the vCPU and its round. None
    /// also where there are too few bits to tell.
    pub fn owner(self, value: u32, vcpus: u32, round: u32) -> Option<(u32, u32)> {
        const NEAR: u32 = 1000;
        const ENOUGH: u32 = 16;
        // A bit that varies is the same in all of them once in 2^63 times.
        const SAMPLES: u32 = 64;
        let first = self.pattern(0, 0)?;
        let others = (1..SAMPLES).filter_map(|round| self.pattern(0, round));
        let varying = others.fold(0, |bits, pattern| bits | (pattern ^ first));
        if varying.count_ones() < ENOUGH {
            return None;
        }
        let rounds = || round.saturating_sub(NEAR)..=round.saturating_add(NEAR);
        (0..vcpus)
            .flat_map(|vcpu| rounds().map(move |round| (vcpu, round)))
            .find(|(vcpu, round)| self.pattern(*vcpu, *round) == Some(value))
    }
}

impl Display for Subject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(register) => f.write_str(register.name()),
            Self::Half { register, high } => {
                write!(f, "D{register}.{}", if *high { "high" } else { "low" })
            }
            Self::Answer(answer) => f.write_str(answer.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_means_one_thing() {
        let numbers: Vec<u32> = (0..0x300)
            .filter(|number| Subject::from_number(*number).is_some())
            .collect();
        let subjects = Register::ALL.len() + 2 * DOUBLEWORDS + Answer::ALL.len();
        assert_eq!(numbers.len(), subjects);
        let name = |number| Subject::from_number(number).unwrap().to_string();
        assert_eq!(name(Register::Dacr.number()), "DACR");
        assert_eq!(name(registers::half(7, true)), "D7.high");
        assert_eq!(name(Answer::Typer.number()), "GICD_TYPER");
    }

    #[test]
    fn a_value_tells_whose_it_is() {
        let spsr = Subject::Register(Register::SpsrAbt);
        let value = Register::SpsrAbt.pattern(1, 70);
        assert_eq!(spsr.owner(value, 2, 100), Some((1, 70)));
        assert_eq!(spsr.owner(value, 1, 100), None);
        assert_eq!(spsr.owner(0x1234_5678, 2, 100), None);
        let csselr = Subject::Register(Register::Csselr);
        assert_eq!(csselr.owner(1, 2, 100), None, "two bits tell nothing");
    }

    #[test]
    fn patterns_differ_between_vcpus_and_rounds() {
        for number in 0..0x200 {
            let Some(subject) = Subject::from_number(number) else {
                continue;
            };
            // A register of one bit is as often equal as not.
            let differing = |other: fn(u32) -> (u32, u32)| {
                let differs = |round: &u32| {
                    let (vcpu, other) = other(*round);
                    subject.pattern(0, *round) != subject.pattern(vcpu, other)
                };
                (0..1000).filter(differs).count()
            };
            assert!(differing(|round| (1, round)) > 300, "{subject}");
            assert!(differing(|round| (0, round + 1)) > 300, "{subject}");
        }
    }
}
