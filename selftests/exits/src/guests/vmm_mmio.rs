// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, which the VMM answers.

/// The guest, as `image!` or `data!`; or, by its name and marker, that of `vcpu_switch.rs`.
#[macro_export]
macro_rules! vmm_mmio {
    ($as:ident) => {
        $crate::vmm_mmio!($as, "vmm_mmio", 3);
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
