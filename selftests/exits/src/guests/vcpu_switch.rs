// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, in a machine that has a twin: the VMM answers, and gives
//! the CPU to the vCPU of the other.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! vcpu_switch {
    ($as:ident) => {
        $crate::$as! {
            name: "vcpu_switch",
            marker: 8,
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
