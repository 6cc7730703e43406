// SPDX-License-Identifier: GPL-2.0

//! SVE of a vCPU through KVM's ABI: what there is to call, and what every call
//! must come to.
//!
//! The model is written from Documentation/virt/kvm/api.rst and the C, without
//! a look at the Rust. A booted host is held against it, and so is KVM's Rust
//! code on the simulated CPU.

pub mod call;
pub mod id;
pub mod model;
pub mod random;
pub mod worker;
