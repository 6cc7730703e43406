// SPDX-License-Identifier: GPL-2.0

//! What the hypervisor does in both worlds, VHE and nVHE.
//!
//! Both crate roots compile these modules. What differs is a type, the
//! [`World`](kernel::arm64::world::World) that they are instantiated with.

mod pstate;
pub(crate) mod sysreg_sr;
pub(crate) mod view;
