// SPDX-License-Identifier: GPL-2.0

//! Barriers.
//!
//! None of them changes what the program computes, so all are safe to call. The compiler moves no
//! access to memory across them.
//!
//! C header: [`arch/arm64/include/asm/barrier.h`](srctree/arch/arm64/include/asm/barrier.h)

use super::instruction;

/// Instruction synchronisation barrier: a context synchronisation event.
///
/// Instructions after it are fetched, and see system registers, as all writes to system registers
/// before it have left them. Without one in between, a write may or may not have taken effect for
/// the instructions that follow, except that a direct read of the same register sees it.
#[inline(always)]
pub fn isb() {
    instruction::isb();
}

/// Data synchronisation barrier for the domain `D`, for loads and stores.
///
/// It completes when all accesses to memory before it have, and all cache and TLB maintenance and
/// translation table walks of before it, speculative ones included, as far as those in `D` can
/// observe. No instruction after it executes before that.
#[inline(always)]
pub fn dsb<D: Domain>() {
    instruction::dsb::<D>();
}

/// Data memory barrier for the domain `D`, for loads and stores.
///
/// Accesses to memory before it are observed before those after it, as far as observers in `D` can
/// tell.
#[inline(always)]
pub fn dmb<D: Domain>() {
    instruction::dmb::<D>();
}

/// Waits until the redistributor has seen the last write to `ICC_PMR_EL1`, where the kernel masks
/// interrupts by priority and the CPU needs it: a DSB.
#[inline(always)]
pub fn pmr_sync() {
    if cfg!(CONFIG_ARM64_PSEUDO_NMI) {
        instruction::pmr_sync();
    }
}

/// Who has to observe what a barrier orders.
pub trait Domain {
    /// The option, as assemblers have it.
    const NAME: &'static str;
    /// Its encoding, in the CRm field of the instruction.
    const CRM: u8;
}

/// Non-shareable: this CPU.
pub enum Nsh {}

impl Domain for Nsh {
    const NAME: &'static str = "nsh";
    const CRM: u8 = 0b0111;
}

/// Inner Shareable: all CPUs that run this kernel.
pub enum Ish {}

impl Domain for Ish {
    const NAME: &'static str = "ish";
    const CRM: u8 = 0b1011;
}

/// Full system: every observer.
pub enum Sy {}

impl Domain for Sy {
    const NAME: &'static str = "sy";
    const CRM: u8 = 0b1111;
}
