// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, by a guest that uses FP before each; the VMM answers. It
//! uses FP itself, too, and what is measured is all from one read to the next: two exits.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! run_fp_fp_guest {
    ($as:ident) => {
        $crate::run_idle_fp_guest!($as, "run_fp_fp_guest", 0x800d);
    };
}
