// SPDX-License-Identifier: GPL-2.0

//! A vCPU that never runs, and what the hypervisor would have done to it.

use super::cpu::{
    self,
    Registers, //
};
use kernel::{
    bindings,
    interrupt::local_interrupt_disable,
    preempt::with_preemption_disabled,
    prelude::*, //
};

/// Values of `kvm_host_data::fp_owner`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Owner {
    Free = bindings::kvm_host_data_FP_STATE_FREE,
    Host = bindings::kvm_host_data_FP_STATE_HOST_OWNED,
    Guest = bindings::kvm_host_data_FP_STATE_GUEST_OWNED,
}

/// A vCPU and its VM, all zeroes but for what the FP hooks look at.
pub(super) struct Fixture {
    vcpu: KBox<bindings::kvm_vcpu>,
    _kvm: KBox<bindings::kvm>,
    sve_storage: KVec<u8>,
}

/// Allocates a C structure of zeroes.
///
/// # Safety
///
/// All zeroes must be a value of `T`.
unsafe fn zeroed<T>() -> Result<KBox<T>> {
    let mut memory = KBox::<T>::new_uninit(GFP_KERNEL)?;
    // SAFETY: The memory is there, and by the safety requirement initialised by this.
    Ok(unsafe {
        memory.as_mut_ptr().write_bytes(0, 1);
        memory.assume_init()
    })
}

/// Ends the running test as skipped.
pub(super) fn skip(reason: &'static CStr) -> Result {
    // SAFETY: Tests call this from their own thread, where the test is there, and has it for its
    // own.
    let test = unsafe { &mut *bindings::kunit_get_current_test() };
    test.status = bindings::kunit_status_KUNIT_SKIPPED;
    for (to, from) in test
        .status_comment
        .iter_mut()
        .zip(reason.to_bytes_with_nul())
    {
        *to = *from;
    }
    Ok(())
}

/// Runs `f` with preemption disabled, and leaves the FP registers nobody's whatever it did.
pub(super) fn without_preemption<R>(f: impl FnOnce() -> R) -> R {
    with_preemption_disabled(|preempt| {
        let result = f();
        kernel::arm64::fp::save_and_flush_cpu_state(preempt);
        result
    })
}

/// Returns what the FP core has bound to this CPU.
pub(super) fn bound_state() -> bindings::cpu_fp_state {
    // SAFETY: The per-CPU structure is always there, and preemption is disabled.
    unsafe { bindings::this_cpu_fpsimd_last_state().read() }
}

impl Fixture {
    /// Makes a vCPU, with SVE of `vector_length` bytes if given.
    pub(super) fn new(vector_length: Option<u32>) -> Result<Self> {
        // A test thread has no address space, without which `load` stops the kernel.
        // SAFETY: Called in the thread of a test.
        kernel::error::to_result(unsafe { bindings::kunit_attach_mm() })?;

        // SAFETY: C structures of integers, pointers and arrays thereof.
        let (mut vcpu, mut kvm) =
            unsafe { (zeroed::<bindings::kvm_vcpu>()?, zeroed::<bindings::kvm>()?) };
        let mut sve_storage = KVec::new();
        vcpu.kvm = &raw mut *kvm;
        if let Some(vector_length) = vector_length {
            // Z0 to Z31, and P0 to P15 and FFR of an eighth of the size.
            let size = vector_length as usize * 32 + vector_length as usize / 8 * 17;
            sve_storage.resize(size, 0, GFP_KERNEL)?;
            kvm.arch.flags |= 1 << bindings::KVM_ARCH_FLAG_GUEST_HAS_SVE;
            vcpu.arch.sve_state = sve_storage.as_mut_ptr().cast();
            vcpu.arch.sve_max_vl = vector_length;
        }
        Ok(Self {
            vcpu,
            _kvm: kvm,
            sve_storage,
        })
    }

    fn raw(&self) -> *mut bindings::kvm_vcpu {
        (&raw const *self.vcpu).cast_mut()
    }

    fn host_data() -> *mut bindings::kvm_host_data {
        // SAFETY: Called with preemption disabled, in a kernel whose KVM is initialised.
        unsafe { bindings::kvm_this_cpu_host_data() }
    }

