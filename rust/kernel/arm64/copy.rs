// SPDX-License-Identifier: GPL-2.0

//! Copies from and to memory that somebody else may write to meanwhile.

use super::instruction;
use crate::prelude::*;

/// Copies a `T`, of whole pairs of 64-bit words. Each word is read once and written once, so that
/// what was copied cannot change afterwards, whoever else writes to `from`.
///
/// No more than three instructions for each pair, which is meant for register files.
///
/// # Safety
///
/// `from` must be valid for reads and `to` for writes, and both be aligned to 8 bytes; they must
/// not overlap. Every bit pattern must be a value of `T`.
#[inline(always)]
pub unsafe fn copy_once<T>(from: *const T, to: *mut T) {
    const_assert!(size_of::<T>() % 16 == 0);
    // SAFETY: By the safety requirements; as many pairs as fit.
    unsafe { instruction::copy_pairs::<T>(from.cast(), to.cast()) }
}
