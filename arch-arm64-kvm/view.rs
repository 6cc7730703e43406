// SPDX-License-Identifier: GPL-2.0

//! Typed views of the C structures that KVM/arm64 shares with Rust.
//!
//! The middle layer: the only code of this crate that dereferences raw pointers. A view gives
//! access to what the logic needs and to nothing else.

mod host_data;
pub(crate) mod host_sve;
mod loading;
mod sve_allocation;
mod trace;
mod vcpu;

pub(crate) use host_data::KernelHostData;
#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
pub(crate) use vcpu::host_copy::{
    self,
    HostCopy, //
};
pub(crate) use vcpu::{
    sve::{
        FinalizedSve,
        Sve, //
    },
    SaveFormat,
    Vcpu, //
};
