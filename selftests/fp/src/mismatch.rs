// SPDX-License-Identifier: GPL-2.0

//! A register that did not keep its value.

use std::fmt::{self, Write};

use crate::pattern::Owner;
use crate::registers::MAX_VL;

/// The name of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// V0-V31.
    V(u8),
    /// Z0-Z31.
    Z(u8),
    /// P0-P15.
    P(u8),
    /// The first fault register.
    Ffr,
    /// The floating-point status register.
    Fpsr,
    /// The floating-point control register.
    Fpcr,
    /// The floating-point mode register.
    Fpmr,
    /// A row of the ZA array.
    Za(u8),
    /// The SME2 lookup table.
    Zt0,
    /// The vector length of the thread, in bytes.
    VectorLength,
    /// Streaming mode and ZA enables.
    Svcr,
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Register::V(n) => write!(f, "v{n}"),
            Register::Z(n) => write!(f, "z{n}"),
            Register::P(n) => write!(f, "p{n}"),
            Register::Ffr => f.write_str("ffr"),
            Register::Fpsr => f.write_str("fpsr"),
            Register::Fpcr => f.write_str("fpcr"),
            Register::Fpmr => f.write_str("fpmr"),
            Register::Za(row) => write!(f, "za[{row}]"),
            Register::Zt0 => f.write_str("zt0"),
            Register::VectorLength => f.write_str("vl"),
            Register::Svcr => f.write_str("svcr"),
        }
    }
}

/// The first register that differs from what was loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which one.
    pub register: Register,
    length: usize,
    expected: [u8; MAX_VL],
    found: [u8; MAX_VL],
}

impl Mismatch {
    /// `expected` and `found` are the register's bytes, of equal length.
    pub(crate) fn new(register: Register, expected: &[u8], found: &[u8]) -> Self {
        let mut mismatch = Self {
            register,
            length: expected.len(),
            expected: [0; MAX_VL],
            found: [0; MAX_VL],
        };
        mismatch.expected[..expected.len()].copy_from_slice(expected);
        mismatch.found[..found.len()].copy_from_slice(found);
        mismatch
    }

    /// The register's bytes as loaded, lowest first.
    pub fn expected(&self) -> &[u8] {
        &self.expected[..self.length]
    }

    /// The register's bytes as found, lowest first.
    pub fn found(&self) -> &[u8] {
        &self.found[..self.length]
    }

    /// [`Self::expected`] in hexadecimal.
    pub fn expected_hex(&self) -> String {
        hex(self.expected())
    }

    /// [`Self::found`] in hexadecimal.
    pub fn found_hex(&self) -> String {
        hex(self.found())
    }

    /// Whose value stands where the first difference is, if it is a pattern's.
    pub fn owner(&self) -> Option<Owner> {
        let differs = self
            .expected()
            .iter()
            .zip(self.found())
            .position(|(a, b)| a != b)?;
        Owner::of(self.found().get(differs & !15..)?)
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.register,
            self.expected_hex(),
            self.found_hex()
        )?;
        match self.owner() {
            Some(Owner {
                seed,
                round,
                register,
            }) => {
                write!(f, " (register {register} of seed {seed}, round {round})")
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
