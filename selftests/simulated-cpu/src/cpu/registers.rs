// SPDX-License-Identifier: GPL-2.0
//! System registers, by their encodings.

use crate::arm64::sysreg::Encoding;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// Encodings that there can be.
const ENCODINGS: usize = 1 << 16;

/// The place of each register, plus one; 0 while it has none. Registers get their
/// places as they are first used, so that the values lie side by side.
static PLACES: [AtomicU16; ENCODINGS] = [const { AtomicU16::new(0) }; ENCODINGS];

/// Registers that have a place.
static COUNT: Mutex<u16> = Mutex::new(0);

fn bits(encoding: Encoding) -> usize {
    let Encoding {
        op0,
        op1,
        crn,
        crm,
        op2,
    } = encoding;
    let fields = [(op0, 2), (op1, 3), (crn, 4), (crm, 4), (op2, 3)];
    fields.into_iter().fold(0, |bits, (field, width)| {
        assert!(field < 1 << width, "no encoding: {encoding:?}");
        (bits << width) | usize::from(field)
    })
}

fn place(encoding: Encoding) -> usize {
    let place = &PLACES[bits(encoding)];
    let known = place.load(Ordering::Relaxed);
    if known != 0 {
        return usize::from(known - 1);
    }
    let mut count = COUNT.lock().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have been faster.
    if place.load(Ordering::Relaxed) == 0 {
        *count += 1;
        place.store(*count, Ordering::Relaxed);
    }
    usize::from(place.load(Ordering::Relaxed) - 1)
}

/// The values of registers, as far as they have been written.
#[derive(Clone, Debug, Default)]
pub(super) struct Registers(Vec<Option<u64>>);

impl Registers {
    /// What was written to a register last.
    #[inline]
    pub(super) fn get(&self, register: Encoding) -> Option<u64> {
        self.0.get(place(register)).copied().flatten()
    }

    /// Writes a register.
    #[inline]
    pub(super) fn insert(&mut self, register: Encoding, value: u64) {
        let place = place(register);
        if place >= self.0.len() {
            self.0.resize(place + 1, None);
        }
        self.0[place] = Some(value);
    }
}
