// SPDX-License-Identifier: GPL-2.0

//! Typed views of the C structures that KVM/arm64 shares with Rust.
//!
//! The middle layer: the only code of this crate that dereferences raw pointers. A view gives
//! access to what the logic needs and to nothing else.

mod fp_owner;
mod host_data;
mod vcpu;

pub(crate) use fp_owner::FpOwner;
pub(crate) use host_data::HostData;
pub(crate) use vcpu::{
    SaveFormat,
    Vcpu, //
};
