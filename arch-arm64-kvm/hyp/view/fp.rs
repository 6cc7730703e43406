// SPDX-License-Identifier: GPL-2.0

//! The FP registers of a CPU, by who owns them, and where their contents are kept.
//!
//! While a guest is loaded, the registers are somebody's: nobody's, the host's or the guest's. Each
//! is a type here, and what can be done with the registers, and what they can become, are functions
//! of that type. There is no other way to change the owner.
//!
//! ```text
//!               host_saved()               given_to_guest()
//!             ---------------->           ------------------->
//!   HostOwned                      Free                         GuestOwned
//!             <----------------           <-------------------
//!               given_to_host()              guest_saved()
//! ```
//!
//! Only registers that are nobody's can be loaded, with the guest's state or the host's. pKVM's EL2
//! goes all of these ways. Otherwise a guest's state is saved by the kernel, and so is the host's:
//! it notes that the registers are nobody's when it has saved what was in them (see `fpsimd`), or,
//! under VHE, is called to do so.

use super::{
    context::{
        context_registers,
        ContextRegister, //
    },
    fp_event,
    Context,
    FpEvent,
    FpOwner,
    Guest,
    HostData, //
};
use crate::vector_length::VectorLength;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    arm64::{
        fp_access::FpAccess,
        registers::{
            FPEXC32_EL2,
            FPMR,
            ZCR_EL1,
            ZCR_EL2, //
        },
        sysreg,
        world::Hyp, //
    },
    bindings, //
};

context_registers! { FPEXC32_EL2 FPMR ZCR_EL1 ZCR_EL2 }

/// The registers are nobody's: what is in them is saved elsewhere, or worth nothing.
pub(crate) enum Free {}

/// The registers are the host's, and nowhere else is what is in them.
pub(crate) enum HostOwned {}

/// The registers are the guest's, and nowhere else is what is in them.
pub(crate) enum GuestOwned {}

/// The FP registers of this CPU, whose owner is `O`.
///
/// # Invariants
///
/// The owner is `O`. What is noted in memory may be an earlier one, until they are given to the
/// next. `host` is as in [`HostData`].
pub(crate) struct FpRegisters<'a, W: Hyp, O> {
    /// For the views of one world to reach the host's places by.
    pub(crate) host: NonNull<bindings::kvm_host_data>,
    _owner: PhantomData<(&'a mut bindings::kvm_host_data, W, O)>,
}

/// The FP registers of this CPU, and whose they are.
pub(crate) enum FpOwnership<'a, W: Hyp> {
    /// Nobody's.
    Free(FpRegisters<'a, W, Free>),
    /// The host's.
    Host(FpRegisters<'a, W, HostOwned>),
    /// The guest's.
    Guest(FpRegisters<'a, W, GuestOwned>),
}

impl<W: Hyp> HostData<'_, W> {
    #[inline(always)]
    fn fp_owner(&self) -> FpOwner {
        // SAFETY: A field of the structure, by the type invariant.
        FpOwner::from_raw(unsafe { (&raw const (*self.ptr.as_ptr()).fp_owner).read() })
    }

    /// Returns the FP registers by their owner.
    #[inline(always)]
    pub(crate) fn fp_registers(&mut self) -> FpOwnership<'_, W> {
        // INVARIANT: The owner is the one that is noted.
        match self.fp_owner() {
            FpOwner::Guest => FpOwnership::Guest(FpRegisters::new(self.ptr)),
            FpOwner::Host => FpOwnership::Host(FpRegisters::new(self.ptr)),
            FpOwner::Free => FpOwnership::Free(FpRegisters::new(self.ptr)),
        }
    }

    /// Returns whether the guest owns the FP registers.
    #[inline(always)]
    pub(crate) fn guest_owns_fp(&self) -> bool {
        self.fp_owner() == FpOwner::Guest
    }
}

