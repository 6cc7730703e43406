// SPDX-License-Identifier: GPL-2.0

//! Per-CPU variables.
//!
//! Each image, the kernel's and that of its hypervisor, has per-CPU variables of its own. This
//! CPU's copies are at a distance from the variables that a register of the CPU holds.
//!
//! C header: [`arch/arm64/include/asm/percpu.h`](srctree/arch/arm64/include/asm/percpu.h)

use super::world::World;
use core::ptr::with_exposed_provenance_mut;

/// Returns this CPU's copy of `variable`; C's `this_cpu_ptr()`.
///
/// The pointer is this CPU's for as long as the code cannot leave the CPU: with preemption
/// disabled, and always in the hypervisor.
///
/// # Safety
///
/// The code must run in the world `W`, and `variable` must be a per-CPU variable of its image.
#[inline(always)]
pub unsafe fn this_cpu_ptr<W: World, T>(variable: *mut T) -> *mut T {
    // SAFETY: By the safety requirements.
    let offset = unsafe { W::this_cpu_offset() };
    // The copy is no part of `variable`, and the compiler must not take it for one: C has
    // RELOC_HIDE() for that.
    with_exposed_provenance_mut(variable.expose_provenance().wrapping_add(offset))
}
