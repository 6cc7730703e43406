// SPDX-License-Identifier: GPL-2.0

//! HVC with a function id that belongs to nobody, which KVM answers itself.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

exits::guest! {
    marker: 1,
    setup: "",
    exit: "
    ldr     w0, ={FUNCTION}
    hvc     #0
    // NOT_SUPPORTED.
    cmn     x0, #1
    b.ne    3f
    ",
    FUNCTION = const 0x4b00_0000,
}
