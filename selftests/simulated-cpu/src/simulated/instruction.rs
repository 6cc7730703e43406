// SPDX-License-Identifier: GPL-2.0
//! In place of `rust/kernel/arm64/instruction.rs`: the same functions, on the
//! [`Cpu`] of this thread.

use crate::arm64::barrier::Domain;
use crate::arm64::sysreg::RegisterName;
use crate::cpu::{Access, Cpu};

/// MRS.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn mrs<N: RegisterName>() -> u64 {
    Cpu::with_current(|cpu| cpu.mrs::<N>())
}

/// MSR.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn msr<N: RegisterName>(value: u64) {
    Cpu::with_current(|cpu| cpu.msr::<N>(value));
}

/// MSR, from XZR.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn msr_xzr<N: RegisterName>() {
    Cpu::with_current(|cpu| cpu.msr::<N>(0));
}

/// MRS by one of two names.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn mrs_alternative<OLD, NEW, const CPUCAP: u32>() -> u64
where
    OLD: RegisterName,
    NEW: RegisterName,
{
    Cpu::with_current(|cpu| match cpu.has_capability(CPUCAP) {
        true => cpu.mrs::<NEW>(),
        false => cpu.mrs::<OLD>(),
    })
}

/// MSR by one of two names.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn msr_alternative<OLD, NEW, const CPUCAP: u32>(value: u64)
where
    OLD: RegisterName,
    NEW: RegisterName,
{
    Cpu::with_current(|cpu| match cpu.has_capability(CPUCAP) {
        true => cpu.msr::<NEW>(value),
        false => cpu.msr::<OLD>(value),
    });
}

/// MRS of PAR_EL1. No simulated CPU has erratum 1508412.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn mrs_par<N: RegisterName>() -> u64 {
    Cpu::with_current(|cpu| cpu.mrs::<N>())
}

/// The hypervisor of a simulated CPU reaches everything at the kernel's
/// addresses.
pub fn kern_hyp_va(address: usize) -> usize {
    address
}

/// LDP and STP of as many pairs of 64-bit words as a `T` has room for.
///
/// # Safety
///
/// `from` must be valid for reads of a `T` and `to` for writes; they must not
/// overlap.
pub unsafe fn copy_pairs<T>(from: *const u64, to: *mut u64) {
    for word in 0..size_of::<T>() / 16 * 2 {
        // SAFETY: By the safety requirements.
        unsafe { to.add(word).write_volatile(from.add(word).read_volatile()) };
    }
}

/// ISB.
pub fn isb() {
    Cpu::with_current(Cpu::isb);
}

/// DSB.
pub fn dsb<D: Domain>() {
    Cpu::with_current(|cpu| cpu.barrier(Access::Dsb(D::NAME)));
}

/// DMB.
pub fn dmb<D: Domain>() {
    Cpu::with_current(|cpu| cpu.barrier(Access::Dmb(D::NAME)));
}

/// DSB, or a NOP.
pub fn pmr_sync() {
    Cpu::with_current(|cpu| {
        if !cpu.has_capability(bindings::ARM64_HAS_GIC_PRIO_RELAXED_SYNC) {
            cpu.barrier(Access::Dsb("sy"));
        }
    });
}

/// AT, and an ISB.
///
/// # Safety
///
/// None here; the instruction has some.
pub unsafe fn at_s1e1<const IGNORING_PERMISSIONS: bool>(address: u64) -> bool {
    Cpu::with_current(|cpu| cpu.at_s1e1(address, IGNORING_PERMISSIONS))
}

/// Reads the physical counter.
pub fn mrs_cntpct() -> u64 {
    Cpu::with_current(Cpu::mrs_cntpct)
}

/// The frame pointer and the address of the code that runs, which a simulated
/// CPU does not have.
pub fn frame() -> (usize, usize) {
    (0xf4a3e, 0xc0de)
}

/// Tests a capability.
pub fn alternative_has_cap_likely<const CPUCAP: u32>() -> bool {
    Cpu::with_current(|cpu| cpu.has_capability(CPUCAP))
}

/// Tests a capability.
pub fn alternative_has_cap_unlikely<const CPUCAP: u32>() -> bool {
    Cpu::with_current(|cpu| cpu.has_capability(CPUCAP))
}

/// All ones, or 0. There is no speculation here.
pub fn array_index_mask_nospec(index: usize, size: usize) -> usize {
    match index < size {
        true => usize::MAX,
        false => 0,
    }
}
