// SPDX-License-Identifier: GPL-2.0

//! Who is told when a guest begins and ends what is to be measured.

use anyhow::{bail, Result};

use crate::layout::{MARK_BEGIN, MARK_END};

/// What a guest says by a write to [`MARKS`](crate::layout::MARKS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// What is to be measured begins.
    Begin,
    /// It has ended.
    End,
}

impl Mark {
    /// The mark that a guest makes by writing `data`.
    pub fn of(data: &[u8]) -> Result<Self> {
        match data {
            [MARK_BEGIN] => Ok(Self::Begin),
            [MARK_END] => Ok(Self::End),
            _ => bail!("the guest wrote {data:02x?} where it can only say begin and end"),
        }
    }
}

/// Who is told of one machine. An error ends the vCPU.
pub trait Observer: Send + Sync {
    /// The calling thread is about to run a vCPU, as soon as all others are.
    fn vcpu_starts(&self) -> Result<()>;

    /// The guest made a mark. The calling thread is that of the vCPU that did, which does not
    /// run meanwhile.
    fn mark(&self, mark: Mark) -> Result<()>;
}

/// Nobody wants to know.
pub struct Nobody;

impl Observer for Nobody {
    fn vcpu_starts(&self) -> Result<()> {
        Ok(())
    }

    fn mark(&self, _: Mark) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_byte() {
        assert_eq!(Mark::of(&[1]).unwrap(), Mark::Begin);
        assert_eq!(Mark::of(&[0]).unwrap(), Mark::End);
        for wrong in [&[2][..], &[], &[1, 0, 0, 0]] {
            assert!(Mark::of(wrong).is_err(), "{wrong:?}");
        }
    }
}
