// SPDX-License-Identifier: GPL-2.0

//! `struct kvm_cpu_context`: the registers of a guest or of the host, in memory.

use super::{
    vm::Vm,
    Features, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    arm64::{
        registers::*,
        sysreg::{
            self,
            El1Register,
            SystemRegister, //
        },
        world::{
            Hyp,
            World, //
        }, //
    },
    bindings, //
};

/// A register that a context has a place for.
pub(crate) trait ContextRegister: SystemRegister {
    /// Which place: a value of `enum vcpu_sysreg`.
    const PLACE: u32;
}

/// A register that guest and host take turns in, and that has the same name at all exception
/// levels.
///
/// None of them has an effect on what the hypervisor does, so a context's value may be there while
/// it runs: but for `POR_EL0` they are nothing to EL2, and that one is about accesses to the memory
/// of user space, of which it makes none.
pub(crate) trait SharedRegister: ContextRegister {}

/// A register that only EL0 uses: the kernel can switch it from EL1 as well as from EL2.
pub(crate) trait UserRegister: ContextRegister {}

/// Gives registers their places, by their names.
macro_rules! context_registers {
    ($($register:ident)*) => {
        ::kernel::macros::paste! {
            $(impl ContextRegister for $register {
                const PLACE: u32 = ::kernel::bindings::[<vcpu_sysreg_ $register>];
            })*
        }
    };
}

macro_rules! shared_registers {
    ($($register:ident)*) => {
        context_registers! { $($register)* }
        $(impl SharedRegister for $register {})*
    };
}

context_registers! {
    APDAKEYHI_EL1 APDAKEYLO_EL1 APDBKEYHI_EL1 APDBKEYLO_EL1 APGAKEYHI_EL1 APGAKEYLO_EL1
    APIAKEYHI_EL1 APIAKEYLO_EL1 APIBKEYHI_EL1 APIBKEYLO_EL1 GCR_EL1 RGSR_EL1
}

context_registers! {
    AFSR0_EL1 AFSR1_EL1 AMAIR_EL1 CNTKCTL_EL1 CONTEXTIDR_EL1 CPACR_EL1 DISR_EL1 ELR_EL1 ESR_EL1
    FAR_EL1 MAIR_EL1 MDSCR_EL1 MPIDR_EL1 PIRE0_EL1 PIR_EL1 POR_EL1 SCTLR2_EL1 SCTLR_EL1
    SPSR_EL1 TCR2_EL1 TCR_EL1 TFSR_EL1 TTBR0_EL1 TTBR1_EL1 VBAR_EL1 VDISR_EL2 VMPIDR_EL2 VPIDR_EL2
}

pub(crate) use context_registers;

shared_registers! {
    DACR32_EL2 DBGVCR32_EL2 IFSR32_EL2 NVHCR_EL2 PAR_EL1 POR_EL0 SP_EL1 TPIDR_EL1
}

context_registers! { TFSRE0_EL1 TPIDRRO_EL0 TPIDR_EL0 }

impl UserRegister for TFSRE0_EL1 {}
impl UserRegister for TPIDRRO_EL0 {}
impl UserRegister for TPIDR_EL0 {}

/// The saved program status of an AArch32 mode, which has a place of its own in a context.
pub(crate) trait BankedSpsr: SystemRegister {
    /// Returns the place.
    ///
    /// # Safety
    ///
    /// `context` must be valid.
    unsafe fn place(context: *mut bindings::kvm_cpu_context) -> *mut u64;
}

macro_rules! banked_spsrs {
    ($($register:ident => $field:ident,)*) => {
        $(impl BankedSpsr for $register {
            #[inline(always)]
            unsafe fn place(context: *mut bindings::kvm_cpu_context) -> *mut u64 {
                // SAFETY: A field of the context, by the safety requirement.
                unsafe { &raw mut (*context).$field }
            }
        })*
    };
}

banked_spsrs! {
    SPSR_abt => spsr_abt,
    SPSR_und => spsr_und,
    SPSR_irq => spsr_irq,
    SPSR_fiq => spsr_fiq,
}

/// Whose registers a context holds.
pub(crate) trait Owner {
    /// True for the host's.
    const IS_HOST: bool;
}

/// A guest's registers.
pub(crate) enum Guest {}

impl Owner for Guest {
    const IS_HOST: bool = false;
}

/// The host's registers.
pub(crate) enum Host {}

impl Owner for Host {
    const IS_HOST: bool = true;
}

