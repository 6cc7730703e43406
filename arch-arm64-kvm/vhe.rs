// SPDX-License-Identifier: GPL-2.0

//! The hypervisor where the kernel itself runs at EL2.

pub(crate) mod exits;
mod fp;
pub(crate) mod switch;
pub(crate) mod sysreg_sr;
mod timer;
pub(crate) mod traps;
pub(crate) mod view;
mod virtual_el2;

pub(crate) use view::{
    panic,
    GuestContext,
    HostContext,
    HostData, //
};
