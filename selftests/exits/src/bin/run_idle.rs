// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, by a guest that uses no FP; the VMM answers. It
//! uses none itself, and what is measured is all from one read to the next.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::guest! {
    // Rounds.
    marker: 0x800a,
    setup: "
    ldr     x21, ={UART}
    mov     w22, #0x4b
    strb    w22, [x21, #7]
    ",
    exit: "
    movz    xzr, #0x8000
    ldrb    w0, [x21, #7]
    cmp     w0, w22
    b.ne    3f
    ",
    UART = const exits::layout::UART,
}
