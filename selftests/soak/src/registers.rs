// SPDX-License-Identifier: GPL-2.0

//! The register sets of a stopped thread, as ptrace has them:
//! Documentation/arch/arm64/sve.rst and sme.rst.

use std::fmt;
use std::io;

use nix::unistd::Pid;

use crate::regset;

/// V0 to V31, FPSR and FPCR.
const NT_PRFPREG: usize = 2;
/// All of SVE, outside streaming mode.
const NT_ARM_SVE: usize = 0x405;
/// The same in streaming mode.
const NT_ARM_SSVE: usize = 0x40b;
/// ZA.
const NT_ARM_ZA: usize = 0x40c;
/// ZT0.
const NT_ARM_ZT: usize = 0x40d;
/// FPMR.
const NT_ARM_FPMR: usize = 0x40e;

/// In the order in which they are written back: V first, as that clears what the Z
/// registers have above, and ZT0 after ZA, which it is there with.
const SETS: [(&str, usize); 6] = [
    ("NT_PRFPREG", NT_PRFPREG),
    ("NT_ARM_SVE", NT_ARM_SVE),
    ("NT_ARM_SSVE", NT_ARM_SSVE),
    ("NT_ARM_ZA", NT_ARM_ZA),
    ("NT_ARM_ZT", NT_ARM_ZT),
    ("NT_ARM_FPMR", NT_ARM_FPMR),
];

/// Size of the headers of SVE, SSVE and ZA. Without registers behind it, the mode that
/// they belong to is off; to write it would change modes.
const HEADER: usize = 16;

/// A register set that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    set: &'static str,
    offset: usize,
    before: usize,
    after: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not as it was: {} bytes, then {}; the first difference is at offset {}",
            self.set, self.before, self.after, self.offset
        )
    }
}

/// All register sets of a thread. Those that the CPU lacks are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registers([Option<Vec<u8>>; SETS.len()]);

impl Registers {
    /// Reads them.
    pub fn read(thread: Pid) -> io::Result<Self> {
        let mut sets = Self(Default::default());
        for ((_, number), bytes) in SETS.iter().zip(&mut sets.0) {
            *bytes = regset::read(thread, *number)?;
        }
        Ok(sets)
    }

    /// How many there are.
    pub fn sets(&self) -> u64 {
        self.0.iter().flatten().count() as u64
    }

    /// True where ZA is on.
    fn za_is_on(&self) -> bool {
        let za = SETS.iter().position(|(_, number)| *number == NT_ARM_ZA);
        za.and_then(|place| self.0[place].as_ref())
            .is_some_and(|bytes| has_registers(bytes))
    }

    /// Writes them back, but for those of modes that are off.
    pub fn write(&self, thread: Pid) -> io::Result<()> {
        for ((_, number), bytes) in SETS.iter().zip(&self.0) {
            let Some(bytes) = bytes else { continue };
            let is_on = match *number {
                NT_ARM_SVE | NT_ARM_SSVE | NT_ARM_ZA => has_registers(bytes),
                NT_ARM_ZT => self.za_is_on(),
                _ => true,
            };
            if is_on {
                regset::write(thread, *number, bytes)?;
            }
        }
        Ok(())
    }

    /// The sets that are not the same in `other`.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (index, (set, _)) in SETS.iter().enumerate() {
            let none = Vec::new();
            let before = self.0[index].as_ref().unwrap_or(&none);
            let after = other.0[index].as_ref().unwrap_or(&none);
            if before != after {
                let same = before.iter().zip(after).take_while(|(a, b)| a == b);
                differences.push(Difference {
                    set,
                    offset: same.count(),
                    before: before.len(),
                    after: after.len(),
                });
            }
        }
        differences
    }
}

/// Whether there are registers behind the header, by the size that is its first word.
fn has_registers(bytes: &[u8]) -> bool {
    let size = bytes
        .first_chunk()
        .map_or(0, |size| u32::from_le_bytes(*size));
    size as usize > HEADER && bytes.len() > HEADER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers() -> Registers {
        let with_header = |length: usize| {
            let mut bytes = vec![7; length];
            bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
            Some(bytes)
        };
        Registers([
            Some(vec![1; 528]),
            with_header(600),
            with_header(HEADER),
            with_header(HEADER),
            Some(vec![0; 64]),
            None,
        ])
    }

    #[test]
    fn a_byte_that_changes_is_found_in_each_set() {
        let before = registers();
        assert!(before.differences(&before).is_empty());
        assert_eq!(before.sets(), 5);
        for (index, (set, _)) in SETS.iter().enumerate().take(5) {
            let mut after = before.clone();
            let bytes = after.0[index].as_mut().unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            let differences = before.differences(&after);
            assert_eq!(differences.len(), 1);
            assert_eq!((differences[0].set, differences[0].offset), (*set, last));
        }
        let mut after = before.clone();
        after.0[1] = None;
        assert_eq!(before.differences(&after)[0].after, 0);
    }

    #[test]
    fn modes_that_are_off_have_no_registers() {
        let registers = registers();
        assert!(has_registers(registers.0[1].as_ref().unwrap()));
        assert!(!has_registers(registers.0[2].as_ref().unwrap()));
        assert!(!registers.za_is_on());
        assert!(!has_registers(&[]));
    }
}
