// SPDX-License-Identifier: GPL-2.0

//! A guest that does not run: its registers, and its data.

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};

/// Registers that go on by themselves: CNTVCT_EL0 and CNTPCT_EL0, by the ids
/// that KVM has for them.
const COUNTERS: [u64; 2] = [0x6030_0000_0013_df1a, 0x6030_0000_0013_df01];

/// Bytes, which are written as one number: it has to fit into an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Bytes(pub Vec<u8>);

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        let digits = |byte: u8| [byte >> 4, byte & 0xf].map(u32::from);
        let digits = bytes.0.into_iter().flat_map(digits);
        digits
            .filter_map(|digit| char::from_digit(digit, 16))
            .collect()
    }
}

impl TryFrom<String> for Bytes {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        ensure!(text.is_ascii() && text.len() % 2 == 0, "half a byte");
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).context("no number");
        Ok(Self(
            (0..text.len())
                .step_by(2)
                .map(byte)
                .collect::<Result<_>>()?,
        ))
    }
}

/// What is needed to go on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    /// Registers by their ids, in the order in which they are to be set.
    pub registers: Vec<(u64, Bytes)>,
    /// The data.
    pub memory: Bytes,
}

impl Saved {
    /// The value of a register.
    pub fn value(&self, id: u64) -> Result<&[u8]> {
        let register = self.registers.iter().find(|(other, _)| *other == id);
        let (_, value) = register.with_context(|| format!("{id:#x} was not saved"))?;
        Ok(&value.0)
    }

    /// The ids of registers that are other than in `other`, or that one of both
    /// has alone.
    pub fn difference(&self, other: &Self) -> Vec<u64> {
        let lacks = |these: &Self, one: &(u64, Bytes)| {
            !COUNTERS.contains(&one.0) && !these.registers.contains(one)
        };
        let here = self.registers.iter().filter(|one| lacks(other, one));
        let there = other.registers.iter().filter(|one| lacks(self, one));
        here.chain(there).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = Bytes(vec![0, 0x5a, 0xff]);
        let text = serde_json::to_string(&bytes).unwrap();
        assert_eq!(text, "\"005aff\"");
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap(), bytes);
        for wrong in ["\"0\"", "\"0g\"", "\"\u{e9}\""] {
            assert!(serde_json::from_str::<Bytes>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counters_may_differ_and_nothing_else() {
        let saved = |id, value| Saved {
            registers: vec![(id, Bytes(vec![value]))],
            memory: Bytes(Vec::new()),
        };
        assert!(saved(COUNTERS[0], 1)
            .difference(&saved(COUNTERS[0], 2))
            .is_empty());
        assert_eq!(saved(7, 1).difference(&saved(7, 2)), [7, 7]);
        assert_eq!(saved(7, 1).difference(&saved(8, 1)), [7, 8]);
    }
}
