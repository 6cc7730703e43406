// SPDX-License-Identifier: GPL-2.0

//! A guest that finds its registers as it left them, or resets: TPIDR_EL1 for the system registers,
//! and V or, where it has them, Z registers of the same length. It also looks at an ID register
//! that KVM must trap: SME is on the CPU, and not for guests.
//!
//! Not for measurements, as it uses the FP registers.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::image! {
    name: "registers",
    marker: 6,
    setup: "
    .arch_extension sve
    // FP and SVE are not to be trapped to EL1.
    mov     x1, #0x330000
    msr     cpacr_el1, x1
    isb
    mrs     x22, id_aa64pfr0_el1
    ubfx    x22, x22, #32, #4
    cbz     x22, 4f
    mov     x1, #15
    msr     zcr_el1, x1
    isb
    rdvl    x24, #1
4:
    ",
    exit: "
    add     x25, x20, x20, lsl #32
    msr     tpidr_el1, x25
    cbz     x22, 4f
    mov     z0.d, x25
    mov     z31.d, x25
    b       5f
4:  dup     v0.2d, x25
    dup     v31.2d, x25
5:  ldr     w0, ={FUNCTION}
    hvc     #0
    // NOT_SUPPORTED.
    cmn     x0, #1
    b.ne    3f
    mrs     x1, tpidr_el1
    cmp     x1, x25
    b.ne    3f
    mrs     x1, id_aa64pfr1_el1
    tst     x1, #0xf000000
    b.ne    3f
    mov     x1, v0.d[1]
    cmp     x1, x25
    b.ne    3f
    mov     x1, v31.d[1]
    cmp     x1, x25
    b.ne    3f
    cbz     x22, 6f
    rdvl    x1, #1
    cmp     x1, x24
    b.ne    3f
    ptrue   p0.b
    lastb   x1, p0, z0.d
    cmp     x1, x25
    b.ne    3f
    lastb   x1, p0, z31.d
    cmp     x1, x25
    b.ne    3f
6:
    ",
    operands: {
        FUNCTION = const 0x4b00_0000,
    },
}
