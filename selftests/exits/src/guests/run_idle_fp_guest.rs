// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, by a guest that uses FP before each; the VMM answers. It
//! uses none itself, and what is measured is all from one read to the next: two exits.

/// The guest, as `image!` or `data!`; or, by its name and marker, that of `run_fp_fp_guest.rs`.
#[macro_export]
macro_rules! run_idle_fp_guest {
    // The marker is that of rounds.
    ($as:ident) => {
        $crate::run_idle_fp_guest!($as, "run_idle_fp_guest", 0x800c);
    };
    ($as:ident, $name:literal, $marker:literal) => {
        $crate::$as! {
            name: $name,
            marker: $marker,
            setup: "
            ldr     x21, ={UART}
            mov     w22, #0x4b
            strb    w22, [x21, #7]
            // FP is not to be trapped to EL1.
            mov     x0, #0x300000
            msr     cpacr_el1, x0
            isb
            mov     x23, #0
            movi    v0.2d, #0
            ",
            exit: "
            movz    xzr, #0x8000
            mov     x0, v0.d[1]
            cmp     x0, x23
            b.ne    3f
            add     x23, x20, x20, lsl #32
            dup     v0.2d, x23
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
