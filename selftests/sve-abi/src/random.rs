// SPDX-License-Identifier: GPL-2.0

//! Calls at random: most of them nearly right.

use rand::{Rng, RngCore};

use crate::call::{Call, Memory, SVE};
use crate::id;
use crate::model::Host;

/// Addresses that no process has memory at: NULL, one of the kernel's half, one
/// in between, and the last one.
const NOWHERE: [u64; 4] = [0, 0xffff_8000_0000_0000, 1 << 52, u64::MAX];

/// A call on a vCPU that `sve` says has SVE, or is to have.
pub fn call(rng: &mut impl RngCore, host: &Host, sve: bool) -> Call {
    match rng.random_range(0..1000) {
        0..30 => Call::Init {
            sve: sve ^ rng.random_ratio(1, 8),
        },
        // Seldom, so that there is time before it as well.
        30..37 => Call::Finalize {
            feature: match rng.random_range(0..4) {
                0 => rng.random_range(-2..10),
                _ => SVE,
            },
        },
        37..42 => Call::FinalizeFromNowhere,
        42..52 => Call::OneRegFromNowhere { set: rng.random() },
        52..85 => Call::List { room: rng.random() },
        85..110 => Call::Run,
        110..550 => {
            let id = register(rng);
            let to = memory(rng, id, |rng, bytes| rng.fill_bytes(bytes));
            Call::Get { id, to }
        }
        550..620 => {
            let id = id::VECTOR_LENGTHS;
            let from = memory(rng, id, |rng, bytes| lengths(rng, host, bytes));
            Call::Set { id, from }
        }
        _ => {
            let id = register(rng);
            let from = memory(rng, id, |rng, bytes| rng.fill_bytes(bytes));
            Call::Set { id, from }
        }
    }
}

/// The id of a register: mostly, of one that there is.
fn register(rng: &mut impl RngCore) -> u64 {
    let slice = match rng.random_range(0..8) {
        0 => rng.random_range(1..32),
        _ => 0,
    };
    let id = match rng.random_range(0..20) {
        0 => id::VECTOR_LENGTHS,
        1..9 => id::z(rng.random_range(0..32), slice),
        9..14 => id::p(rng.random_range(0..16), slice),
        14..16 => id::ffr(slice),
        16 => id::v(rng.random_range(0..32)),
        17 => *pick(rng, &[id::FPSR, id::FPCR]),
        // A word of the V registers, of any size, and what is behind them.
        18 => id::core(rng.random_range(0..16), id::V0 + rng.random_range(0..160)),
        // Any id of SVE.
        _ => {
            id::ARM64
                | (rng.random_range(0..16) << id::SIZE_SHIFT)
                | id::SVE
                | rng.random_range(0..1 << 16)
        }
    };
    match rng.random_range(0..30) {
        // Another size.
        0 => id & !(0xf << id::SIZE_SHIFT) | (rng.random_range(0..16) << id::SIZE_SHIFT),
        // A bit that no id has.
        1 => id | (1 << rng.random_range(32..52)),
        // Another architecture.
        2 => id ^ (1 << rng.random_range(56..64)),
        _ => id,
    }
}

fn pick<'a, T>(rng: &mut impl RngCore, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// Memory for the register `id`: mostly, as much as it takes.
fn memory<R: RngCore>(rng: &mut R, id: u64, fill: impl FnOnce(&mut R, &mut [u8])) -> Memory {
    // Nothing is larger than 2048 bits that could be taken for a register.
    let size = id::size(id).min(256);
    let length = match rng.random_range(0..12) {
        0 => rng.random_range(0..size),
        _ => size,
    };
    let mut bytes = vec![0; length];
    fill(rng, &mut bytes);
    match rng.random_range(0..30) {
        0 => Memory::Nowhere(*pick(rng, &NOWHERE)),
        1 | 2 => Memory::ReadOnly(bytes),
        _ => Memory::Bytes(bytes),
    }
}

/// A set of vector lengths: one that can be had, one that is nearly one, or any.
fn lengths(rng: &mut impl RngCore, host: &Host, bytes: &mut [u8]) {
    let longest = rng.random_range(1..=16);
    let mut set = host.set_up_to(longest);
    match rng.random_range(0..8) {
        0 => set[rng.random_range(0..3)] ^= 1 << rng.random_range(0..8),
        1 => set[rng.random_range(0..64)] ^= 1 << rng.random_range(0..8),
        2 => rng.fill_bytes(&mut set),
        3 => set = [0; 64],
        _ => (),
    }
    let length = bytes.len();
    bytes.copy_from_slice(&set[..length]);
}
