// SPDX-License-Identifier: GPL-2.0

//! What the hypervisor does in both worlds, VHE and nVHE.
//!
//! Both crate roots compile these modules. What differs is a type, the
//! [`World`](kernel::arm64::world::World) that they are instantiated with.

pub(crate) mod cptr;
// Assembly, which a simulated CPU has no use for.
#[cfg(CONFIG_ARM64)]
mod entry;
pub(crate) mod exits;
pub(crate) mod fp;
pub(crate) mod pstate;
pub(crate) mod sysreg_sr;
pub(crate) mod traps;
pub(crate) mod unexpected_exception;
pub(crate) mod view;
