// SPDX-License-Identifier: GPL-2.0
//! One thing that is done on both CPUs, and what must come of it.

use super::boot::{Entry, Result};
use crate::ExceptionClass;
use std::fmt;

/// What must come of a step.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// It is executed, and that is all.
    Executed,
    /// This value is read, but for some bits.
    Value { value: u64, except: u64 },
    /// An exception.
    Exception(ExceptionClass),
    /// Registers are stored: each of `length` bytes, of which `known` bytes count.
    Registers(Vec<Stored>),
    /// What a guest does has this result, or traps.
    Guest(Option<u64>),
    /// The registers, by their own names.
    Collected(Vec<(&'static str, u64, u64)>),
}

/// A register in memory.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    name: &'static str,
    bytes: Vec<u8>,
    /// How many of them count: the architecture does not determine the others.
    known: usize,
}

/// One thing that is done, on both.
pub(super) struct Step {
    /// What the program does.
    pub(super) entry: Entry,
    pub(super) what: What,
    pub(super) expected: Expected,
}

/// What a step is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Mrs(&'static str),
    Msr(&'static str, u64),
    Other(&'static str),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Mrs(name) => write!(f, "mrs {name}"),
            What::Msr(name, value) => write!(f, "msr {name} {value:#x}"),
            What::Other(what) => f.write_str(what),
        }
    }
}

impl Step {
    /// Says what is wrong with what came of it, if something is.
    pub(super) fn difference(&self, found: Result<'_>) -> Option<String> {
        // Current EL with SPx, or a lower EL in AArch64 state: synchronous.
        let vector = match self.expected {
            Expected::Guest(_) => 8,
            _ => 4,
        };
        let class = match found.exception {
            Some((taken, _)) if taken != vector => return Some(format!("vector {taken}")),
            exception => exception.map(|(_, class)| class),
        };
        let exception = |class: u64| format!("an exception of class {class:#04x}");
        let executed = || "it is executed".to_owned();
        let but = |expected: String, found: String| Some(format!("{expected}, emulated {found}"));
        match (&self.expected, class) {
            (Expected::Exception(expected), found) if found == Some(*expected as u64) => None,
            (Expected::Exception(expected), found) => but(
                exception(*expected as u64),
                found.map_or_else(executed, exception),
            ),
            (Expected::Guest(Some(value)), Some(HVC)) => {
                (*value != found.value).then(|| format!("{value:#x}, emulated {:#x}", found.value))
            }
            (Expected::Guest(None), Some(class)) if class != HVC => None,
            (Expected::Guest(expected), class) => but(
                match expected {
                    Some(_) => "it is executed at EL1".to_owned(),
                    None => "it traps from EL1".to_owned(),
                },
                class.map_or_else(executed, exception),
            ),
            (_, Some(class)) => but(executed(), exception(class)),
            (Expected::Executed, None) => None,
            (Expected::Value { value, except }, None) => {
                let differs = (found.value ^ value) & !except != 0;
                differs.then(|| format!("{value:#x}, emulated {:#x}", found.value))
            }
            (Expected::Registers(registers), None) => stored_differ(registers, found.memory),
            (Expected::Collected(registers), None) => {
                let words = found.memory.chunks_exact(8);
                let words = words.map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
                let pairs = registers.iter().zip(words);
                let differ = pairs
                    .filter(|((_, value, except), word)| (word ^ value) & !except != 0)
                    .map(|((name, value, _), word)| {
                        format!("{name} {value:#x}, emulated {word:#x}")
                    });
                let differ: Vec<String> = differ.collect();
                (!differ.is_empty()).then(|| differ.join("; "))
            }
        }
    }
}

/// HVC, by which a guest comes back.
const HVC: u64 = 0x16;

fn stored_differ(registers: &[Stored], memory: &[u8]) -> Option<String> {
    let mut at = 0;
    for (number, register) in registers.iter().enumerate() {
        let found = &memory[at..at + register.bytes.len()];
        at += register.bytes.len();
        let known = register.known;
        if found[..known] != register.bytes[..known] {
            return Some(format!(
                "{}, the {number}th, {:02x?}, emulated {:02x?}",
                register.name,
                &register.bytes[..known],
                &found[..known]
            ));
        }
    }
    None
}

/// A register as it must be in memory.
pub(super) fn stored(name: &'static str, bytes: &[u8], known: usize) -> Stored {
    let bytes = bytes.to_vec();
    Stored { name, bytes, known }
}
