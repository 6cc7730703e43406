// SPDX-License-Identifier: GPL-2.0

//! The architected counter, which Linux lets programs read.

use std::arch::asm;

/// Ticks of the virtual counter, which has not been read ahead of what is before.
pub fn ticks() -> u64 {
    let ticks;
    // SAFETY: An ISB and a read of a register that is there at EL0 change nothing.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nostack)) };
    ticks
}

/// Ticks in a second, as the firmware says.
pub fn frequency() -> u64 {
    let frequency;
    // SAFETY: Only a register that is there at EL0 is read.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack)) };
    frequency
}
