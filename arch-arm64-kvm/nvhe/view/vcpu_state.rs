// SPDX-License-Identifier: GPL-2.0

//! A vCPU under pKVM: the state that EL2 keeps of it, and the host's.
//!
//! The host's is in memory that the host can write to at any time, whatever EL2 does. So it is read
//! once, field by field, and what EL2 decides by is its own copy alone. What features a guest has
//! cannot be asked of the host's type.
//!
//! C header: [`nvhe/pkvm.h`](srctree/arch/arm64/kvm/hyp/include/nvhe/pkvm.h)

use super::{
    GuestContext,
    HostContext,
    HostData, //
};
use crate::hyp::view::{
    context::{
        context_registers,
        BankedSpsr,
        ContextRegister, //
    },
    Features, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    arm64::{
        copy::copy_once,
        registers::*,
        world::Nvhe, //
    },
    bindings, //
};

// A register that C code at EL2 works with.
context_registers! { MDCCINT_EL1 }

/// `struct pkvm_hyp_vcpu`.
///
/// # Invariants
///
/// `ptr` is a vCPU of EL2's for `'a`, loaded on this CPU, which nobody else at EL2 uses. Its
/// `host_vcpu` is memory that the host shares and that EL2 has pinned, for at least as long, at an
/// address that a vCPU can have.
pub(crate) struct HypVcpu<'a> {
    ptr: NonNull<bindings::pkvm_hyp_vcpu>,
    _vcpu: PhantomData<&'a mut bindings::pkvm_hyp_vcpu>,
}

impl HypVcpu<'_> {
    /// Makes the view.
    ///
    /// # Safety
    ///
    /// `ptr` must be a vCPU of EL2's that is loaded on this CPU, and stay so for the lifetime of
    /// the view, which must be the only one.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::pkvm_hyp_vcpu) -> Self {
        // INVARIANT: By the safety requirements; EL2 pins the host's vCPU before it makes its own,
        // and makes none where `VcpuState::of_host` refused the address.
        Self {
            // SAFETY: A vCPU is not at NULL.
            ptr: unsafe { NonNull::new_unchecked(ptr) },
            _vcpu: PhantomData,
        }
    }

    /// Returns EL2's state of the vCPU and the host's.
    #[inline(always)]
    pub(crate) fn states(&mut self) -> (VcpuState<'_, KeptByHyp>, VcpuState<'_, KeptByHost>) {
        // INVARIANT: By the type invariant. The two are not in the same memory: EL2's is donated to
        // it, and the host's is the host's.
        // SAFETY: Fields of the structure, by the type invariant; neither is at NULL.
        unsafe {
            (
                VcpuState::new(NonNull::new_unchecked(&raw mut (*self.ptr.as_ptr()).vcpu)),
                VcpuState::new(NonNull::new_unchecked((*self.ptr.as_ptr()).host_vcpu)),
            )
        }
    }

    /// Returns the contexts of the guest and of the host, whose place it takes on this CPU.
    ///
    /// The features must have been worked out, which [`VcpuState::features`] does.
    #[inline(always)]
    pub(crate) fn contexts(
        &mut self,
        host_data: &HostData<'_>,
    ) -> (GuestContext<'_>, HostContext<'_>) {
        // SAFETY: By the type invariant, EL2's own vCPU is live, and nobody else uses it or runs on
        // this CPU. A context's features are those that have been worked out when the vCPU was
        // flushed, or none if it has not been.
        unsafe {
            let vcpu = NonNull::new_unchecked(&raw mut (*self.ptr.as_ptr()).vcpu);
            (GuestContext::of(vcpu), host_data.host_context(vcpu))
        }
    }
}

/// The state is EL2's.
pub(crate) enum KeptByHyp {}

/// The state is the host's.
pub(crate) enum KeptByHost {}

/// The state is of one of them, and whose does not matter.
pub(crate) enum KeptByEither {}

