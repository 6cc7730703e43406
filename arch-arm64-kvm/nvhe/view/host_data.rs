// SPDX-License-Identifier: GPL-2.0

//! What EL2 keeps for each physical CPU, and of the host that runs there.

use super::{
    GuestContext,
    HostContext, //
};
use crate::hyp::view::{
    self,
    fp::{
        moves,
        FpRegisters,
        Free,
        GuestOwned,
        HostOwned, //
    },
    stage2,
    traps::write_vbar, //
};
use crate::vector_length::VectorLength;
use core::ptr::NonNull;
use kernel::{
    arm64::{
        fp_access::{
            FpAccess,
            FpTrapsOpened, //
        },
        percpu::this_cpu_ptr,
        registers::{
            FPMR,
            HCR_EL2,
            MDCR_EL2,
            ZCR_EL1, //
        },
        sysreg,
        world::Nvhe, //
    },
    bindings,
    static_key_is_enabled, //
};

/// `struct kvm_host_data` of this CPU, in EL2's image.
pub(crate) type HostData<'a> = view::HostData<'a, Nvhe>;

/// Where exceptions go that are taken to EL2.
pub(crate) enum Vectors {
    /// To those for a guest.
    Guest,
    /// To those for the host.
    Host,
}

extern "C" {
    /// The vectors for while the host runs.
    static __kvm_hyp_host_vector: [u8; 0];
}