impl<'a, W: Hyp, O> FpRegisters<'a, W, O> {
    /// To be called where the invariant holds: where the owner is read, or changes.
    #[inline(always)]
    fn new(host: NonNull<bindings::kvm_host_data>) -> Self {
        // INVARIANT: As the caller says.
        Self {
            host,
            _owner: PhantomData,
        }
    }

    #[inline(always)]
    fn owned_by<P>(self, owner: u32) -> FpRegisters<'a, W, P> {
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { (&raw mut (*self.host.as_ptr()).fp_owner).write(owner) };
        FpRegisters::new(self.host)
    }
}

impl<'a, W: Hyp> FpRegisters<'a, W, Free> {
    /// Makes the registers the guest's, whose state has been loaded into them.
    #[inline(always)]
    pub(crate) fn given_to_guest(self) -> FpRegisters<'a, W, GuestOwned> {
        self.owned_by(bindings::kvm_host_data_FP_STATE_GUEST_OWNED)
    }
}

// Where EL2 saves registers itself, here and below.
#[allow(dead_code)]
impl<'a, W: Hyp> FpRegisters<'a, W, Free> {
    /// Makes the registers the host's, whose state has been loaded into them.
    #[inline(always)]
    pub(crate) fn given_to_host(self) -> FpRegisters<'a, W, HostOwned> {
        self.owned_by(bindings::kvm_host_data_FP_STATE_HOST_OWNED)
    }
}

#[allow(dead_code)]
impl<'a, W: Hyp> FpRegisters<'a, W, GuestOwned> {
    /// Takes the registers, whose contents have been saved, from the guest.
    ///
    /// Nothing is noted: nobody looks before the host has them.
    #[inline(always)]
    pub(crate) fn guest_saved(self) -> FpRegisters<'a, W, Free> {
        // INVARIANT: What was in them is saved, so they are nobody's.
        FpRegisters::new(self.host)
    }
}

impl<'a, W: Hyp> FpRegisters<'a, W, HostOwned> {
    /// Takes the registers, whose contents have been saved, from the host.
    ///
    /// Nothing is noted: nobody looks before the guest has them.
    #[inline(always)]
    pub(crate) fn host_saved(self) -> FpRegisters<'a, W, Free> {
        // INVARIANT: As above.
        FpRegisters::new(self.host)
    }
}

/// Sets the vector length for EL2, EL1 and EL0 by the name `ZCR_EL2`.
///
/// The new length is in force for the SVE instructions that follow.
#[inline(always)]
pub(crate) fn set_zcr_el2(value: u64, _: &FpAccess) {
    // SAFETY: By the token, there is no trap. EL2 uses vectors to move registers only, and who
    // moves them sees to the length.
    unsafe { sysreg::write(ZCR_EL2::from(value)) }
}

/// Sets the vector length for EL2, EL1 and EL0 by the name `ZCR_EL2`, if it is another one: a read
/// costs less than a write.
#[inline(always)]
pub(crate) fn change_zcr_el2(value: u64, access: &FpAccess) {
    // SAFETY: As for `set_zcr_el2`.
    let old: u64 = unsafe { sysreg::read::<ZCR_EL2>() }.into();
    let new = (old & !ZCR_EL2::LEN_MASK) | (value & ZCR_EL2::LEN_MASK);
    if new != old {
        set_zcr_el2(new, access);
    }
}

/// Sets the vector length for EL2, EL1 and EL0 by the name of this world.
#[inline(always)]
pub(crate) fn set_world_zcr_el2<W: Hyp>(value: u64, _: &FpAccess) {
    // SAFETY: As for `set_zcr_el2`.
    unsafe { W::write_el2(ZCR_EL2::from(value)) }
}

/// Returns what EL1 has set for EL1 and EL0.
#[inline(always)]
pub(crate) fn zcr_el1<W: Hyp>(_: &FpAccess) -> ZCR_EL1 {
    // SAFETY: By the token, there is no trap.
    unsafe { W::read_el1() }
}

