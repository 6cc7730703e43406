// SPDX-License-Identifier: GPL-2.0

//! A read of GICD_IIDR, which KVM's vgic answers.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::guest! {
    marker: 2,
    setup: "ldr x21, ={GICD}",
    exit: "
    // GICD_IIDR.
    ldr     w0, [x21, #8]
    cbz     w0, 3f
    ",
    GICD = const exits::layout::GIC_DISTRIBUTOR,
}
