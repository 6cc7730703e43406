// SPDX-License-Identifier: GPL-2.0

//! Exceptions that the hypervisor takes from itself.
//!
//! Few instructions may: an AT that walks a guest's tables into an external abort, the ISB that
//! takes a pending SError. They are in a table. Any other is the end.

#![forbid(unsafe_code)]

use super::view::exception_table::{
    fixup_of,
    go_on_at,
    interrupted_at,
    panic_after, //
};
use kernel::arm64::world::Hyp;

/// Handles the exception: says where the ERET leads.
pub(crate) fn handle<W: Hyp>() {
    let address = interrupted_at();
    match fixup_of(address) {
        Some(fixup) => go_on_at(fixup),
        None => panic_after::<W>(address),
    }
}