/// Sets the vector length for EL1 and EL0, as EL1 does.
#[inline(always)]
pub(crate) fn set_zcr_el1<W: Hyp>(value: ZCR_EL1, _: &FpAccess) {
    // SAFETY: By the token, there is no trap. No effect on EL2.
    unsafe { W::write_el1(value) }
}

/// The moves of a register file, each once: they are large, and rare.
pub(crate) mod moves {
    use kernel::{
        arm64::fp_access::FpAccess,
        bindings, //
    };

    /// As [`FpAccess::load_fpsimd`].
    ///
    /// # Safety
    ///
    /// As for that.
    #[inline(never)]
    pub(crate) unsafe fn load_fpsimd(access: &FpAccess, state: *const bindings::user_fpsimd_state) {
        // SAFETY: By the safety requirements.
        unsafe { access.load_fpsimd(state) }
    }

    /// As [`FpAccess::save_fpsimd`].
    ///
    /// # Safety
    ///
    /// As for that.
    // Only pKVM's EL2 saves registers, here and below.
    #[allow(dead_code)]
    #[inline(never)]
    pub(crate) unsafe fn save_fpsimd(access: &FpAccess, state: *mut bindings::user_fpsimd_state) {
        // SAFETY: By the safety requirements.
        unsafe { access.save_fpsimd(state) }
    }

    /// As [`FpAccess::load_sve`].
    ///
    /// # Safety
    ///
    /// As for that.
    #[inline(never)]
    pub(crate) unsafe fn load_sve(
        access: &FpAccess,
        registers: *const bindings::arm64_sve_state,
        state: *const bindings::user_fpsimd_state,
    ) {
        // SAFETY: By the safety requirements.
        unsafe { access.load_sve(registers, state) }
    }

    /// As [`FpAccess::save_sve`].
    ///
    /// # Safety
    ///
    /// As for that.
    #[allow(dead_code)]
    #[inline(never)]
    pub(crate) unsafe fn save_sve(
        access: &FpAccess,
        registers: *mut bindings::arm64_sve_state,
        state: *mut bindings::user_fpsimd_state,
    ) {
        // SAFETY: By the safety requirements.
        unsafe { access.save_sve(registers, state) }
    }
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns the guest's longest vector, for which its SVE state is laid out.
    #[inline(always)]
    pub(crate) fn sve_max_vl(&self) -> VectorLength {
        // SAFETY: A field of the vCPU, by the type invariant.
        VectorLength::of_bytes(unsafe { (&raw const (*self.vcpu.as_ptr()).arch.sve_max_vl).read() })
    }

    /// Counts what has become of the FP registers.
    #[inline(always)]
    pub(crate) fn count_fp(&mut self, event: FpEvent) {
        // SAFETY: A live vCPU that this code has for itself, by the type invariant.
        unsafe { fp_event::count(self.vcpu, event) }
    }

    /// Notes that the guest uses FP, for the kernel.
    #[inline(always)]
    pub(crate) fn note_fp_use(&mut self) {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { (&raw mut (*self.vcpu.as_ptr()).arch.has_used_fp).write(true) }
    }

    #[inline(always)]
    fn sve_state(&self) -> *mut bindings::arm64_sve_state {
        // SAFETY: A field of the vCPU, by the type invariant.
        W::kern_hyp_va(unsafe { (&raw const (*self.vcpu.as_ptr()).arch.sve_state).read() })
    }

    #[inline(always)]
    fn fp_regs(&self) -> *mut bindings::user_fpsimd_state {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { &raw mut (*self.vcpu.as_ptr()).arch.ctxt.fp_regs }
    }

