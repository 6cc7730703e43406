// SPDX-License-Identifier: GPL-2.0
//! What is done in a sequence, drawn at random.

use super::facts::Facts;
use crate::tests::names::{self, Name};
use rand::seq::IndexedRandom;
use rand::Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a guest at EL1 does before it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// MRS of FPSR.
    Fp,
    /// RDVL.
    Sve,
    /// MRS of SVCR.
    Sme,
}

impl Use {
    /// All that there is.
    pub(super) const ALL: [Use; 3] = [Use::Fp, Use::Sve, Use::Sme];
}

/// One thing that is done at EL2.
///
/// Values are those that were drawn: what is written of them depends on the
/// register that is reached by then, see `Facts::value()`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    /// MRS.
    Read(Name),
    /// MSR.
    Write(Name, u64),
    /// MSR of CPTR_EL2, or of CPACR_EL1 where that reaches it, which lets EL2 use
    /// everything.
    OpenTraps,
    /// ISB.
    Isb,
    /// MRS of SVCR.
    ReadSvcr,
    /// MSR of SVCR.
    WriteSvcr(u64),
    /// The primitives of `fp_registers.rs`; what is loaded is a pattern with this
    /// number.
    SaveV,
    LoadV(usize),
    SaveSve,
    LoadSve(usize),
    /// Store and load of ZA's first vector.
    SaveZa,
    LoadZa(usize),
    /// RDVL.
    VectorLength,
    /// An exception return to EL1, and an exception from there.
    Guest(Use),
}

/// Operations, from one of several states of the registers on.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// The number of the state.
    pub(super) state: usize,
    /// What is done.
    pub(super) operations: Vec<Operation>,
}

/// Different contents of the FP registers.
pub(super) const PATTERNS: usize = 8;
/// Different states of the other registers.
pub(super) const STATES: usize = 8;

/// Names that decide on what others do.
const CONTROLS: [&str; 7] = [
    "HCR_EL2",
    "CPTR_EL2",
    "CPACR_EL1",
    "CPACR_EL12",
    "ZCR_EL1",
    "ZCR_EL12",
    "ZCR_EL2",
];

/// The sequence with a number, the same in each run.
pub(super) fn sequence(facts: &Facts, seed: u64, number: u64) -> Sequence {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    let controls: Vec<Name> = facts
        .names()
        .iter()
        .filter(|name| CONTROLS.contains(&name.name))
        .copied()
        .collect();
    let length = random.random_range(8..48);
    let operations = (0..length).map(|_| operation(facts, &controls, &mut random));
    Sequence {
        operations: operations.collect(),
        state: random.random_range(0..STATES),
    }
}

fn operation(facts: &Facts, controls: &[Name], random: &mut ChaCha8Rng) -> Operation {
    let pattern = random.random_range(0..PATTERNS);
    let name = |of: &[Name], random: &mut ChaCha8Rng| *of.choose(random).expect("there are names");
    match random.random_range(0..100) {
        0..24 => Operation::Read(name(facts.names(), random)),
        24..46 => Operation::Write(name(facts.names(), random), random.random()),
        46..56 => Operation::Write(name(controls, random), random.random()),
        56..63 => Operation::OpenTraps,
        63..69 => Operation::Isb,
        69..71 => Operation::Read(names::find("FPSR")),
        71..73 => Operation::Write(names::find("FPCR"), random.random()),
        73..75 => Operation::ReadSvcr,
        75..79 => Operation::WriteSvcr(random.random_range(0..4)),
        79..82 => Operation::SaveV,
        82..85 => Operation::LoadV(pattern),
        85..88 => Operation::SaveSve,
        88..91 => Operation::LoadSve(pattern),
        91..92 => Operation::SaveZa,
        92..94 => Operation::LoadZa(pattern),
        94..96 => Operation::VectorLength,
        _ => Operation::Guest(*Use::ALL.choose(random).expect("there are some")),
    }
}
