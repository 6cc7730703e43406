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
//!
//! A CPU has nobody that looks for markers. Outside of them, the guest tells
//! the VMM by a write to a device ([`layout::MARKS`]).
//!
//! Each guest of guests/ is a macro with its description, which becomes a flat
//! file ([`image!`], the programs of this crate) or a part of the program that
//! expands it ([`data!`], selftests/bench).

#![no_std]

mod guests;
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

/// Makes the guest of one kind of exit the Image that this program is.
///
/// `name` is that of a Rust module. `setup` runs once. `exit` causes the exit
/// and branches to `3f` if the answer is wrong; it may use x0 to x15, and x21
/// to x28 keep what `setup` put there. `more`, which may be left out, is code
/// that they go to. `operands` are constants in the assembly.
#[macro_export]
macro_rules! image {
    (name: $name:literal, marker: $marker:literal, setup: $setup:literal, exit: $exit:literal,
     $(more: $more:literal,)? operands: { $($operands:tt)* },) => {
        core::arch::global_asm!(
            ".pushsection .image, \"ax\"",
            ".global _start",
            "_start:",
            $crate::header!("_image_size"),
            $crate::code!($marker, $setup, $exit, $($more)?),
            ".popsection",
            WARM_UP = const $crate::WARM_UP,
            EXITS = const $crate::EXITS,
            SYSTEM_OFF = const $crate::SYSTEM_OFF,
            SYSTEM_RESET = const $crate::SYSTEM_RESET,
            MARKS = const $crate::layout::MARKS,
            MARK_BEGIN = const $crate::layout::MARK_BEGIN,
            MARK_END = const $crate::layout::MARK_END,
            $($operands)*
        );

        $crate::panic_handler!();
    };
}

/// Puts the same Image, from the same description, into the read-only data of
/// a program. Defines the function `image`, which returns it.
#[macro_export]
macro_rules! data {
    (name: $name:literal, marker: $marker:literal, setup: $setup:literal, exit: $exit:literal,
     $(more: $more:literal,)? operands: { $($operands:tt)* },) => {
        core::arch::global_asm!(
            // A section of its own: the assembler has what code loads by `ldr =` once in a
            // section, and that may then be in another guest.
            concat!(".pushsection .rodata.guest_", $name, ", \"a\""),
            // As in a file: the constants that the code loads are aligned.
            ".balign 8",
            concat!(".global guest_", $name, "_start, guest_", $name, "_end"),
            concat!("guest_", $name, "_start:"),
            $crate::header!(concat!("guest_", $name, "_end - guest_", $name, "_start")),
            $crate::code!($marker, $setup, $exit, $($more)?),
            concat!("guest_", $name, "_end:"),
            ".popsection",
            WARM_UP = const $crate::WARM_UP,
            EXITS = const $crate::EXITS,
            SYSTEM_OFF = const $crate::SYSTEM_OFF,
            SYSTEM_RESET = const $crate::SYSTEM_RESET,
            MARKS = const $crate::layout::MARKS,
            MARK_BEGIN = const $crate::layout::MARK_BEGIN,
            MARK_END = const $crate::layout::MARK_END,
            $($operands)*
        );

        unsafe extern "C" {
            #[link_name = concat!("guest_", $name, "_start")]
            static START: u8;
            #[link_name = concat!("guest_", $name, "_end")]
            static END: u8;
        }

        /// The guest, as it would be in a file.
        pub fn image() -> &'static [u8] {
            let (start, end) = (&raw const START, &raw const END);
            // SAFETY: Both are labels of the assembly above, one before and one behind
            // what is read, which is read-only and there as long as the program.
            unsafe { core::slice::from_raw_parts(start, end.addr() - start.addr()) }
        }
    };
}

/// The header of Documentation/arch/arm64/booting.rst. The code that follows it
/// begins at the label 1; `size`, of both, is an expression for the assembler.
#[macro_export]
macro_rules! header {
    ($size:expr) => {
        concat!(
            "
            b       1f
            .long   0
            // Offset from RAM, size, and flags: little-endian, 4 KiB pages.
            .quad   0, ",
            $size,
            ", 2
            .quad   0, 0, 0
            .ascii  \"ARM\\x64\"
            .long   0
            "
        )
    };
}

/// The code of a guest.
#[macro_export]
macro_rules! code {
    ($marker:literal, $setup:literal, $exit:literal, $($more:literal)?) => {
        concat!(
            "1:",
            $setup,
            "
            mov     w20, #{WARM_UP}
            bl      2f
            // No register that `exit` uses.
            ldr     x16, ={MARKS}
            mov     w17, #{MARK_BEGIN}
            strb    w17, [x16]
            ",
            "movz   xzr, #", $marker,
            "
            mov     w20, #{EXITS}
            bl      2f
            movz    xzr, #0
            ldr     x16, ={MARKS}
            mov     w17, #{MARK_END}
            strb    w17, [x16]
            ldr     w0, ={SYSTEM_OFF}
            hvc     #0

        2:
            ",
            $exit,
            "
            subs    w20, w20, #1
            b.ne    2b
            ret

        3:
            ldr     w0, ={SYSTEM_RESET}
            hvc     #0
            .ltorg
            ",
            $($more)?
        )
    };
}

/// Defines the panic handler of a program that is a guest.
#[macro_export]
macro_rules! panic_handler {
    () => {
        // A test build, which lints are checked on too, has std and its own.
        #[cfg(not(test))]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            // Nothing here is compiled code that could panic.
            loop {}
        }
    };
}
