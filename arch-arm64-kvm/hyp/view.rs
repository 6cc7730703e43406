// SPDX-License-Identifier: GPL-2.0

//! Typed views of the C structures that a world switch moves registers to and from.

pub(crate) mod context;
pub(crate) mod features;
mod host_data;
mod vm;

pub(crate) use context::{
    Context,
    Guest,
    Host,
    Owner, //
};
pub(crate) use features::Features;
pub(crate) use host_data::HostData;
