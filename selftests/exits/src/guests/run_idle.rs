// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, by a guest that uses no FP; the VMM answers. It
//! uses none itself, and what is measured is all from one read to the next.

/// The guest, as `image!` or `data!`; or, by its name and marker, that of `run_fp.rs`.
#[macro_export]
macro_rules! run_idle {
    // The marker is that of rounds.
    ($as:ident) => {
        $crate::run_idle!($as, "run_idle", 0x800a);
    };
    ($as:ident, $name:literal, $marker:literal) => {
        $crate::$as! {
            name: $name,
            marker: $marker,
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
            operands: {
                UART = const $crate::layout::UART,
            },
        }
    };
}
