// SPDX-License-Identifier: GPL-2.0

//! The first SVE access after the vCPU was loaded: it traps to EL2, which loads the guest's
//! registers.
//!
//! A read of the UART's scratch register follows, which the VMM answers, as in the guest of the
//! first FP access. It needs a vCPU with SVE, and resets without.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! first_sve {
    ($as:ident) => {
        $crate::$as! {
            name: "first_sve",
            marker: 7,
            setup: "
            .arch_extension sve
            mrs     x0, id_aa64pfr0_el1
            ubfx    x0, x0, #32, #4
            cbz     x0, 3f
            ldr     x21, ={UART}
            mov     w22, #0x4b
            strb    w22, [x21, #7]
            // FP and SVE are not to be trapped to EL1.
            mov     x0, #0x330000
            msr     cpacr_el1, x0
            isb
            mov     x0, #15
            msr     zcr_el1, x0
            isb
            mov     x23, #0
            mov     z0.d, x23
            ldrb    w0, [x21, #7]
            ",
            exit: "
            ptrue   p0.b
            lastb   x0, p0, z0.d
            cmp     x0, x23
            b.ne    3f
            add     x23, x20, x20, lsl #32
            mov     z0.d, x23
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
