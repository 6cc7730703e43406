// SPDX-License-Identifier: GPL-2.0

//! The hypervisor where the kernel runs at EL1: nVHE, hVHE and pKVM.

pub(crate) mod pkvm;
pub(crate) mod sysreg_sr;
mod view;

pub(crate) use view::{
    GuestContext,
    HostContext,
    HypVcpu, //
};
