// SPDX-License-Identifier: GPL-2.0

//! A read of GICD_IIDR, which KVM's vgic answers.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! vgic_mmio {
    ($as:ident) => {
        $crate::$as! {
            name: "vgic_mmio",
            marker: 2,
            setup: "ldr x21, ={GICD}",
            exit: "
            // GICD_IIDR.
            ldr     w0, [x21, #8]
            cbz     w0, 3f
            ",
            operands: {
                GICD = const $crate::layout::GIC_DISTRIBUTOR,
            },
        }
    };
}
