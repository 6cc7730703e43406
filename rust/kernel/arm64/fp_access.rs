// SPDX-License-Identifier: GPL-2.0

//! Proof that FP, SVE and SME instructions do not trap at EL2, and what needs it.
//!
//! Opening the traps takes a write to `CPTR_EL2` and a context synchronisation event. Between the
//! two, an FP instruction may or may not trap, and a trap that the hypervisor takes to itself is a
//! crash. So the write gives [`FpTrapsOpened`], which is good for nothing but an ISB, and the ISB
//! gives [`FpAccess`], which everything that touches the registers asks for.

use super::{
    barrier::isb,
    fp_registers,
    registers::{
        FPCR,
        FPMR,
        FPSR, //
    },
    sysreg, //
};
use crate::types::NotThreadSafe;
use core::marker::PhantomData;

/// The FP traps have been opened, but not for certain by now: the write is not synchronised yet.
#[must_use = "the traps are open for certain after `synchronise()`"]
pub struct FpTrapsOpened(PhantomData<NotThreadSafe>);

impl FpTrapsOpened {
    /// Takes the caller's word that `CPTR_EL2` has been written so.
    ///
    /// # Safety
    ///
    /// What was written must let EL2 use all of FP, SVE and SME that the system offers, and nothing
    /// may be written that does not for as long as the value, or the [`FpAccess`] that comes of
    /// it, is used.
    #[inline(always)]
    pub unsafe fn assume_written() -> Self {
        Self(PhantomData)
    }

    /// Waits until the write has taken effect: an ISB.
    #[inline(always)]
    pub fn synchronise(self) -> FpAccess {
        isb();
        FpAccess(PhantomData)
    }

    /// For where the context synchronisation event is another one.
    ///
    /// # Safety
    ///
    /// Each value of `CPTR_EL2` that may be in force must open what is accessed by the result: the
    /// one that was at the last context synchronisation event, such as an ISB or the exception
    /// by which a guest was left, and each that has been written since.
    #[inline(always)]
    pub unsafe fn assume_synchronised(self) -> FpAccess {
        FpAccess(PhantomData)
    }
}

/// Proof that FP, SVE and SME instructions do not trap at EL2, as far as the system offers them;
/// or, where it is of [`FpTrapsOpened::assume_synchronised`], as far as its caller has said.
///
/// # Invariants
///
/// Each value of `CPTR_EL2` that may be in force lets EL2 use what is used with this: the one at
/// the last context synchronisation event, and each that has been written since.
pub struct FpAccess(PhantomData<NotThreadSafe>);

impl FpAccess {
    /// Gives the proof up, before traps are set that make it untrue.
    #[inline(always)]
    pub fn end(self) {}

    /// Moves V0 to V31, FPSR and FPCR to memory.
    ///
    /// # Safety
    ///
    /// `state` must be valid for writing.
    #[inline(always)]
    pub unsafe fn save_fpsimd(&self, state: *mut bindings::user_fpsimd_state) {
        // SAFETY: By the type invariant and the safety requirement.
        unsafe {
            fp_registers::save_v((&raw mut (*state).vregs).cast());
            self.save_status(state);
        }
    }

    /// Moves V0 to V31, FPSR and FPCR to the CPU.
    ///
    /// # Safety
    ///
    /// `state` must be valid for reading, and nobody must need what is in the registers.
    #[inline(always)]
    pub unsafe fn load_fpsimd(&self, state: *const bindings::user_fpsimd_state) {
        // SAFETY: By the type invariant and the safety requirement.
        unsafe {
            fp_registers::load_v((&raw const (*state).vregs).cast());
            self.load_status(state);
        }
    }

    /// Moves Z0 to Z31, P0 to P15, FFR, FPSR and FPCR to memory, for the vector length in force.
    ///
    /// # Safety
    ///
    /// The system must offer SVE. `registers` must be valid for writing as much as the vector
    /// length takes, and `state` for writing.
    #[inline(always)]
    pub unsafe fn save_sve(
        &self,
        registers: *mut bindings::arm64_sve_state,
        state: *mut bindings::user_fpsimd_state,
    ) {
        // SAFETY: By the type invariant and the safety requirements.
        unsafe {
            fp_registers::save_sve(registers.cast());
            self.save_status(state);
        }
    }

    /// Moves Z0 to Z31, P0 to P15, FFR, FPSR and FPCR to the CPU, for the vector length in force.
    ///
    /// # Safety
    ///
    /// The system must offer SVE. `registers` must be valid for reading as much as the vector
    /// length takes, and `state` for reading; nobody must need what is in the registers.
    #[inline(always)]
    pub unsafe fn load_sve(
        &self,
        registers: *const bindings::arm64_sve_state,
        state: *const bindings::user_fpsimd_state,
    ) {
        // SAFETY: By the type invariant and the safety requirements.
        unsafe {
            fp_registers::load_sve(registers.cast());
            self.load_status(state);
        }
    }

    /// Returns FPMR.
    ///
    /// # Safety
    ///
    /// The system must offer it.
    #[inline(always)]
    pub unsafe fn read_fpmr(&self) -> FPMR {
        // SAFETY: By the type invariant and the safety requirement.
        unsafe { sysreg::read() }
    }

    /// Sets FPMR.
    ///
    /// # Safety
    ///
    /// The system must offer it, and nobody must need what is in the register.
    #[inline(always)]
    pub unsafe fn write_fpmr(&self, value: FPMR) {
        // SAFETY: By the type invariant and the safety requirement.
        unsafe { sysreg::write(value) }
    }

    /// Moves FPSR and FPCR to memory.
    ///
    /// # Safety
    ///
    /// `state` must be valid for writing.
    #[inline(always)]
    unsafe fn save_status(&self, state: *mut bindings::user_fpsimd_state) {
        // SAFETY: By the type invariant and the safety requirement. Bits 63 to 32 are RES0.
        unsafe {
            (&raw mut (*state).fpsr).write(sysreg::read::<FPSR>().into_raw() as u32);
            (&raw mut (*state).fpcr).write(sysreg::read::<FPCR>().into_raw() as u32);
        }
    }

    /// Moves FPSR and FPCR to the CPU.
    ///
    /// # Safety
    ///
    /// `state` must be valid for reading, and nobody must need what is in the registers.
    #[inline(always)]
    unsafe fn load_status(&self, state: *const bindings::user_fpsimd_state) {
        // SAFETY: By the type invariant and the safety requirements.
        unsafe {
            sysreg::write(FPSR::from(u64::from((&raw const (*state).fpsr).read())));
            sysreg::write(FPCR::from(u64::from((&raw const (*state).fpcr).read())));
        }
    }
}