/// The state of a vCPU, as its keeper `K` has it.
///
/// # Invariants
///
/// `vcpu` is valid for reading and writing for `'a`, and aligned. Meanwhile the host may write to
/// `KeptByHost`'s beside this view, and nobody to `KeptByHyp`'s.
pub(crate) struct VcpuState<'a, K> {
    pub(super) vcpu: NonNull<bindings::kvm_vcpu>,
    _vcpu: PhantomData<(&'a mut bindings::kvm_vcpu, K)>,
}

/// Gives access to fields of the vCPU. A read and a write are one load and one store.
macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $type:ty = $($field:ident).+;)*) => {
        impl<K> VcpuState<'_, K> {
            $(
                $(#[$doc])*
                #[inline(always)]
                pub(crate) fn $get(&self) -> $type {
                    // SAFETY: A field of the vCPU, by the type invariant.
                    unsafe { (&raw const (*self.vcpu.as_ptr()).arch.$($field).+).read_volatile() }
                }

                /// Sets it.
                #[inline(always)]
                pub(crate) fn $set(&mut self, value: $type) {
                    // SAFETY: As for reading.
                    unsafe {
                        (&raw mut (*self.vcpu.as_ptr()).arch.$($field).+).write_volatile(value)
                    }
                }
            )*
        }
    };
}

fields! {
    /// Returns the PC.
    pc, set_pc: u64 = ctxt.regs.pc;
    /// Returns PSTATE.
    pstate, set_pstate: u64 = ctxt.regs.pstate;
    /// Returns `HCR_EL2` for the guest.
    hcr_el2, set_hcr_el2: u64 = hcr_el2;
    /// Returns `MDCR_EL2` for the guest.
    mdcr_el2, set_mdcr_el2: u64 = mdcr_el2;
    /// Returns the syndrome of a pending virtual SError.
    vsesr_el2, set_vsesr_el2: u64 = vsesr_el2;
    /// Returns what is asked of the hypervisor for the next entry.
    iflags, set_iflags: u8 = iflags;
    /// Returns the ID of the thread that runs the vCPU.
    pid, set_pid: bindings::pid_t = pid;
    /// Returns `MDSCR_EL1` for while userspace debugs the guest.
    external_mdscr_el1, set_external_mdscr_el1: u64 = external_mdscr_el1;
    /// Returns `ICH_HCR_EL2` for the guest.
    vgic_hcr, set_vgic_hcr: u32 = vgic_cpu.__bindgen_anon_1.vgic_v3.vgic_hcr;
    /// Returns `ICH_VMCR_EL2` of the guest.
    vgic_vmcr, set_vgic_vmcr: u32 = vgic_cpu.__bindgen_anon_1.vgic_v3.vgic_vmcr;
    /// Returns how many list registers are in use.
    used_lrs, set_used_lrs: u32 = vgic_cpu.__bindgen_anon_1.vgic_v3.used_lrs;
}

/// Who uses the debug registers while a guest runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DebugOwner {
    /// Nobody.
    Free,
    /// Userspace, which debugs the guest.
    Host,
    /// The guest.
    Guest,
}

impl VcpuState<'_, KeptByHost> {
    /// Makes the view of what the host says is its vCPU, unless none can be at that address.
    ///
    /// # Safety
    ///
    /// Where one can be, as the type invariant says.
    #[inline(always)]
    pub(crate) unsafe fn of_host(vcpu: *mut bindings::kvm_vcpu) -> Option<Self> {
        let vcpu = NonNull::new(vcpu).filter(|vcpu| vcpu.is_aligned())?;
        // SAFETY: By the safety requirement; it is aligned.
        Some(unsafe { Self::new(vcpu) })
    }
}

