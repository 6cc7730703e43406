// SPDX-License-Identifier: GPL-2.0

//! Values that tell whose they are.
//!
//! A 64-bit word of a vector register, a row of ZA or ZT0 holds, from the top:
//! seed (16 bits), round (24), register (8), kind of register (3), index of
//! the word (5), check (8). Predicates are too short for that at the smaller
//! vector lengths and hold a hash of the same.

/// Which register file a word belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Vector = 1,
    ZaRow = 2,
    Zt0 = 3,
    Predicate = 4,
    Control = 5,
}

/// The values of one thread in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Distinguishes the threads.
    pub seed: u16,
    /// Distinguishes the rounds of a thread; the low 24 bits count.
    pub round: u32,
}

/// Whose value a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The seed of the thread.
    pub seed: u16,
    /// The round in which the thread loaded the value.
    pub round: u32,
    /// The number of the register.
    pub register: u8,
}

/// A bijective mixing of 64 bits (the finaliser of MurmurHash3).
fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

fn identity(pattern: Pattern, kind: Kind, register: u8, index: u8) -> u64 {
    (u64::from(pattern.seed) << 48)
        | (u64::from(pattern.round & 0xff_ffff) << 24)
        | (u64::from(register) << 16)
        | (u64::from(kind as u8) << 13)
        | (u64::from(index & 0x1f) << 8)
}

/// The low byte: never what all-zeros or all-ones would need.
fn check(identity: u64) -> u64 {
    mix(identity ^ 0x5a5a_0000_0000_0000) & 0xff
}

impl Pattern {
    /// A word that tells its owner.
    pub(crate) fn word(self, kind: Kind, register: u8, index: u8) -> u64 {
        let identity = identity(self, kind, register, index);
        identity | check(identity)
    }

    /// A word of pseudo-random bits.
    pub(crate) fn hash(self, kind: Kind, register: u8, index: u8) -> u64 {
        mix(identity(self, kind, register, index) ^ 0xa5)
    }

    /// Fills `bytes` with words that tell their owner; the length must be a
    /// multiple of 8.
    pub(crate) fn fill_words(self, kind: Kind, register: u8, bytes: &mut [u8]) {
        for (index, chunk) in bytes.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&self.word(kind, register, index as u8).to_le_bytes());
        }
    }

    /// Fills `bytes` with pseudo-random bits.
    pub(crate) fn fill_hash(self, kind: Kind, register: u8, bytes: &mut [u8]) {
        for (index, chunk) in bytes.chunks_mut(8).enumerate() {
            let word = self.hash(kind, register, index as u8).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl Owner {
    /// Whose value the first 16 bytes are; nothing where they are no pattern.
    pub fn of(bytes: &[u8]) -> Option<Owner> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (low, high) = (word(0)?, word(8)?);
        let valid = |word: u64| check(word & !0xff) == word & 0xff && (word >> 13) & 7 != 0;
        // The two halves differ in index and check only.
        if !valid(low) || !valid(high) || low >> 13 != high >> 13 {
            return None;
        }
        Some(Owner {
            seed: (low >> 48) as u16,
            round: (low >> 24) as u32 & 0xff_ffff,
            register: (low >> 16) as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_their_owner() {
        for (seed, round, register) in [(1, 0, 0), (0xffff, 0xff_ffff, 31), (300, 77, 255)] {
            let mut bytes = [0; 256];
            Pattern { seed, round }.fill_words(Kind::Vector, register, &mut bytes);
            for at in (0..256).step_by(16) {
                assert_eq!(
                    Owner::of(&bytes[at..]),
                    Some(Owner {
                        seed,
                        round,
                        register
                    })
                );
            }
        }
    }

    #[test]
    fn plain_values_have_no_owner() {
        assert_eq!(Owner::of(&[0; 16]), None);
        assert_eq!(Owner::of(&[0xff; 16]), None);
        assert_eq!(Owner::of(&[1; 8]), None, "too short");
        let mut bytes = [0; 16];
        Pattern { seed: 1, round: 2 }.fill_words(Kind::Vector, 3, &mut bytes);
        bytes[9] ^= 1;
        assert_eq!(Owner::of(&bytes), None, "damaged");
    }

    #[test]
    fn every_input_changes_the_word() {
        let one = Pattern { seed: 1, round: 1 };
        let base = one.word(Kind::Vector, 1, 1);
        let others = [
            Pattern { seed: 2, round: 1 }.word(Kind::Vector, 1, 1),
            Pattern { seed: 1, round: 2 }.word(Kind::Vector, 1, 1),
            one.word(Kind::ZaRow, 1, 1),
            one.word(Kind::Vector, 2, 1),
            one.word(Kind::Vector, 1, 2),
        ];
        assert!(others.iter().all(|&other| other != base));
        assert_ne!(
            one.hash(Kind::Predicate, 1, 0),
            one.hash(Kind::Predicate, 2, 0)
        );
    }
}
