// SPDX-License-Identifier: GPL-2.0

//! Executes all instructions that can trap, one by one, at EL1 and at EL0, and says what comes of
//! each: the value that it gives, or the exception that the guest takes.
//!
//! A line has the instruction, the number of encodings behind it for which the same holds, and the
//! outcome. The last one is `end`.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

#[path = "../../vmm/src/layout.rs"]
#[allow(dead_code, reason = "the VMM uses the rest")]
mod layout;
mod outcomes;
mod probe;
mod sequences;
mod start;
mod sysreg;
mod text;
mod timer;

use core::arch::asm;

use probe::Level;

/// PSCI's function id.
const SYSTEM_OFF: u32 = 0x8400_0008;

/// What the guest does, on its stack and with the MMU on.
extern "C" fn main() -> ! {
    timer::init();
    for level in [Level::El1, Level::El0] {
        sequences::walk(level);
        sysreg::walk(level);
    }
    say!("end");
    finish(SYSTEM_OFF)
}

/// Ends the guest.
fn finish(function: u32) -> ! {
    // SAFETY: Neither of the functions returns.
    unsafe { asm!("hvc #0", in("w0") function, options(noreturn)) }
}

// A test build, which lints are checked on too, has std and its own.
#[cfg(not(test))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    /// The VMM takes it for a failure.
    const SYSTEM_RESET: u32 = 0x8400_0009;
    say!("{info}");
    finish(SYSTEM_RESET)
}