    /// Moves the guest's SVE registers, which are for its longest vector, to the CPU.
    ///
    /// The guest must have SVE, and that length must be in force.
    #[inline(always)]
    pub(crate) fn load_sve(&self, _: &FpRegisters<'_, W, Free>, access: &FpAccess) {
        // SAFETY: A vCPU with SVE has storage for its longest vector before it can be run, and the
        // state beside it; both are valid by the type invariant. With that length in force, which
        // the caller has seen to, no more than that is accessed. The registers are nobody's, so
        // nobody needs what is in them.
        unsafe { moves::load_sve(access, self.sve_state(), self.fp_regs()) }
    }

    /// Moves the guest's SVE registers from the CPU to memory. As for [`Self::load_sve`].
    // Where EL2 saves them itself.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) fn save_sve(&mut self, _: &FpRegisters<'_, W, GuestOwned>, access: &FpAccess) {
        // SAFETY: The storage and the length are as for `load_sve`.
        unsafe { moves::save_sve(access, self.sve_state(), self.fp_regs()) }
    }

    /// Moves the guest's FP registers to the CPU.
    #[inline(always)]
    pub(crate) fn load_fpsimd(&self, _: &FpRegisters<'_, W, Free>, access: &FpAccess) {
        // SAFETY: A field of the vCPU, by the type invariant. For the registers, as in `load_sve`.
        unsafe { moves::load_fpsimd(access, self.fp_regs()) }
    }

    /// Moves the guest's FP registers from the CPU to memory.
    // Where EL2 saves them itself.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) fn save_fpsimd(&mut self, _: &FpRegisters<'_, W, GuestOwned>, access: &FpAccess) {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { moves::save_fpsimd(access, self.fp_regs()) }
    }

    /// Moves the guest's FPMR to the CPU. The guest must have it.
    #[inline(always)]
    pub(crate) fn load_fpmr(&self, _: &FpRegisters<'_, W, Free>, access: &FpAccess) {
        // SAFETY: The system offers it, or the guest would not have it.
        unsafe { access.write_fpmr(self.get::<FPMR>()) }
    }

    /// Moves the guest's FPMR to memory. The guest must have it.
    // Where EL2 saves it itself.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) fn save_fpmr(&mut self, _: &FpRegisters<'_, W, GuestOwned>, access: &FpAccess) {
        // SAFETY: The system offers it, or the guest would not have it.
        self.set(unsafe { access.read_fpmr() });
    }

    /// Lets FP instructions of an AArch32 guest trap to EL2, whatever the guest has in `FPEXC`.
    ///
    /// FPEXC.EN comes first: with it clear, they would be undefined to EL1, and never reach EL2.
    /// `CPTR_EL2` comes later: once it traps FP, the access would trap itself.
    ///
    /// Arm ARM (DDI 0487), "Enabling or disabling of Advanced SIMD and floating-point execution" of
    /// AArch32 state.
    #[inline(always)]
    pub(crate) fn enable_fpexc(&self) {
        const FPEXC_EN: u64 = 1 << 30;
        // SAFETY: EL2 may write it where there is FP, as long as `CPTR_EL2` does not trap that,
        // which the caller writes next; with an effect on AArch32 state only. The guest's value is
        // in memory while it does not own the FP registers.
        unsafe { sysreg::write(FPEXC32_EL2::from(FPEXC_EN)) }
    }

    /// Moves `FPEXC32_EL2` from memory to the CPU.
    #[inline(always)]
    pub(crate) fn load_fpexc32(&self, _: &FpRegisters<'_, W, Free>, _: &FpAccess) {
        // SAFETY: EL2 may write it where there is FP, with an effect on AArch32 state only.
        unsafe { sysreg::write(self.get::<FPEXC32_EL2>()) }
    }

    /// Moves `FPEXC32_EL2` from the CPU to memory, after a run of a guest that owns the FP
    /// registers.
    #[inline(always)]
    pub(crate) fn save_fpexc32(&mut self) {
        // SAFETY: EL2 may read it where there is FP and `CPTR_EL2` does not trap that: neither what
        // it was while the guest ran nor what has been written since does.
        self.set(unsafe { sysreg::read::<FPEXC32_EL2>() });
    }
}