impl HostData<'_> {
    /// Notes that the FP registers are the host's.
    ///
    /// Only for pKVM, where EL2 saves them itself.
    #[inline(always)]
    pub(crate) fn give_fp_to_host(&mut self) {
        let owner = bindings::kvm_host_data_FP_STATE_HOST_OWNED;
        // SAFETY: A field of the structure, by the type invariant; nobody else uses it.
        unsafe { (&raw mut (*self.ptr.as_ptr()).fp_owner).write(owner) };
    }

    /// Returns the host's longest vector.
    #[inline(always)]
    pub(crate) fn host_max_vl() -> VectorLength {
        // SAFETY: Nobody writes it once EL2 is set up.
        VectorLength::of_bytes(unsafe { (&raw const bindings::kvm_host_sve_max_vl).read() })
    }

    /// Returns the proof that FP instructions do not trap before the traps for a guest are set.
    #[inline(always)]
    pub(crate) fn host_fp_access(&self) -> FpAccess {
        // SAFETY: EL2 opens them for the host after each guest, and when a CPU starts. The host has
        // called since, and that was an exception.
        unsafe { FpTrapsOpened::assume_written().assume_synchronised() }
    }

    /// Returns that the FP traps have been opened, after a guest's run.
    #[inline(always)]
    pub(crate) fn traps_opened(&self) -> FpTrapsOpened {
        // SAFETY: `nvhe::traps::deactivate` does it at the end of each run.
        unsafe { FpTrapsOpened::assume_written() }
    }

    /// Saves the host's `MDCR_EL2` and sets the guest's.
    #[inline(always)]
    pub(crate) fn activate_mdcr(&mut self, value: MDCR_EL2) {
        // SAFETY: EL2 may access it, and takes no debug exceptions. A field of the structure, by
        // the type invariant.
        unsafe {
            let host = sysreg::read::<MDCR_EL2>();
            (&raw mut (*self.ptr.as_ptr()).host_debug_state.mdcr_el2).write(host.into());
            sysreg::write(value);
        }
    }

    /// Restores the host's `MDCR_EL2`.
    #[inline(always)]
    pub(crate) fn deactivate_mdcr(&self) {
        // SAFETY: As for `activate_mdcr`.
        unsafe {
            let host = (&raw const (*self.ptr.as_ptr()).host_debug_state.mdcr_el2).read();
            sysreg::write(MDCR_EL2::from(host));
        }
    }

    /// Returns whether the host may use SPE, TRBE, BRBE or tracing on this CPU, which have to be
    /// stopped while a guest runs.
    #[inline(always)]
    pub(crate) fn has_buffers(&self) -> bool {
        const MASK: usize = (1 << bindings::KVM_HOST_DATA_FLAG_HAS_SPE)
            | (1 << bindings::KVM_HOST_DATA_FLAG_HAS_BRBE)
            | (1 << bindings::KVM_HOST_DATA_FLAG_TRBE_ENABLED)
            | (1 << bindings::KVM_HOST_DATA_FLAG_EL1_TRACING_CONFIGURED);
        self.has_flags(MASK)
    }

    /// Returns what is in `HCR_EL2` while the host runs.
    #[inline(always)]
    pub(crate) fn host_hcr(&self) -> HCR_EL2 {
        // SAFETY: This code runs in EL2's image and stays on this CPU. Nobody writes it once the
        // CPU is set up.
        let value =
            unsafe { (*this_cpu_ptr::<Nvhe, _>(&raw mut bindings::kvm_init_params)).hcr_el2 };
        HCR_EL2::from(value as u64)
    }

    /// Sets where exceptions go that are taken to EL2.
    #[inline(always)]
    pub(crate) fn set_vectors(&self, vectors: Vectors) {
        // SAFETY: This code runs in EL2's image and stays on this CPU. EL2 masks all exceptions,
        // and either vectors are good for those that may come all the same; the per-CPU
        // variable has the address of vectors since boot.
        unsafe {
            let address = match vectors {
                Vectors::Guest => this_cpu_ptr::<Nvhe, _>(&raw mut bindings::kvm_hyp_vector).read(),
                Vectors::Host => (&raw const __kvm_hyp_host_vector).addr(),
            };
            write_vbar::<Nvhe>(address as u64);
        }
    }

    /// Notes which vCPU runs: exceptions from a guest find it there.
    #[inline(always)]
    pub(crate) fn set_running(&mut self, guest: &GuestContext<'_>) {
        self.set_running_vcpu(guest.vcpu.as_ptr());
    }

    /// Notes that no vCPU runs.
    #[inline(always)]
    pub(crate) fn set_not_running(&mut self) {
        self.set_running_vcpu(core::ptr::null_mut());
    }

    #[inline(always)]
    fn set_running_vcpu(&mut self, vcpu: *mut bindings::kvm_vcpu) {
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { (&raw mut (*self.ptr.as_ptr()).host_ctxt.__hyp_running_vcpu).write(vcpu) }
    }

    /// Returns which vCPU runs.
    #[inline(always)]
    pub(crate) fn running_vcpu(&self) -> Option<NonNull<bindings::kvm_vcpu>> {
        // SAFETY: A field of the structure, by the type invariant.
        NonNull::new(unsafe {
            (&raw const (*self.ptr.as_ptr()).host_ctxt.__hyp_running_vcpu).read()
        })
    }

    /// Returns the host's context, whose place `vcpu` takes.
    ///
    /// # Safety
    ///
    /// `vcpu` must be a live vCPU for the lifetime of the result, which must be the only one.
    #[inline(always)]
    pub(crate) unsafe fn host_context<'b>(
        &self,
        vcpu: NonNull<bindings::kvm_vcpu>,
    ) -> HostContext<'b> {
        // SAFETY: By the type invariant and the safety requirement; EL2 does not leave its CPU.
        unsafe { HostContext::for_vcpu(self.context(), vcpu) }
    }

    /// Puts into the CPU the tables of stage 2 for the host: with pKVM it has some, otherwise none.
    #[inline(always)]
    pub(crate) fn load_host_stage2(&self) {
        // SAFETY: A static key. The tables are there before it is enabled.
        unsafe {
            if static_key_is_enabled!(bindings::kvm_protected_mode_initialized) {
                stage2::load(&raw const bindings::host_mmu.arch.mmu);
            } else {
                stage2::unload();
            }
        }
    }

    /// Puts an event into EL2's trace, if there is one: a guest is entered.
    #[inline(always)]
    pub(crate) fn trace_entry(&self) {
        // SAFETY: The host's context of this CPU.
        #[cfg(CONFIG_NVHE_EL2_TRACING)]
        unsafe {
            bindings::kvm_trace_guest_entry(self.context().as_ptr())
        }
    }

    /// Puts an event into EL2's trace, if there is one: a guest was left.
    #[inline(always)]
    pub(crate) fn trace_exit(&self) {
        // SAFETY: The host's context of this CPU.
        #[cfg(CONFIG_NVHE_EL2_TRACING)]
        unsafe {
            bindings::kvm_trace_guest_exit(self.context().as_ptr())
        }
    }
}