/// A context, which moves its registers from the CPU and to the CPU.
///
/// `O` says whose it is, so that one cannot be restored in the other's place.
///
/// A register moves by one MRS or MSR, and one load or store. One that the CPU or the guest does
/// not have must not be named, or the access is UNDEFINED: [`Features`] say which there are.
///
/// # Invariants
///
/// `context` is valid for reading and writing for `'a`, and nobody else uses it; this code runs in
/// the world `W`, in no other's way. `vncr` is where the registers from `__VNCR_START__` on are.
/// `vcpu` is the vCPU that the context is part of, or, for the host's, that takes its place.
pub(crate) struct Context<'a, W: World, O: Owner> {
    context: NonNull<bindings::kvm_cpu_context>,
    vncr: NonNull<u64>,
    /// For the views of one world to reach more of the vCPU by.
    pub(crate) vcpu: NonNull<bindings::kvm_vcpu>,
    features: Features,
    _context: PhantomData<(&'a mut bindings::kvm_cpu_context, W, O)>,
}

/// Registers from here on are in the VNCR page of a vCPU that has one.
const VNCR_START: u32 = bindings::vcpu_sysreg___VNCR_START__;

impl<W: World> Context<'_, W, Guest> {
    /// Returns the context of `vcpu`.
    ///
    /// # Safety
    ///
    /// `vcpu` must be a live vCPU for the lifetime of the context, at an address that is good in
    /// the world `W`, and the caller the one that runs it, or puts it, with preemption
    /// disabled. Its features must have been worked out.
    #[inline(always)]
    pub(crate) unsafe fn of(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // SAFETY: By the safety requirements.
        let features = unsafe { Features::of(vcpu) };
        // SAFETY: By the safety requirements; the vCPU has the features.
        unsafe { Self::with_features(vcpu, features) }
    }

    /// Returns the context of `vcpu`, whose features are known.
    ///
    /// # Safety
    ///
    /// As for [`Self::of`], and `features` must be those of the vCPU.
    #[inline(always)]
    pub(crate) unsafe fn with_features(
        vcpu: NonNull<bindings::kvm_vcpu>,
        features: Features,
    ) -> Self {
        // SAFETY: Within the vCPU. One with a virtual EL2 has a VNCR page since it was initialised.
        let (context, vncr) = unsafe {
            let context = NonNull::new_unchecked(&raw mut (*vcpu.as_ptr()).arch.ctxt);
            let vncr = if W::VHE && features.has_nv() {
                NonNull::new_unchecked((*context.as_ptr()).vncr_array)
            } else {
                registers(context).add(VNCR_START as usize)
            };
            (context, vncr)
        };
        // INVARIANT: By the safety requirements.
        Self {
            context,
            vncr,
            vcpu,
            features,
            _context: PhantomData,
        }
    }
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns what the guest reads from `MIDR_EL1`.
    #[inline(always)]
    pub(crate) fn midr_el1(&self) -> u64 {
        if self.features.has_writable_imp_id_regs() {
            // SAFETY: By the type invariant.
            return unsafe { Vm::<'_, W>::of(self.vcpu) }.midr_el1();
        }
        // SAFETY: Can be read at EL2, where it is the CPU's own.
        unsafe { sysreg::read::<MIDR_EL1>() }.into()
    }

    /// Returns whether EL1 of the guest is in AArch32 state.
    #[inline(always)]
    pub(crate) fn el1_is_32bit(&self) -> bool {
        let el1_is_64bit: bool = self.hcr_el2().rw().into();
        !el1_is_64bit
    }

    /// Returns whether somebody uses the debug registers while the guest runs, itself or userspace.
    #[inline(always)]
    pub(crate) fn debug_regs_in_use(&self) -> bool {
        // SAFETY: A field of the vCPU, by the type invariant.
        let owner = unsafe { (*self.vcpu.as_ptr()).arch.debug_owner };
        owner != bindings::kvm_vcpu_arch_VCPU_DEBUG_FREE
    }

    /// Moves `R` from the CPU to memory.
    #[inline(always)]
    pub(crate) fn save_banked<R: BankedSpsr>(&mut self) {
        // SAFETY: EL2 may read it. The place is in the context.
        unsafe { R::place(self.context.as_ptr()).write(sysreg::read::<R>().into()) }
    }

    /// Moves `R` from memory to the CPU.
    #[inline(always)]
    pub(crate) fn restore_banked<R: BankedSpsr>(&self) {
        // SAFETY: EL2 may write it, with an effect on EL1 only. The place is in the context.
        unsafe { sysreg::write(R::from(R::place(self.context.as_ptr()).read())) }
    }
}

impl<W: World> Context<'_, W, Host> {
    /// Returns the host's context at `context`, whose place `vcpu` takes.
    ///
    /// # Safety
    ///
    /// `context` must be that of this CPU, `vcpu` a live vCPU, both at addresses that are good in
    /// the world `W`, for the lifetime of the result. This code must stay on this CPU for that
    /// time, and be the only one to use the context. The vCPU's features must have been worked
    /// out.
    #[inline(always)]
    pub(crate) unsafe fn for_vcpu(
        context: NonNull<bindings::kvm_cpu_context>,
        vcpu: NonNull<bindings::kvm_vcpu>,
    ) -> Self {
        // INVARIANT: By the safety requirements. The host has no VNCR page.
        Self {
            context,
            // SAFETY: Within the array.
            vncr: unsafe { registers(context).add(VNCR_START as usize) },
            vcpu,
            // SAFETY: By the safety requirements.
            features: unsafe { Features::of(vcpu) },
            _context: PhantomData,
        }
    }
}