    pub(super) fn load(&self) {
        // SAFETY: Preemption is disabled, and nobody else knows the vCPU.
        unsafe { bindings::kvm_arch_vcpu_load_fp(self.raw()) }
    }

    pub(super) fn put(&self) {
        // SAFETY: As for `load`.
        unsafe { bindings::kvm_arch_vcpu_put_fp(self.raw()) }
    }

    pub(super) fn owner(&self) -> Owner {
        // SAFETY: The per-CPU structure is there, and preemption is disabled.
        match unsafe { (*Self::host_data()).fp_owner } {
            bindings::kvm_host_data_FP_STATE_GUEST_OWNED => Owner::Guest,
            bindings::kvm_host_data_FP_STATE_HOST_OWNED => Owner::Host,
            _ => Owner::Free,
        }
    }

    pub(super) fn set_owner(&self, owner: Owner) {
        // SAFETY: As for `owner`.
        unsafe { (*Self::host_data()).fp_owner = owner as u32 }
    }

    /// Notes that the guest uses FP, as the hypervisor does when it traps. C keeps no note of it.
    fn note_fp_use(&self) {
        // SAFETY: A field of the vCPU, which nobody else knows.
        #[cfg(CONFIG_KVM_ARM64_RUST)]
        unsafe {
            (&raw mut (*self.raw()).arch.has_used_fp).write(true)
        }
    }

    /// Has the host's registers saved, if they are left to it: plays an exit for that.
    pub(super) fn ask_for_host_registers(&self) {
        self.note_fp_use();
        let irqs = local_interrupt_disable();
        // SAFETY: Interrupts are disabled, and nobody else knows the vCPU.
        unsafe { bindings::kvm_arch_vcpu_ctxsync_fp(self.raw()) };
        drop(irqs);
    }

    /// Runs `f` between `load` and `put`, preemption disabled.
    pub(super) fn loaded<R>(&self, f: impl FnOnce(Loaded<'_>) -> R) -> R {
        without_preemption(|| {
            self.load();
            let result = f(Loaded(self));
            self.put();
            self.set_owner(Owner::Free);
            result
        })
    }

    /// Binds the vCPU's memory to the CPU as if it were a task's, after `fill` has set the
    /// registers.
    pub(super) fn bind_to_cpu(&self, fill: impl FnOnce()) {
        let irqs = local_interrupt_disable();
        fill();
        let vcpu = self.raw();
        // SAFETY: Pointers into the vCPU, which outlives the binding: `without_preemption` undoes
        // it. Interrupts are disabled.
        unsafe {
            let ctxt = &raw mut (*vcpu).arch.ctxt;
            let mut state = bindings::cpu_fp_state {
                st: &raw mut (*ctxt).fp_regs,
                svcr: bindings::kvm_ctxt_sys_reg(ctxt, bindings::vcpu_sysreg_SVCR),
                fpmr: bindings::kvm_ctxt_sys_reg(ctxt, bindings::vcpu_sysreg_FPMR),
                fp_type: &raw mut (*vcpu).arch.fp_type,
                to_save: bindings::fp_type_FP_STATE_FPSIMD,
                ..Default::default()
            };
            bindings::fpsimd_bind_state_to_cpu(&mut state);
        }
        kernel::arm64::thread_flag::ThreadFlag::ForeignFpstate.clear();
        drop(irqs);
    }

    /// Returns V0 to V31 as they stand in the vCPU.
    pub(super) fn saved_registers(&self) -> Registers {
        // SAFETY: `vregs` are 32 registers of 16 bytes.
        unsafe { Registers::copy_from((&raw const (*self.raw()).arch.ctxt.fp_regs.vregs).cast()) }
    }

    /// Returns the format that the FP core last saved.
    pub(super) fn fp_type(&self) -> bindings::fp_type {
        // SAFETY: A field of the vCPU.
        unsafe { (&raw const (*self.raw()).arch.fp_type).read_volatile() }
    }

    /// Returns whether `bound` saves into this vCPU.
    pub(super) fn is_bound_in(&self, bound: &bindings::cpu_fp_state) -> bool {
        let arch = &self.vcpu.arch;
        core::ptr::eq(bound.st, &arch.ctxt.fp_regs)
            && bound.sve_state == arch.sve_state
            && core::ptr::eq(bound.fp_type, &arch.fp_type)
    }

    /// Returns whether the FP core can save `bound` without harm to anybody but this vCPU.
    fn can_be_saved(&self, bound: &bindings::cpu_fp_state) -> bool {
        let sve = bound.to_save == bindings::fp_type_FP_STATE_SVE;
        core::ptr::eq(bound.st, &self.vcpu.arch.ctxt.fp_regs)
            && (!sve || self.is_bound_in(bound) && bound.sve_vl == cpu::sve_vector_length())
    }

    /// Returns whether `bound` saves FPMR into this vCPU.
    pub(super) fn owns_fpmr_of(&self, bound: &bindings::cpu_fp_state) -> bool {
        // SAFETY: A register of the vCPU, which is there.
        let fpmr = unsafe {
            bindings::kvm_ctxt_sys_reg(&raw mut (*self.raw()).arch.ctxt, bindings::vcpu_sysreg_FPMR)
        };
        bound.fpmr == fpmr
    }

    /// Returns whether the SVE storage holds what `cpu::fill_z_registers(seed)` left in Z0 to Z31.
    pub(super) fn sve_storage_holds_z_registers(&self, seed: u8) -> bool {
        let vector_length = self.vcpu.arch.sve_max_vl as usize;
        (0..32).all(|register| {
            (0..vector_length).all(|byte| {
                self.sve_storage[register * vector_length + byte]
                    == seed.wrapping_add(register as u8)
            })
        })
    }
}

/// A vCPU between `load` and `put`.
pub(super) struct Loaded<'a>(&'a Fixture);

