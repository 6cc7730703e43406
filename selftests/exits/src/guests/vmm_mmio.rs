// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, which the VMM answers.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! vmm_mmio {
    ($as:ident) => {
        $crate::$as! {
            name: "vmm_mmio",
            marker: 3,
            setup: "
            ldr     x21, ={UART}
            mov     w22, #0x4b
            strb    w22, [x21, #7]
            ",
            exit: "
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