/// Returns where the registers of `context` begin.
///
/// # Safety
///
/// `context` must be valid.
#[inline(always)]
unsafe fn registers(context: NonNull<bindings::kvm_cpu_context>) -> NonNull<u64> {
    // SAFETY: Within the context, by the safety requirement.
    unsafe { NonNull::new_unchecked(&raw mut (*context.as_ptr()).sys_regs).cast() }
}

impl<W: World, O: Owner> Context<'_, W, O> {
    /// Returns the features of the guest: in the host's context, of the one that takes its place.
    #[inline(always)]
    pub(crate) fn features(&self) -> Features {
        self.features
    }

    /// Returns whether this is a guest with a virtual EL2, which only VHE runs.
    #[inline(always)]
    pub(crate) fn has_nv(&self) -> bool {
        W::VHE && !O::IS_HOST && self.features.has_nv()
    }

    /// Returns whether a virtual SError is one for L2, so that its syndrome is L1's business.
    #[inline(always)]
    pub(crate) fn vserror_state_is_nested(&self) -> bool {
        // SAFETY: By the type invariant.
        self.has_nv() && unsafe { bindings::kvm_vserror_state_is_nested(self.vcpu.as_ptr()) }
    }

    /// Returns whether this is L2 of a guest hypervisor that uses FEAT_NV3.
    #[inline(always)]
    pub(crate) fn is_nested_nv3(&self) -> bool {
        // SAFETY: By the type invariant.
        self.has_nv() && unsafe { bindings::kvm_is_nested_nv3_ctxt(self.vcpu.as_ptr()) }
    }

    #[inline(always)]
    fn place<R: ContextRegister>(&self) -> *mut u64 {
        // SAFETY: `PLACE` is an index into the array, of which the page is the part from
        // `VNCR_START` on.
        unsafe {
            if R::PLACE >= VNCR_START {
                self.vncr.add((R::PLACE - VNCR_START) as usize)
            } else {
                registers(self.context).add(R::PLACE as usize)
            }
        }
        .as_ptr()
    }

    /// Returns the value of `R` in memory.
    #[inline(always)]
    pub(crate) fn get<R: ContextRegister>(&self) -> R {
        // SAFETY: Valid by the type invariant.
        R::from(unsafe { self.place::<R>().read() })
    }

    /// Sets the value of `R` in memory.
    #[inline(always)]
    pub(crate) fn set<R: ContextRegister>(&mut self, value: R) {
        // SAFETY: Valid by the type invariant.
        unsafe { self.place::<R>().write(value.into()) }
    }

    /// Moves `R`, which the context has, from the CPU to memory.
    #[inline(always)]
    pub(crate) fn save_user<R: UserRegister>(&mut self) {
        // SAFETY: EL1 and EL2 may read it. Each CPU has it, or what it is of is among the context's
        // features, which callers ask for.
        self.set(unsafe { sysreg::read::<R>() });
    }

    /// Moves `R`, which the context has, from memory to the CPU.
    #[inline(always)]
    pub(crate) fn restore_user<R: UserRegister>(&self) {
        // SAFETY: As for `save_user`; neither uses it.
        unsafe { sysreg::write(self.get::<R>()) }
    }
}