impl<K> VcpuState<'_, K> {
    /// Makes the view.
    ///
    /// # Safety
    ///
    /// As the type invariant says.
    #[inline(always)]
    pub(crate) unsafe fn new(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            vcpu,
            _vcpu: PhantomData,
        }
    }

    /// Forgets whose the state is, for what reads either's in the same way.
    #[inline(always)]
    pub(crate) fn of_either(&self) -> ReadOnly<'_> {
        // SAFETY: As for this one: nobody writes through that while the result borrows it, nor
        // through the result.
        ReadOnly(unsafe { VcpuState::new(self.vcpu) })
    }

    /// Forgets whose the state is, for what writes either's in the same way.
    #[inline(always)]
    pub(crate) fn of_either_mut(&mut self) -> VcpuState<'_, KeptByEither> {
        // SAFETY: As for this one, which nobody uses while the result borrows it.
        unsafe { VcpuState::new(self.vcpu) }
    }

    #[inline(always)]
    fn context(&self) -> *mut bindings::kvm_cpu_context {
        // SAFETY: Within the vCPU, by the type invariant.
        unsafe { &raw mut (*self.vcpu.as_ptr()).arch.ctxt }
    }

    /// Returns who uses the debug registers.
    #[inline(always)]
    pub(crate) fn debug_owner(&self) -> DebugOwner {
        // SAFETY: A field of the vCPU, by the type invariant.
        match unsafe { (&raw const (*self.vcpu.as_ptr()).arch.debug_owner).read_volatile() } {
            bindings::kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED => DebugOwner::Host,
            bindings::kvm_vcpu_arch_VCPU_DEBUG_GUEST_OWNED => DebugOwner::Guest,
            // VCPU_DEBUG_FREE. C code at EL2 looks for the registers of any other owner, and has
            // none for one that it does not know: such a value must not get there.
            _ => DebugOwner::Free,
        }
    }

    #[inline(always)]
    fn vgic_v3(&self) -> *mut bindings::vgic_v3_cpu_if {
        // SAFETY: Within the vCPU, by the type invariant.
        unsafe { &raw mut (*self.vcpu.as_ptr()).arch.vgic_cpu.__bindgen_anon_1.vgic_v3 }
    }

    #[inline(always)]
    fn list_registers(&self) -> *mut [u64] {
        // SAFETY: Within the vCPU, by the type invariant.
        unsafe { &raw mut (*self.vgic_v3()).vgic_lr }
    }

    /// Copies what `other` has of the guest's last exception to here.
    #[inline(always)]
    pub(crate) fn copy_fault<L>(&mut self, other: &VcpuState<'_, L>) {
        // SAFETY: Fields of the vCPUs, by the type invariants, and integers all of them.
        unsafe {
            copy_once(
                &raw const (*other.vcpu.as_ptr()).arch.fault,
                &raw mut (*self.vcpu.as_ptr()).arch.fault,
            );
        }
    }

    /// Copies the first `count` list registers of `other` to here: as many of them as there can be.
    #[inline(always)]
    pub(crate) fn copy_list_registers<L>(&mut self, other: &VcpuState<'_, L>, count: u32) {
        let (from, to) = (other.list_registers(), self.list_registers());
        for index in 0..to.len().min(count as usize) {
            // SAFETY: Within the arrays, of vCPUs that are valid by the type invariants.
            unsafe {
                let value = from.cast::<u64>().add(index).read_volatile();
                to.cast::<u64>().add(index).write_volatile(value);
            }
        }
    }
}

/// The state that one of them keeps, which is not written through this.
pub(crate) struct ReadOnly<'a>(VcpuState<'a, KeptByEither>);

