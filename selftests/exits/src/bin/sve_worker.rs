// SPDX-License-Identifier: GPL-2.0

//! A guest that works on all registers of SVE without end, and looks whether they are as it left them:
//! for QEMU, whose memory begins at 1 GiB. At 1 GiB and 16 MiB, it says in which round it is.
//!
//! Not for measurements.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

core::arch::global_asm!(
    // The header of Documentation/arch/arm64/booting.rst.
    ".pushsection .image.header, \"ax\"",
    ".global _start",
    "_start:",
    "b      1f",
    ".long  0",
    // Offset from RAM, size, and flags: little-endian, 4 KiB pages.
    ".quad  0, _image_size, 2",
    ".quad  0, 0, 0",
    ".ascii \"ARM\\x64\"",
    ".long  0",
    ".popsection",
    ".pushsection .image.text, \"ax\"",
    "1:",
    "mov    x0, #0x41000000",
    "add    x1, x0, #0x1000",
    "str    xzr, [x0]",
    // QEMU 10.0 does not always keep FPCR.RMode: see Documentation/testing.rst.
    "mov    x5, #0",
    include_str!("../sve_worker.s"),
    ".popsection",
);

// A test build, which lints are checked on too, has std and its own.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here is compiled code that could panic.
    loop {}
}
