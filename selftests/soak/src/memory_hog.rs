// SPDX-License-Identifier: GPL-2.0

//! The process that takes memory.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::system;

/// What is taken at a time.
const PIECE_MIB: usize = 8;
const PAGE: usize = 4096;

/// So much of each page has something in it.
const USED: usize = 256;

/// Memory of which no page is like another.
fn piece(number: u64) -> Vec<u8> {
    let mut bytes = vec![0u8; PIECE_MIB << 20];
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let used = bytes.chunks_exact_mut(PAGE).map(|page| &mut page[..USED]);
    for word in used.flat_map(|part| part.chunks_exact_mut(8)) {
        // xorshift64: fast, and random enough for this.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// Takes memory until `leave` MiB are left, or until it gets no more, holds it, and
/// prints how much it was.
pub fn run(leave: u64, time: Duration) -> Result<()> {
    // The first to be killed where there is no memory at all.
    system::write("/proc/self/oom_score_adj", "1000")?;
    let mut pieces = Vec::new();
    while system::memory_available_mib()? > leave + PIECE_MIB as u64 {
        pieces.push(piece(pieces.len() as u64));
    }
    thread::sleep(time);
    // What went to swap comes back.
    let sum: u64 = pieces
        .iter()
        .flat_map(|piece| piece.iter().step_by(PAGE))
        .map(|byte| u64::from(*byte))
        .sum();
    std::hint::black_box(sum);
    println!("{}", pieces.len() * PIECE_MIB);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_differ() {
        let (first, second) = (piece(0), piece(1));
        assert_eq!(first.len(), PIECE_MIB << 20);
        assert_ne!(first[..PAGE], first[PAGE..2 * PAGE]);
        assert_ne!(first[..PAGE], second[..PAGE]);
    }
}
