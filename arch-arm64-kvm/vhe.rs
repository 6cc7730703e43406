// SPDX-License-Identifier: GPL-2.0

//! The hypervisor where the kernel itself runs at EL2.

pub(crate) mod sysreg_sr;
mod view;
mod virtual_el2;

pub(crate) use view::{
    GuestContext,
    HostContext, //
};
