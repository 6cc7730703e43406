// SPDX-License-Identifier: GPL-2.0

//! Bounds that hold for speculation, too.
//!
//! A CPU may execute past a bounds check before it knows the outcome, with a value that somebody
//! else has chosen, and what it loads then can be found out: Spectre, variant 1.
//!
//! C header: [`include/linux/nospec.h`](srctree/include/linux/nospec.h)

use super::instruction::array_index_mask_nospec;

/// Returns `index`, or 0 where that is not less than `size`, whatever the CPU believes of checks
/// that were made before: C's `array_index_nospec()`.
///
/// # Examples
///
/// ```
/// use kernel::arm64::speculation::index_nospec;
///
/// assert_eq!(index_nospec(15, 16), 15);
/// assert_eq!(index_nospec(16, 16), 0);
/// ```
#[inline(always)]
pub fn index_nospec(index: usize, size: usize) -> usize {
    index & array_index_mask_nospec(index, size)
}