impl FpRegisters<'_, Nvhe, GuestOwned> {
    /// Returns the proof that FP instructions do not trap, after a run of the guest.
    #[inline(always)]
    pub(crate) fn access_after_run(&self) -> FpAccess {
        // SAFETY: The guest owns the registers, so what it has of FP and SVE did not trap while it
        // ran, which was in force with the ERET to it, at the latest. What
        // `nvhe::traps::deactivate` has written since opens more. Nothing is accessed by
        // this but what the guest has.
        unsafe { FpTrapsOpened::assume_written().assume_synchronised() }
    }
}

impl<O> FpRegisters<'_, Nvhe, O> {
    #[inline(always)]
    fn context(&self) -> *mut bindings::kvm_cpu_context {
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { &raw mut (*self.host.as_ptr()).host_ctxt }
    }

    #[inline(always)]
    fn state(&self) -> *mut bindings::user_fpsimd_state {
        // SAFETY: A field of the context, by the type invariant.
        unsafe { &raw mut (*self.context()).fp_regs }
    }

    #[inline(always)]
    fn place(&self, register: u32) -> *mut u64 {
        // SAFETY: An index into the array of the context, which is valid by the type invariant.
        unsafe {
            (&raw mut (*self.context()).sys_regs)
                .cast::<u64>()
                .add(register as usize)
        }
    }

    #[inline(always)]
    fn sve_registers(&self) -> *mut bindings::arm64_sve_state {
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { (&raw const (*self.host.as_ptr()).sve_regs).read() }
    }
}

impl FpRegisters<'_, Nvhe, HostOwned> {
    /// Moves the host's FP registers to memory.
    #[inline(always)]
    pub(crate) fn save_fpsimd(&self, access: &FpAccess) {
        // SAFETY: The host's place for them.
        unsafe { moves::save_fpsimd(access, self.state()) }
    }

    /// Moves the host's SVE registers to memory. The host's longest vector must be in force.
    #[inline(always)]
    pub(crate) fn save_sve(&self, access: &FpAccess) {
        // SAFETY: The host's place for them: pKVM has made room for the longest vector, where there
        // is SVE.
        unsafe { moves::save_sve(access, self.sve_registers(), self.state()) }
    }

    /// Notes the vector length that the host has set.
    #[inline(always)]
    pub(crate) fn save_zcr(&self, value: ZCR_EL1) {
        // SAFETY: The host's place for it.
        unsafe {
            self.place(bindings::vcpu_sysreg_ZCR_EL1)
                .write(value.into())
        }
    }

    /// Moves the host's FPMR to memory. The system must offer it.
    #[inline(always)]
    pub(crate) fn save_fpmr(&self, access: &FpAccess) {
        // SAFETY: The host's place for it; the system offers it.
        unsafe {
            self.place(bindings::vcpu_sysreg_FPMR)
                .write(access.read_fpmr().into());
        }
    }
}

impl FpRegisters<'_, Nvhe, Free> {
    /// Moves the host's FP registers to the CPU.
    #[inline(always)]
    pub(crate) fn load_fpsimd(&self, access: &FpAccess) {
        // SAFETY: The host's place for them. The registers are nobody's, so nobody needs what is in
        // them.
        unsafe { moves::load_fpsimd(access, self.state()) }
    }

    /// Moves the host's SVE registers to the CPU. The host's longest vector must be in force.
    #[inline(always)]
    pub(crate) fn load_sve(&self, access: &FpAccess) {
        // SAFETY: As for `save_sve` and `load_fpsimd`.
        unsafe { moves::load_sve(access, self.sve_registers(), self.state()) }
    }

    /// Returns the vector length that the host has set.
    #[inline(always)]
    pub(crate) fn zcr(&self) -> ZCR_EL1 {
        // SAFETY: The host's place for it.
        ZCR_EL1::from(unsafe { self.place(bindings::vcpu_sysreg_ZCR_EL1).read() })
    }

    /// Moves the host's FPMR to the CPU. The system must offer it.
    #[inline(always)]
    pub(crate) fn load_fpmr(&self, access: &FpAccess) {
        // SAFETY: The host's place for it; the system offers it.
        unsafe { access.write_fpmr(FPMR::from(self.place(bindings::vcpu_sysreg_FPMR).read())) }
    }
}
