// SPDX-License-Identifier: GPL-2.0

//! The worlds that KVM's code is built for, and what registers are called there.
//!
//! One source serves them all. What differs is the type `W: World` that it is instantiated with.
//!
//! C header: [`arch/arm64/include/asm/kvm_hyp.h`](srctree/arch/arm64/include/asm/kvm_hyp.h)

use super::{
    cpucap, instruction,
    registers::{
        TPIDR_EL1,
        TPIDR_EL2, //
    },
    sysreg::{
        El0Register,
        El1Register,
        El2Register, //
    },
};

/// Where code runs.
///
/// All functions require what [`sysreg::read`](super::sysreg::read) and
/// [`sysreg::write`](super::sysreg::write) do, and that the code runs in that world.
pub trait World {
    /// Whether this is the kernel itself, at EL2; C's `has_vhe()`.
    const VHE: bool;

    /// Returns whether `HCR_EL2.E2H` is 1 while the hypervisor of this world runs: under VHE, and
    /// with hVHE.
    fn has_e2h() -> bool;

    /// Returns the address by which this world reaches what the kernel has at `pointer`. One that
    /// has been converted already stays as it is.
    fn kern_hyp_va<T>(pointer: *mut T) -> *mut T;

    /// Returns how far from a per-CPU variable this CPU's copy of it is.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn this_cpu_offset() -> usize;

    /// Reads a register of EL1, the guest's or, without VHE, the host's.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn read_el1<R: El1Register>() -> R;

    /// Writes a register of EL1, the guest's or, without VHE, the host's.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn write_el1<R: El1Register>(value: R);

    /// Reads a register of EL2, the hypervisor's own.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn read_el2<R: El2Register>() -> R;

    /// Writes a register of EL2, the hypervisor's own.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn write_el2<R: El2Register>(value: R);

    /// Reads a register of EL0, the guest's or, without VHE, the host's.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn read_el0<R: El0Register>() -> R;

    /// Writes a register of EL0, the guest's or, without VHE, the host's.
    ///
    /// # Safety
    ///
    /// See [`World`].
    unsafe fn write_el0<R: El0Register>(value: R);
}

/// The kernel runs at EL2, with `HCR_EL2.E2H` set, and the hypervisor is part of it.
pub enum Vhe {}

impl World for Vhe {
    const VHE: bool = true;

    #[inline(always)]
    fn has_e2h() -> bool {
        true
    }

    #[inline(always)]
    fn kern_hyp_va<T>(pointer: *mut T) -> *mut T {
        pointer
    }

    #[inline(always)]
    unsafe fn this_cpu_offset() -> usize {
        // SAFETY: By the safety requirements; EL2 may read it, and keeps the offset there.
        unsafe { instruction::mrs::<TPIDR_EL2>() as usize }
    }

    #[inline(always)]
    unsafe fn read_el1<R: El1Register>() -> R {
        // SAFETY: By the safety requirements; E2H is 1, so the name is there.
        R::from(unsafe { instruction::mrs::<R::El12>() })
    }

    #[inline(always)]
    unsafe fn write_el1<R: El1Register>(value: R) {
        // SAFETY: As for `read_el1`.
        unsafe { instruction::msr::<R::El12>(value.into()) }
    }

    #[inline(always)]
    unsafe fn read_el2<R: El2Register>() -> R {
        // SAFETY: By the safety requirements; E2H is 1, so the name reaches the register of EL2.
        R::from(unsafe { instruction::mrs::<R::E2h>() })
    }

    #[inline(always)]
    unsafe fn write_el2<R: El2Register>(value: R) {
        // SAFETY: As for `read_el2`.
        unsafe { instruction::msr::<R::E2h>(value.into()) }
    }

    #[inline(always)]
    unsafe fn read_el0<R: El0Register>() -> R {
        // SAFETY: As for `read_el1`.
        R::from(unsafe { instruction::mrs::<R::El02>() })
    }

    #[inline(always)]
    unsafe fn write_el0<R: El0Register>(value: R) {
        // SAFETY: As for `read_el1`.
        unsafe { instruction::msr::<R::El02>(value.into()) }
    }
}

/// The kernel runs at EL1, and the hypervisor is an object of its own at EL2.
///
/// `HCR_EL2.E2H` is 0 there, or 1 with hVHE. That is known once the CPUs are, so each access is one
/// instruction that is patched at boot.
pub enum Nvhe {}

impl World for Nvhe {
    const VHE: bool = false;

