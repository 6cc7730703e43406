// SPDX-License-Identifier: GPL-2.0

//! A vCPU, as the FP code sees it.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    interrupt::LocalInterruptDisabled,
    task::Task, //
};

use super::trace;
use crate::hyp::view::{
    fp_event,
    FpEvent, //
};

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
pub(crate) mod host_copy;
pub(crate) mod sve;

/// Memory for the SVE state of a vCPU, and the vector length that it is laid out for.
///
/// # Invariants
///
/// `state` has room for all of the state at `vector_length` bytes, for as long as the vCPU lives.
#[derive(Clone, Copy)]
pub(crate) struct SveStorage {
    state: NonNull<bindings::arm64_sve_state>,
    vector_length: u32,
}

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
impl SveStorage {
    /// Returns a storage that claims a vector length that is not the guest's.
    pub(crate) fn with_wrong_vector_length(self) -> Self {
        // There is no room for this length, against the invariant. It is a fault: the FP core
        // compares the length with the one in force before it stores anything, and refuses.
        Self {
            vector_length: self.vector_length + bindings::SVE_VL_MIN,
            ..self
        }
    }
}

/// The format in which the FP core saves a guest's state.
#[derive(Clone, Copy)]
pub(crate) enum SaveFormat {
    /// V0 to V31, FPSR and FPCR.
    Fpsimd,
    /// Z0 to Z31, P0 to P15 and FFR at the vector length of the storage, FPSR and FPCR. Not to be
    /// had without storage.
    Sve(SveStorage),
}

/// `struct kvm_vcpu` in the hands of the thread that runs it.
///
/// # Invariants
///
/// `ptr` is a live vCPU for `'a`, and nobody else uses the fields that this view gives access to.
pub(crate) struct Vcpu<'a> {
    ptr: NonNull<bindings::kvm_vcpu>,
    _vcpu: PhantomData<&'a bindings::kvm_vcpu>,
}

