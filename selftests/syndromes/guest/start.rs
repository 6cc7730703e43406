// SPDX-License-Identifier: GPL-2.0

//! From the entry of the boot protocol to compiled code, which needs the MMU: without it, memory
//! takes aligned accesses only.

use core::arch::global_asm;

/// EL0 has the memory of the guest that far from where EL1 has it. EL1 could not execute what EL0
/// can write to.
pub const EL0_VIEW: u64 = 0x4000_0000;
/// Nothing is mapped there.
pub const UNMAPPED: u64 = 1 << 32;
/// Mapped as memory, where there is none.
pub const NO_MEMORY: u64 = 0x6000_0000;

/// What SCTLR_EL1 is: the bits that are 1 in Armv8.0, SPAN, alignment checks of SP, caches and MMU;
/// and nTWE and nTWI, as whether WFE and WFI of EL0 trap to EL1 depends on what is pending just
/// then. EL0 may not maintain caches.
pub const SCTLR: u64 =
    0x30d0_0800 | (1 << 18) | (1 << 16) | (1 << 12) | (1 << 4) | (1 << 3) | (1 << 2) | 1;
/// CPACR_EL1 that lets FP through, which compiled code uses.
pub const FP_ALONE: u64 = 3 << 20;
/// CPACR_EL1 that lets FP, SVE and SME through.
pub const ALL_ENABLED: u64 = FP_ALONE | (3 << 16) | (3 << 24);

/// Bits of a block descriptor: valid, accessed, attributes 1 (a device), inner shareable.
const BLOCK: u64 = 1 | (1 << 10);
const DEVICE: u64 = 1 << 2;
const SHAREABLE: u64 = 3 << 8;
const EL0_MAY: u64 = 1 << 6;
const NOT_AT_EL1: u64 = 1 << 53;
const NOT_AT_EL0: u64 = 1 << 54;

/// Level 1 of the page tables, a GiB for each entry.
#[repr(C, align(4096))]
struct Table([u64; 4]);

/// Devices, memory for EL1, the same for EL0, and nothing.
static TABLE: Table = Table([
    BLOCK | DEVICE | NOT_AT_EL1 | NOT_AT_EL0,
    BLOCK | SHAREABLE | NOT_AT_EL0 | 0x4000_0000,
    BLOCK | SHAREABLE | NOT_AT_EL1 | EL0_MAY | 0x4000_0000,
    0,
]);

/// 4 GiB from address 0, walked through caches; the size of physical addresses is added.
const TCR: u64 = (1 << 23) | (3 << 12) | (1 << 10) | (1 << 8) | 32;

global_asm!(
    // The header of Documentation/arch/arm64/booting.rst.
    ".pushsection .image.header, \"ax\"",
    ".global _start",
    "_start:",
    "b      2f",
    ".long  0",
    // Offset from RAM, size, and flags: little-endian, 4 KiB pages.
    ".quad  0x200000, _image_size, 2",
    ".quad  0, 0, 0",
    ".ascii \"ARM\\x64\"",
    ".long  0",
    "2:",
    "adrp   x0, {TABLE}",
    "add    x0, x0, :lo12:{TABLE}",
    "msr    ttbr0_el1, x0",
    // Attributes 0 are those of memory.
    "mov    x0, #0xff",
    "msr    mair_el1, x0",
    // No more than 48 bits, with which a page of 4 KiB always works.
    "mrs    x1, id_aa64mmfr0_el1",
    "and    x1, x1, #0xf",
    "mov    x2, #5",
    "cmp    x1, x2",
    "csel   x1, x1, x2, lo",
    "ldr    x0, ={TCR}",
    "orr    x0, x0, x1, lsl #32",
    "msr    tcr_el1, x0",
    "tlbi   vmalle1",
    "dsb    nsh",
    "isb",
    "ldr    x0, ={SCTLR}",
    "msr    sctlr_el1, x0",
    "ldr    x0, ={FP_ALONE}",
    "msr    cpacr_el1, x0",
    "adrp   x0, vectors",
    "add    x0, x0, :lo12:vectors",
    "msr    vbar_el1, x0",
    "isb",
    "adrp   x0, stack_end",
    "add    x0, x0, :lo12:stack_end",
    "mov    sp, x0",
    "b      {main}",
    ".ltorg",
    ".popsection",
    ".pushsection .bss.stack, \"aw\", %nobits",
    ".balign 16",
    ".space 16384",
    "stack_end:",
    ".popsection",
    TABLE = sym TABLE,
    TCR = const TCR,
    SCTLR = const SCTLR,
    FP_ALONE = const FP_ALONE,
    main = sym crate::main,
);
