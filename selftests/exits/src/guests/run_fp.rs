// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, by a guest that uses no FP; the VMM answers. It
//! uses FP itself, too, and what is measured is all from one read to the next.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! run_fp {
    ($as:ident) => {
        $crate::run_idle!($as, "run_fp", 0x800b);
    };
}
