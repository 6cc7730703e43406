// SPDX-License-Identifier: GPL-2.0

//! A guest that works on all registers of SVE without end, and looks whether they are as it left
//! them: for QEMU, whose memory begins at 1 GiB. At 1 GiB and 16 MiB, it says in which round it is.
//!
//! Not for measurements.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

core::arch::global_asm!(
    ".pushsection .image, \"ax\"",
    ".global _start",
    "_start:",
    exits::header!("_image_size"),
    "1:",
    "mov    x0, #0x41000000",
    "add    x1, x0, #0x1000",
    "str    xzr, [x0]",
    // UFC and IXC. In a migration, QEMU 10.0 takes IOC, DZC and OFC for bits of FPCR, too.
    "mov    x5, #0x18",
    include_str!("../sve_worker.s"),
    ".popsection",
);

exits::panic_handler!();
