// SPDX-License-Identifier: GPL-2.0

//! How outcomes are said.

use core::fmt;

use crate::probe::{Level, Outcome};
use crate::say;

/// An outcome as it is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The instruction gave this value.
    Value(u64),
    /// It gave a value that is not always the same.
    SomeValue,
    /// It was executed.
    Done,
    /// It caused an exception with this ESR_EL1.
    Exception(u64),
    /// It caused one with another vector.
    Vector(u64, u64),
}

impl Shown {
    /// An outcome; what a value says depends on whether it is looked at.
    pub fn of(outcome: Outcome, value: impl FnOnce(u64) -> Self) -> Self {
        match outcome {
            Outcome::Done(x0) => value(x0),
            Outcome::Exception(esr) => Self::Exception(esr),
            Outcome::Vector(vector, esr) => Self::Vector(vector, esr),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value:#x}"),
            Self::SomeValue => f.write_str("a value"),
            Self::Done => f.write_str("done"),
            Self::Exception(esr) => write!(f, "EC {:#04x} ESR {esr:#x}", (esr >> 26) & 0x3f),
            Self::Vector(vector, esr) => write!(f, "vector {vector} ESR {esr:#x}"),
        }
    }
}

/// The name that the architecture has for system registers without one.
pub struct Name(pub u32);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |low: u32, mask: u32| (self.0 >> low) & mask;
        let (op0, op1, op2) = (field(14, 3), field(11, 7), field(0, 7));
        write!(f, "S{op0}_{op1}_C{}_C{}_{op2}", field(7, 15), field(3, 15))
    }
}

/// Encodings in their order with the same outcome, which become one line.
pub struct Run {
    level: Level,
    what: &'static str,
    first: u32,
    last: u32,
    outcome: Option<Shown>,
}

impl Run {
    /// One of `what`, with nothing in it.
    pub fn new(level: Level, what: &'static str) -> Self {
        Self {
            level,
            what,
            first: 0,
            last: 0,
            outcome: None,
        }
    }

    /// Adds an encoding. A run that ends with the one before is said.
    pub fn add(&mut self, encoding: u32, outcome: Shown) {
        if self.outcome == Some(outcome) && encoding == self.last + 1 {
            self.last = encoding;
            return;
        }
        self.end();
        self.first = encoding;
        self.last = encoding;
        self.outcome = Some(outcome);
    }

    /// Says what is in it.
    pub fn end(&mut self) {
        let Some(outcome) = self.outcome.take() else {
            return;
        };
        let (level, what, first) = (self.level.name(), self.what, Name(self.first));
        match self.last - self.first {
            0 => say!("{level} {what} {first}: {outcome}"),
            more => say!("{level} {what} {first} +{more}: {outcome}"),
        }
    }
}
