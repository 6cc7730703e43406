// SPDX-License-Identifier: GPL-2.0

//! The first FP access after the vCPU was loaded: it traps to EL2, which loads the guest's
//! registers.
//!
//! A read of the UART's scratch register follows, which the VMM answers: KVM puts the vCPU, and the
//! next access traps again. So there are two exits for each that is measured.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! first_fp {
    ($as:ident) => {
        $crate::$as! {
            name: "first_fp",
            marker: 5,
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
            ldrb    w0, [x21, #7]
            ",
            exit: "
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