    #[inline(always)]
    fn has_e2h() -> bool {
        cpucap::has_hvhe()
    }

    #[inline(always)]
    fn kern_hyp_va<T>(pointer: *mut T) -> *mut T {
        instruction::kern_hyp_va(pointer as usize) as *mut T
    }

    #[inline(always)]
    unsafe fn this_cpu_offset() -> usize {
        // SAFETY: By the safety requirements; EL2 may read it, and keeps the offset there.
        unsafe { instruction::mrs::<TPIDR_EL2>() as usize }
    }

    #[inline(always)]
    unsafe fn read_el1<R: El1Register>() -> R {
        // SAFETY: By the safety requirements; E2H is 1 where the capability is there, so either
        // name is used where it reaches the register of EL1.
        R::from(unsafe {
            instruction::mrs_alternative::<R, R::El12, { bindings::ARM64_KVM_HVHE }>()
        })
    }

    #[inline(always)]
    unsafe fn write_el1<R: El1Register>(value: R) {
        // SAFETY: As for `read_el1`.
        unsafe {
            instruction::msr_alternative::<R, R::El12, { bindings::ARM64_KVM_HVHE }>(value.into())
        }
    }

    #[inline(always)]
    unsafe fn read_el2<R: El2Register>() -> R {
        // SAFETY: As for `read_el1`, with the names of the register of EL2.
        R::from(unsafe {
            instruction::mrs_alternative::<R, R::E2h, { bindings::ARM64_KVM_HVHE }>()
        })
    }

    #[inline(always)]
    unsafe fn write_el2<R: El2Register>(value: R) {
        // SAFETY: As for `read_el2`.
        unsafe {
            instruction::msr_alternative::<R, R::E2h, { bindings::ARM64_KVM_HVHE }>(value.into())
        }
    }

    #[inline(always)]
    unsafe fn read_el0<R: El0Register>() -> R {
        // SAFETY: As for `read_el1`, with the names of the register of EL0.
        R::from(unsafe {
            instruction::mrs_alternative::<R, R::El02, { bindings::ARM64_KVM_HVHE }>()
        })
    }

    #[inline(always)]
    unsafe fn write_el0<R: El0Register>(value: R) {
        // SAFETY: As for `read_el0`.
        unsafe {
            instruction::msr_alternative::<R, R::El02, { bindings::ARM64_KVM_HVHE }>(value.into())
        }
    }
}

/// A world whose code runs at EL2, where it can reach what EL1 has, and what is EL2's own.
pub trait Hyp: World {}

impl Hyp for Vhe {}

impl Hyp for Nvhe {}

/// The kernel runs at EL1, beside a hypervisor of its own, and this is the kernel.
///
/// It reaches the registers of EL1 and EL0 by their own names, and none of EL2: code that asks for
/// one does not build.
pub enum Kernel {}

impl World for Kernel {
    const VHE: bool = false;

    #[inline(always)]
    fn has_e2h() -> bool {
        false
    }

    #[inline(always)]
    fn kern_hyp_va<T>(pointer: *mut T) -> *mut T {
        pointer
    }

    #[inline(always)]
    unsafe fn this_cpu_offset() -> usize {
        // SAFETY: By the safety requirements; the kernel keeps the offset there while it runs at
        // EL1.
        unsafe { instruction::mrs::<TPIDR_EL1>() as usize }
    }

    #[inline(always)]
    unsafe fn read_el1<R: El1Register>() -> R {
        // SAFETY: By the safety requirements.
        R::from(unsafe { instruction::mrs::<R>() })
    }

    #[inline(always)]
    unsafe fn write_el1<R: El1Register>(value: R) {
        // SAFETY: By the safety requirements.
        unsafe { instruction::msr::<R>(value.into()) }
    }

    #[inline(always)]
    unsafe fn read_el2<R: El2Register>() -> R {
        const { assert!(R::NAME.is_empty(), "EL1 cannot read a register of EL2") };
        R::from(0)
    }

    #[inline(always)]
    unsafe fn write_el2<R: El2Register>(_: R) {
        const { assert!(R::NAME.is_empty(), "EL1 cannot write a register of EL2") };
    }

    #[inline(always)]
    unsafe fn read_el0<R: El0Register>() -> R {
        // SAFETY: By the safety requirements.
        R::from(unsafe { instruction::mrs::<R>() })
    }

    #[inline(always)]
    unsafe fn write_el0<R: El0Register>(value: R) {
        // SAFETY: By the safety requirements.
        unsafe { instruction::msr::<R>(value.into()) }
    }
}