impl<W: Hyp, O: Owner> Context<'_, W, O> {
    /// Moves `R`, which the context has, from the CPU to memory.
    #[inline(always)]
    pub(crate) fn save<R: SharedRegister>(&mut self) {
        // SAFETY: EL2 may read the registers of EL1 and EL0 that the CPU has, and it has those that
        // are among the context's features, which callers ask for.
        self.set(unsafe { sysreg::read::<R>() });
    }

    /// Moves `R`, which the context has, from memory to the CPU.
    #[inline(always)]
    pub(crate) fn restore<R: SharedRegister>(&self) {
        // SAFETY: As for `save`. This one has no effect on what the hypervisor does.
        unsafe { sysreg::write(self.get::<R>()) }
    }

    /// Moves `R`, which the context has, from the CPU to memory.
    #[inline(always)]
    pub(crate) fn save_el1<R: El1Register + ContextRegister>(&mut self) {
        // SAFETY: As for `save`.
        self.set(unsafe { W::read_el1::<R>() });
    }

    /// Moves `R`, which the context has, from memory to the CPU.
    #[inline(always)]
    pub(crate) fn restore_el1<R: El1Register + ContextRegister>(&self) {
        self.write_el1(self.get::<R>());
    }

    /// Writes `value`, of a register that the context has, to the CPU.
    #[inline(always)]
    pub(crate) fn write_el1<R: El1Register>(&self, value: R) {
        // SAFETY: As for `save`; the registers of EL1 have no effect on EL2.
        unsafe { W::write_el1(value) }
    }

    /// Moves `PAR_EL1` from the CPU to memory, ordered against the AT instructions of a CPU on
    /// which that read needs it.
    #[inline(always)]
    pub(crate) fn save_par(&mut self) {
        // SAFETY: EL2 may read the registers of EL1.
        self.set(unsafe { sysreg::read_par() });
    }

    /// Returns where `MDSCR_EL1` is kept: apart while userspace debugs the guest.
    #[inline(always)]
    fn mdscr_el1(&self) -> *mut u64 {
        if !O::IS_HOST {
            // SAFETY: Fields of the vCPU, by the type invariant.
            unsafe {
                let arch = &raw mut (*self.vcpu.as_ptr()).arch;
                if (*arch).debug_owner == bindings::kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED {
                    return &raw mut (*arch).external_mdscr_el1;
                }
            }
        }
        self.place::<MDSCR_EL1>()
    }

    /// Moves `MDSCR_EL1` from the CPU to memory.
    #[inline(always)]
    pub(crate) fn save_mdscr_el1(&mut self) {
        // SAFETY: EL2 may read it; the place is valid.
        unsafe { self.mdscr_el1().write(sysreg::read::<MDSCR_EL1>().into()) }
    }

    /// Moves `MDSCR_EL1` from memory to the CPU.
    #[inline(always)]
    pub(crate) fn restore_mdscr_el1(&self) {
        // SAFETY: EL2 may write it: debug exceptions from EL2 are masked while the hypervisor
        // switches. The place is valid.
        unsafe { sysreg::write(MDSCR_EL1::from(self.mdscr_el1().read())) }
    }

    /// Sets what `MIDR_EL1` and `MPIDR_EL1` read as at EL1, the former if there is a value.
    #[inline(always)]
    pub(crate) fn set_identity(&self, midr: Option<u64>, mpidr: u64) {
        // SAFETY: EL2 may write these, which have an effect on EL1 only.
        unsafe {
            if let Some(midr) = midr {
                sysreg::write(VPIDR_EL2::from(midr));
            }
            sysreg::write(VMPIDR_EL2::from(mpidr));
        }
    }

    /// Moves the address that the CPU returns to from EL2 to memory.
    #[inline(always)]
    pub(crate) fn save_pc(&mut self) {
        // SAFETY: A register of EL2; the field is valid.
        unsafe { (*self.context.as_ptr()).regs.pc = W::read_el2::<ELR_EL2>().into() }
    }

    /// Moves the PSTATE that the CPU returns with from EL2 to memory.
    #[inline(always)]
    pub(crate) fn save_pstate(&mut self) {
        // SAFETY: A register of EL2; the field is valid.
        unsafe { (*self.context.as_ptr()).regs.pstate = W::read_el2::<SPSR_EL2>().into() }
    }

    /// Returns the PSTATE in memory.
    #[inline(always)]
    pub(crate) fn pstate(&self) -> SPSR_EL2 {
        // SAFETY: The field is valid.
        SPSR_EL2::from(unsafe { (*self.context.as_ptr()).regs.pstate })
    }

    /// Sets where the next ERET goes: to the address in memory, with `pstate`, which must not be
    /// one that runs anything at EL2 (see `hyp::pstate`).
    #[inline(always)]
    pub(crate) fn set_return(&self, pstate: SPSR_EL2) {
        // SAFETY: Code at EL2 does not depend on these until its ERET. That leaves it, or ends in
        // the vectors for an illegal execution state: the caller has seen to the PSTATE. The field
        // is valid.
        unsafe {
            W::write_el2(ELR_EL2::from((*self.context.as_ptr()).regs.pc));
            W::write_el2(pstate);
        }
    }

    /// Moves the syndrome of a deferred virtual SError from the CPU to `R`.
    ///
    /// Only where the CPUs have the RAS extension.
    #[inline(always)]
    pub(crate) fn save_vdisr<R: ContextRegister>(&mut self) {
        // SAFETY: EL2 may read it.
        self.set(R::from(unsafe { sysreg::read::<VDISR_EL2>() }.into()));
    }

    /// Sets the syndrome of a deferred virtual SError.
    ///
    /// Only where the CPUs have the RAS extension.
    #[inline(always)]
    pub(crate) fn set_vdisr(&self, value: u64) {
        // SAFETY: EL2 may write it, with an effect on EL1 only.
        unsafe { sysreg::write(VDISR_EL2::from(value)) }
    }
}