impl<'a> Deref for ReadOnly<'a> {
    type Target = VcpuState<'a, KeptByEither>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl VcpuState<'_, KeptByEither> {
    /// Copies the debug registers that the guest has of `other` to here.
    #[inline(always)]
    pub(crate) fn copy_guest_debug_registers(&mut self, other: &VcpuState<'_, KeptByEither>) {
        // SAFETY: Fields of the vCPUs, by the type invariants.
        unsafe {
            copy_debug_registers(
                &raw const (*other.vcpu.as_ptr()).arch.vcpu_debug_state,
                &raw mut (*self.vcpu.as_ptr()).arch.vcpu_debug_state,
            );
        }
    }

    /// Copies the debug registers that userspace debugs the guest with of `other` to here.
    #[inline(always)]
    pub(crate) fn copy_host_debug_registers(&mut self, other: &VcpuState<'_, KeptByEither>) {
        // SAFETY: Fields of the vCPUs, by the type invariants.
        unsafe {
            copy_debug_registers(
                &raw const (*other.vcpu.as_ptr()).arch.external_debug_state,
                &raw mut (*self.vcpu.as_ptr()).arch.external_debug_state,
            );
        }
    }

    /// Copies all of what `other` has of the registers that are no system registers to here: X0 to
    /// X30, SP, PC and PSTATE, and the FP/SIMD registers.
    #[inline(always)]
    pub(crate) fn copy_core_registers(&mut self, other: &VcpuState<'_, KeptByEither>) {
        let (from, to) = (other.context(), self.context());
        // SAFETY: Fields of the vCPUs, by the type invariants, and integers all of them.
        unsafe {
            copy_once(&raw const (*from).regs, &raw mut (*to).regs);
            copy_once(&raw const (*from).fp_regs, &raw mut (*to).fp_regs);
        }
    }

    /// Copies `R` of `other` to here.
    #[inline(always)]
    pub(crate) fn copy<R: ContextRegister>(&mut self, other: &VcpuState<'_, KeptByEither>) {
        let place = R::PLACE as usize;
        // SAFETY: An index into the array, in vCPUs that are valid by the type invariants. None of
        // them has a VNCR page.
        unsafe {
            let from = (&raw const (*other.context()).sys_regs).cast::<u64>();
            let to = (&raw mut (*self.context()).sys_regs).cast::<u64>();
            to.add(place)
                .write_volatile(from.add(place).read_volatile());
        }
    }

    /// Copies `R` of `other` to here.
    #[inline(always)]
    pub(crate) fn copy_banked<R: BankedSpsr>(&mut self, other: &VcpuState<'_, KeptByEither>) {
        // SAFETY: Places in vCPUs that are valid by the type invariants.
        unsafe {
            let value = R::place(other.context()).read_volatile();
            R::place(self.context()).write_volatile(value);
        }
    }
}

impl VcpuState<'_, KeptByHyp> {
    /// Returns the features of the guest.
    #[inline(always)]
    pub(crate) fn features(&self) -> Features {
        // SAFETY: By the type invariant; the state is for being run.
        unsafe { Features::of_running::<Nvhe>(self.vcpu) }
    }

    /// Returns whether the host may have changed registers since it got them from EL2, by what it
    /// has said when it asked for this run.
    #[inline(always)]
    pub(crate) fn is_host_state_dirty(&self) -> bool {
        self.iflags() & bindings::PKVM_HOST_STATE_DIRTY != 0
    }

    /// Sets `ICC_SRE_EL1` for the guest.
    #[inline(always)]
    pub(crate) fn set_vgic_sre(&mut self, value: u32) {
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { (&raw mut (*self.vgic_v3()).vgic_sre).write(value) }
    }

    /// Sets who uses the debug registers.
    #[inline(always)]
    pub(crate) fn set_debug_owner(&mut self, owner: DebugOwner) {
        let owner = match owner {
            DebugOwner::Free => bindings::kvm_vcpu_arch_VCPU_DEBUG_FREE,
            DebugOwner::Host => bindings::kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED,
            DebugOwner::Guest => bindings::kvm_vcpu_arch_VCPU_DEBUG_GUEST_OWNED,
        };
        // SAFETY: A field of the vCPU, by the type invariant.
        unsafe { (&raw mut (*self.vcpu.as_ptr()).arch.debug_owner).write(owner) }
    }
}

/// Copies debug registers. They are many, and seldom in use.
///
/// # Safety
///
/// `from` must be valid for reading and `to` for writing; they must not overlap.
#[inline(never)]
unsafe fn copy_debug_registers(
    from: *const bindings::kvm_guest_debug_arch,
    to: *mut bindings::kvm_guest_debug_arch,
) {
    // SAFETY: By the safety requirements; integers all of them.
    unsafe { copy_once(from, to) }
}