impl Loaded<'_> {
    /// Plays an entry, a first FP use by a guest that leaves `fill`'s values in the registers, and
    /// an exit.
    pub(super) fn run(&self, fill: impl FnOnce()) {
        let irqs = local_interrupt_disable();
        // SAFETY: Interrupts are disabled, and nobody else knows the vCPU.
        unsafe { bindings::kvm_arch_vcpu_ctxflush_fp(self.0.raw()) };
        fill();
        self.0.note_fp_use();
        self.0.set_owner(Owner::Guest);
        // SAFETY: As above.
        unsafe { bindings::kvm_arch_vcpu_ctxsync_fp(self.0.raw()) };
        // What is wrong shows in the test's assertions. The FP core must not act on it: it would
        // write to memory that is not there, or kill the test's thread.
        if !self.0.can_be_saved(&bound_state()) {
            cpu::set_foreign_fpstate();
        }
        drop(irqs);
    }

    /// Plays an entry only.
    pub(super) fn ctxflush(&self) {
        let irqs = local_interrupt_disable();
        // SAFETY: Interrupts are disabled, and nobody else knows the vCPU.
        unsafe { bindings::kvm_arch_vcpu_ctxflush_fp(self.0.raw()) };
        drop(irqs);
    }

    /// Puts the vCPU, with interrupts off if so asked; returns whether they were off afterwards.
    pub(super) fn put(&self, irqs_off: bool) -> bool {
        let irqs = irqs_off.then(local_interrupt_disable);
        self.0.put();
        // SAFETY: Only reads the interrupt mask.
        let off_after = unsafe { bindings::irqs_disabled() };
        drop(irqs);
        off_after
    }

    pub(super) fn load(&self) {
        self.0.load();
    }

    pub(super) fn owner(&self) -> Owner {
        self.0.owner()
    }

    /// Sets a state flag of the vCPU.
    pub(super) fn set_flag(&self, flag: u16) {
        // SAFETY: A field of the vCPU, which nobody else knows.
        unsafe { (*self.0.raw()).arch.sflags |= flag }
    }

    /// Clears a state flag of the vCPU.
    pub(super) fn clear_flag(&self, flag: u16) {
        // SAFETY: As for `set_flag`.
        unsafe { (*self.0.raw()).arch.sflags &= !flag }
    }
}
