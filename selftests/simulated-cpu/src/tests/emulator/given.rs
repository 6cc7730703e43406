// SPDX-License-Identifier: GPL-2.0
//! What is given to the program besides its list: contents of the FP registers, and
//! of all others.

use super::boot::DATA;
use super::facts::{unsteady, Facts};
use super::image::{Image, HCR};
use super::operation::{PATTERNS, STATES};
use crate::arm64::registers::{CPTR_EL2, HCR_EL2, PMCNTENCLR_EL0, ZCR_EL2};
use crate::arm64::sysreg::RegisterName;
use crate::cpu::open;
use crate::tests::names::{self, Name};
use crate::{Cpu, FpRegisters};
use rand::RngCore;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The longest vector of the architecture, in bytes.
pub(super) const LONGEST: usize = 256;
/// How far patterns are from each other.
const PATTERN_SIZE: usize = 0x4000;

/// What is given to the program, besides the list.
pub(super) struct Given {
    /// The bytes.
    pub(super) data: Vec<u8>,
    pub(super) patterns: Vec<FpRegisters>,
    /// The simulated CPU in each state.
    pub(super) states: Vec<Cpu>,
    state_size: usize,
    /// The registers that are looked at in the end: how, and but for which bits.
    pub(super) looked_at: Vec<LookedAt>,
}

/// The name of a register, what a CPU has in it, and bits that are not compared.
pub(super) type LookedAt = (&'static str, fn(&Cpu) -> u64, u64);

impl Given {
    /// All patterns and states for a machine.
    pub(super) fn new(facts: &Facts, image: &Image) -> Self {
        let mut data = Vec::new();
        let patterns: Vec<FpRegisters> = (1..=PATTERNS as u64).map(FpRegisters::filled).collect();
        // As they are loaded: what comes first depends on the vector length, so
        // there is one place for each.
        for pattern in &patterns {
            for length in (16..=LONGEST).step_by(16) {
                let start = data.len();
                data.extend(pattern.sve(length));
                data.resize(start + PATTERN_SIZE, 0);
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let writable = facts.writable();
        let mut states = Vec::new();
        for _ in 0..STATES {
            let mut cpu = facts.machine.simulated();
            for name in facts.own_names() {
                set(&mut cpu, name, facts.value(name.encoding, 0, image));
            }
            for name in &writable {
                let value = initial(facts, name, random.next_u64(), image);
                data.extend(value.to_le_bytes());
                if name.name != PMCNTENCLR_EL0::NAME {
                    set(&mut cpu, name, value);
                }
            }
            cpu.synchronise();
            states.push(cpu);
        }
        let looked_at = facts.own_names().iter().map(|name| {
            let get = names::GET[names::number(name.name)];
            (name.name, get, unsteady(name.encoding))
        });
        Self {
            data,
            patterns,
            states,
            state_size: 8 * writable.len(),
            looked_at: looked_at.collect(),
        }
    }

    /// Where a pattern is, for a vector length; V registers come first whatever it
    /// is, and lie closest with the shortest.
    pub(super) fn pattern(&self, number: usize, length: usize) -> u64 {
        DATA + ((number * (LONGEST / 16) + length / 16 - 1) * PATTERN_SIZE) as u64
    }

    pub(super) fn state(&self, number: usize) -> u64 {
        let patterns = PATTERNS * (LONGEST / 16) * PATTERN_SIZE;
        DATA + (patterns + number * self.state_size) as u64
    }
}

/// What a register is initialised with. E2H is 0 by then, and nothing traps.
fn initial(facts: &Facts, name: &Name, drawn: u64, image: &Image) -> u64 {
    match name.name {
        HCR_EL2::NAME => HCR,
        CPTR_EL2::NAME => open(false),
        ZCR_EL2::NAME => 0xf,
        // It comes before PMCNTENSET_EL0.
        PMCNTENCLR_EL0::NAME => facts.value(name.encoding, !0, image),
        _ => facts.value(name.encoding, drawn, image),
    }
}

/// Changes what a register holds.
fn set(cpu: &mut Cpu, register: &Name, value: u64) {
    names::SET[names::number(register.name)](cpu, value);
}
