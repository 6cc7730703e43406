// SPDX-License-Identifier: GPL-2.0

//! Sets of vector lengths: `KVM_REG_ARM64_SVE_VLS`.

#![forbid(unsafe_code)]

use crate::vector_length::VectorLength;

/// Words of the set in the ABI, which has room for 512 lengths.
pub(crate) const ABI_WORDS: usize = 8;

/// A set of vector lengths: bit n is set if the length of n + 1 quadwords is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct VectorLengths(u16);

impl VectorLengths {
    /// Returns the set of those that `contains` says are in it.
    pub(crate) fn of(contains: impl Fn(VectorLength) -> bool) -> Self {
        let mut set = 0;
        for quadwords in 1..=VectorLength::MAX_QUADWORDS {
            if VectorLength::from_quadwords(quadwords).is_some_and(&contains) {
                set |= 1 << (quadwords - 1);
            }
        }
        Self(set)
    }

    /// Returns the lengths of the set that are not longer than `longest`.
    pub(crate) fn up_to(self, longest: VectorLength) -> Self {
        Self::of(|length| self.contains(length) && length <= longest)
    }

    /// Returns whether `length` is in the set.
    pub(crate) fn contains(self, length: VectorLength) -> bool {
        self.0 & (1 << (length.quadwords() - 1)) != 0
    }

    /// Returns the longest, or `None` of the empty set.
    pub(crate) fn longest(self) -> Option<VectorLength> {
        VectorLength::from_quadwords(u16::BITS - self.0.leading_zeros())
    }

    /// Reads a set of the ABI. `None` if there is a length in it that the architecture does not
    /// have.
    pub(crate) fn from_abi(words: [u64; ABI_WORDS]) -> Option<Self> {
        let [first, others @ ..] = words;
        if others != [0; ABI_WORDS - 1] {
            return None;
        }
        first.try_into().ok().map(Self)
    }

    /// Writes the set as the ABI has it.
    pub(crate) fn to_abi(self) -> [u64; ABI_WORDS] {
        let mut words = [0; ABI_WORDS];
        words[0] = self.0.into();
        words
    }
}
