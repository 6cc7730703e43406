// SPDX-License-Identifier: GPL-2.0

//! HVC with a function id that belongs to nobody, which KVM answers itself.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! hypercall {
    ($as:ident) => {
        $crate::$as! {
            name: "hypercall",
            marker: 1,
            setup: "",
            exit: "
            ldr     w0, ={FUNCTION}
            hvc     #0
            // NOT_SUPPORTED.
            cmn     x0, #1
            b.ne    3f
            ",
            operands: {
                FUNCTION = const 0x4b00_0000,
            },
        }
    };
}