impl Vcpu<'_> {
    /// Makes the view.
    ///
    /// # Safety
    ///
    /// `ptr` must be a live vCPU for the lifetime of the view, and the caller the thread that runs
    /// it: the one that holds its mutex, or the scheduler on that thread's behalf.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::kvm_vcpu) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: A live vCPU is not at NULL.
            ptr: unsafe { NonNull::new_unchecked(ptr) },
            _vcpu: PhantomData,
        }
    }

    #[inline(always)]
    fn arch(&self) -> *mut bindings::kvm_vcpu_arch {
        // SAFETY: Stays within the vCPU, which the type invariant says is there.
        unsafe { &raw mut (*self.ptr.as_ptr()).arch }
    }

    /// Stops the kernel if the running task has no address space, as no task that runs a vCPU can.
    #[inline(always)]
    pub(crate) fn bug_unless_run_by_a_user_task(&self) {
        // SAFETY: The running task is there, and only itself changes its `mm`.
        if unsafe { (*Task::current_raw()).mm.is_null() } {
            // SAFETY: Always allowed; does not return.
            unsafe { bindings::BUG() }
        }
    }

    /// Returns whether KVM moves the vCPU between L1 and L2 right now, by emulating an ERET or an
    /// exception.
    #[inline(always)]
    pub(crate) fn is_in_nested_transition(&self) -> bool {
        // SAFETY: The field is within the vCPU. Volatile, as the flags are modified elsewhere in
        // the kernel without a lock, though always with preemption disabled and by this thread.
        let flags = unsafe { (&raw const (*self.arch()).sflags).read_volatile() };
        flags & (bindings::IN_NESTED_ERET | bindings::IN_NESTED_EXCEPTION) != 0
    }

    /// Counts and traces what has become of the FP registers.
    #[inline(always)]
    pub(crate) fn note_fp(&self, event: FpEvent) {
        // SAFETY: A live vCPU, by the type invariant. EL2 counts between guest entry and exit only.
        unsafe { fp_event::count(self.ptr, event) };
        self.trace_fp(event);
    }

    /// Traces what has become of the FP registers, and was counted at EL2.
    #[inline(always)]
    pub(crate) fn trace_fp(&self, event: FpEvent) {
        // SAFETY: A field of the vCPU, which does not change.
        let vcpu_id = unsafe { (&raw const (*self.ptr.as_ptr()).vcpu_id).read() };
        trace::fp(vcpu_id, event);
    }

    /// Counts an exit with the guest's state in the registers.
    #[inline(always)]
    pub(crate) fn count_fp_exit(&self) {
        // SAFETY: A field of the vCPU, which nobody else writes.
        unsafe {
            let exits = &raw mut (*self.ptr.as_ptr()).stat.fp_exits;
            exits.write(exits.read().wrapping_add(1));
        }
    }

    /// Returns whether the guest has used FP since it was loaded: not before it has can it own the
    /// registers.
    #[inline(always)]
    pub(crate) fn has_used_fp(&self) -> bool {
        // SAFETY: The field is within the vCPU. EL2 writes it only between guest entry and exit,
        // when this code does not run.
        unsafe { (&raw const (*self.arch()).has_used_fp).read() }
    }

    /// Returns whether the guest has used FP since it was loaded the last time, and begins anew.
    #[inline(always)]
    pub(crate) fn take_has_used_fp(&self) -> bool {
        let has = self.has_used_fp();
        // SAFETY: As for `has_used_fp`.
        unsafe { (&raw mut (*self.arch()).has_used_fp).write(false) };
        has
    }

    /// Returns whether the host's state was saved for the guest's first use, by the trap handler,
    /// and begins anew.
    #[inline(always)]
    pub(crate) fn take_has_saved_host_fp(&self) -> bool {
        // SAFETY: As for `has_used_fp`.
        let has = unsafe { (&raw const (*self.arch()).has_saved_host_fp).read() };
        // SAFETY: As for `has_used_fp`.
        unsafe { (&raw mut (*self.arch()).has_saved_host_fp).write(false) };
        has
    }

    /// Returns where the guest's SVE state is kept, if the guest has SVE.
    #[inline(always)]
    pub(crate) fn sve_storage(&self) -> Option<SveStorage> {
        // SAFETY: Reads the flags of the vCPU's VM, which lives at least as long as the vCPU.
        if !unsafe { bindings::kvm_vcpu_has_sve(self.ptr.as_ptr()) } {
            return None;
        }
        let arch = self.arch();
        // INVARIANT: KVM_ARM_VCPU_FINALIZE allocates the storage for the vCPU's largest vector
        // length, which is constant from then on.
        // SAFETY: The fields are within the vCPU. A vCPU with SVE cannot be run, and so does not
        // get here, before it is finalised.
        Some(unsafe {
            SveStorage {
                state: NonNull::new_unchecked((*arch).sve_state),
                vector_length: (*arch).sve_max_vl,
            }
        })
    }

    /// Tells the FP core that the registers of this CPU hold the guest's state, where to save it
    /// to, and in which `format`.
    #[inline(always)]
    pub(crate) fn bind_fp_state_to_cpu(&self, format: SaveFormat, _: &LocalInterruptDisabled) {
        let (to_save, sve_state, sve_vl) = match format {
            SaveFormat::Fpsimd => (bindings::fp_type_FP_STATE_FPSIMD, core::ptr::null_mut(), 0),
            SaveFormat::Sve(storage) => (
                bindings::fp_type_FP_STATE_SVE,
                storage.state.as_ptr(),
                storage.vector_length,
            ),
        };
        let arch = self.arch();
        // SAFETY: All pointers are to fields of the vCPU, or to its SVE storage. They are good for
        // as long as the FP core has them: a vCPU is not freed before `vcpu_put()`, which unbinds
        // its state. Interrupts are disabled, as the FP core demands.
        unsafe {
            let ctxt = &raw mut (*arch).ctxt;
            let mut state = bindings::cpu_fp_state {
                st: &raw mut (*ctxt).fp_regs,
                sve_state,
                // Guests are not offered SME. SVCR is there to be written to all the same: the FP
                // core stores what it finds, which is 0.
                sme_state: core::ptr::null_mut(),
                svcr: bindings::kvm_ctxt_sys_reg(ctxt, bindings::vcpu_sysreg_SVCR),
                fpmr: bindings::kvm_ctxt_sys_reg(ctxt, bindings::vcpu_sysreg_FPMR),
                sve_vl,
                sme_vl: 0,
                fp_type: &raw mut (*arch).fp_type,
                to_save,
            };
            bindings::fpsimd_bind_state_to_cpu(&mut state);
        }
    }
}
