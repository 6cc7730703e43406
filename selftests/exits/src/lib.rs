// SPDX-License-Identifier: GPL-2.0

//! Bare-metal guests that cause exits of one kind, for measurements on the
//! host. Each is an arm64 Image, loaded like a kernel.
//!
//! A guest warms up, then does the exit [`EXITS`] times between two markers,
//! then powers off. An answer of the host that is not the expected one makes
//! it reset instead, which the VMM reports as a failure. It is all assembly:
//! compiled code would use the FP registers, whose saving is then part of what
//! is measured.
//!
//! A marker is `MOVZ XZR, #number`, which does nothing. The TCG plugin in
//! scripts/trace-plugin looks for it. Where the number has the bit 0x8000, all
//! between two markers with the number 0x8000 is one round.

#![no_std]

#[path = "../../vmm/src/layout.rs"]
pub mod layout;

/// Exits before the first marker: what the host allocates and learns at the
/// first exits is not what is to be measured.
pub const WARM_UP: u32 = 256;
/// Exits between the markers.
pub const EXITS: u32 = 4096;

/// PSCI function ids.
pub const SYSTEM_OFF: u32 = 0x8400_0008;
/// As above; the VMM takes it for a failure.
pub const SYSTEM_RESET: u32 = 0x8400_0009;

/// Defines the guest of one kind of exit.
///
/// `setup` runs once. `exit` causes the exit and branches to `3f` if the
/// answer is wrong; it may use x0 to x15, and x21 to x28 keep what `setup` put
/// there. `more`, which may be left out, is code that they go to. `const`
/// operands follow.
#[macro_export]
macro_rules! guest {
    (marker: $marker:literal, setup: $setup:expr, exit: $exit:expr, more: $more:expr,
     $($operands:tt)*) => {
        core::arch::global_asm!(
            // By its path from src/bin/.
            include_str!("../image_header.s"),

            ".pushsection .image.text, \"ax\"",
            "1:",
            $setup,
            "mov    w20, #{WARM_UP}",
            "bl     2f",
            concat!("movz   xzr, #", $marker),
            "mov    w20, #{EXITS}",
            "bl     2f",
            "movz   xzr, #0",
            "ldr    w0, ={SYSTEM_OFF}",
            "hvc    #0",

            "2:",
            $exit,
            "subs   w20, w20, #1",
            "b.ne   2b",
            "ret",

            "3:",
            "ldr    w0, ={SYSTEM_RESET}",
            "hvc    #0",
            ".ltorg",
            $more,
            ".popsection",
            WARM_UP = const $crate::WARM_UP,
            EXITS = const $crate::EXITS,
            SYSTEM_OFF = const $crate::SYSTEM_OFF,
            SYSTEM_RESET = const $crate::SYSTEM_RESET,
            $($operands)*
        );

        // A test build, which lints are checked on too, has std and its own.
        #[cfg(not(test))]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            // Nothing here is compiled code that could panic.
            loop {}
        }
    };
    (marker: $marker:literal, setup: $setup:expr, exit: $exit:expr, $($operands:tt)*) => {
        $crate::guest! {
            marker: $marker, setup: $setup, exit: $exit, more: "", $($operands)*
        }
    };
}
