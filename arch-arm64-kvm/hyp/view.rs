// SPDX-License-Identifier: GPL-2.0

//! Typed views of the C structures that a world switch moves registers to and from.

pub(crate) mod context;
pub(crate) mod cptr;
pub(crate) mod exception_table;
pub(crate) mod exit;
pub(crate) mod features;
pub(crate) mod fine_grained_traps;
pub(crate) mod fp;
pub(crate) mod fp_event;
mod fp_owner;
mod host_data;
mod nested;
pub(crate) mod stage2;
mod syndrome;
pub(crate) mod timer;
pub(crate) mod translate;
pub(crate) mod traps;
mod vcpu;
pub(crate) mod vgic;
mod vm;

pub(crate) use context::{
    Context,
    Guest,
    Host,
    Owner, //
};
pub(crate) use features::Features;
pub(crate) use fp_event::FpEvent;
pub(crate) use fp_owner::FpOwner;
pub(crate) use host_data::HostData;
pub(crate) use syndrome::{
    classes_for_the_kernel,
    Accessed,
    Class,
    Syndrome, //
};
pub(crate) use vm::Vm;
