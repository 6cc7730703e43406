// SPDX-License-Identifier: GPL-2.0

//! The life cycle of a guest's FP/SIMD/SVE state in the registers of a CPU.
//!
//! ```text
//!   vcpu_load                  KVM_RUN loop                            vcpu_put
//!   ---------      --------------------------------------------       --------
//!     load    ->   ctxflush -> guest [first FP use] -> ctxsync  ...  ->  put
//!   host's stay,   interrupted     host saved,         FP core        guest saved,
//!   if they may    by FP use?      guest's state       may save       nobody's
//!                  then nobody's   loaded              for us
//! ```
//!
//! The registers are [`FpOwner::Host`] after `load`: they have the state of the task that runs the
//! vCPU, and if the guest uses no FP, it never leaves them. The guest gets them at its first FP
//! access, which the hypervisor traps, and keeps them from exit to exit: [`FpOwner::Guest`]. The
//! kernel may want them in between, for kernel-mode NEON in a softirq or for another task: the FP
//! core then saves the state that is there, the task's to the task, and the guest's to where
//! `ctxsync` told it to, and sets `TIF_FOREIGN_FPSTATE`. The next `ctxflush` sees that, and the
//! registers are [`FpOwner::Free`].
//!
//! Who saves the task's state is the FP core in any case, whose code knows all that a task can
//! have: SVE, FPMR, streaming mode, and what a debugger has written. The hypervisor once saved it
//! by a copy of that code, which did not; it was given up for it, and `load` then saved the state
//! each time.
//!
//! | | at the guest's first FP access |
//! |---|---|
//! | VHE | the trap handler calls the FP core |
//! | nVHE, hVHE | EL2 leaves the guest, `ctxsync` calls the FP core, and the guest traps again |
//! | pKVM | EL2 saves what is in the registers, and loads it before the kernel runs (`nvhe::fp`) |

#![forbid(unsafe_code)]

use crate::{
    hyp::view::{
        FpEvent,
        FpOwner, //
    },
    view::{
        KernelHostData,
        SaveFormat,
        Vcpu, //
    }, //
};
use kernel::{
    arm64::{
        cpucap::{
            self,
            system_supports_fpsimd, //
        },
        fp,
        thread_flag::ThreadFlag, //
    },
    interrupt::{
        local_interrupt_disable,
        LocalInterruptDisabled, //
    },
    preempt::PreemptionDisabled,
    warn_on_once, //
};

/// Leaves the task's FP state in the registers, if the guest may be run with it there. Otherwise it
/// is saved, and the registers are nobody's.
///
/// In the latter case, and whenever the guest's first FP access comes to that, the FP core becomes
/// responsible for giving the task its state back before it returns to userspace.
pub(crate) fn load(vcpu: &Vcpu<'_>, preempt: PreemptionDisabled<'_>) {
    // A task without an address space has no FP state of its own to go back to.
    vcpu.bug_unless_run_by_a_user_task();

    if !system_supports_fpsimd() {
        return;
    }

    // From L1 to L2 and back, the same task goes on without being preempted: what is in the
    // registers is its state still, or nothing, or common to L1 and L2.
    if vcpu.is_in_nested_transition() {
        return;
    }

    let host = KernelHostData::this_cpu(preempt);
    if may_stay(vcpu.take_has_used_fp(), preempt) {
        host.leave_fp_to_host();
        vcpu.note_fp(FpEvent::HostKept);
        return;
    }

    fp::save_and_flush_cpu_state(preempt);
    host.free_fp();
    vcpu.note_fp(FpEvent::HostSaved);

    // A guest must not start in streaming mode, nor with ZA enabled.
    warn_on_once!(fp::sme_state_is_live(preempt));
}

/// Returns whether the guest is to be run with what is in the FP registers: the state of the
/// running task, if that has no effect on the guest before it gets the registers.
///
/// Streaming mode and ZA have one, and no guest can be run with them. And for a guest that has used
/// FP the last time it is saved beforehand: it would be soon, and the guest's first FP access costs
/// less then, without VHE by an exit. pKVM's EL2 saves it itself in any case.
fn may_stay(used_fp_before: bool, preempt: PreemptionDisabled<'_>) -> bool {
    if ThreadFlag::ForeignFpstate.is_set() || fp::sme_state_is_live(preempt) {
        return false;
    }
    cpucap::is_protected_kvm_enabled() || !used_fp_before
}

/// Notices that somebody took the registers since the last exit, or since `load`.
///
/// Whoever did has saved what was in them, so they are nobody's now. Interrupts stay disabled from
/// here to the guest, so the answer holds until then.
pub(crate) fn ctxflush(vcpu: &Vcpu<'_>, irqs: &LocalInterruptDisabled) {
    if ThreadFlag::ForeignFpstate.is_set() {
        let host = KernelHostData::this_cpu(irqs.into());
        if host.fp_owner() == FpOwner::Guest {
            vcpu.note_fp(FpEvent::GuestTaken);
        }
        host.free_fp();
    }
}

/// Binds the guest's state, if it is in the registers, to this CPU.
///
/// From here on the FP core saves it into the vCPU when it needs the registers. The format is that
/// of the vCPU, whatever the task that runs it uses SVE for.
///
/// If the guest was left because it wants registers that are the host's, they are saved for it.
pub(crate) fn ctxsync(vcpu: &Vcpu<'_>, irqs: &LocalInterruptDisabled) {
    if !vcpu.has_used_fp() {
        return;
    }

    let host = KernelHostData::this_cpu(irqs.into());
    match host.fp_owner() {
        FpOwner::Guest => {
            vcpu.count_fp_exit();
            if !ThreadFlag::ForeignFpstate.is_set() {
                // Since an earlier exit, and nobody took the registers in between.
                return;
            }
            if vcpu.take_has_saved_host_fp() {
                vcpu.note_fp(FpEvent::HostSaved);
            }
            vcpu.trace_fp(FpEvent::GuestLoaded);
            let format = match vcpu.sve_storage() {
                Some(storage) => SaveFormat::Sve(storage),
                None => SaveFormat::Fpsimd,
            };
            vcpu.bind_fp_state_to_cpu(format, irqs);
            ThreadFlag::ForeignFpstate.clear();
        }
        FpOwner::Host => {
            fp::save_and_flush_cpu_state(irqs.into());
            host.free_fp();
            vcpu.note_fp(FpEvent::HostSaved);
        }
        FpOwner::Free => {}
    }
}

/// Saves the guest's state, if it is in the registers, and leaves the registers nobody's.
///
/// The vCPU's memory may be freed and used for another after this, so the FP core must not find
/// its address again. Saving relies on the guest's vector length being in force, which the
/// hypervisor sees to when it leaves the guest.
///
/// `TIF_FOREIGN_FPSTATE` ends up set, so that the task gets its own state back, `ZCR_EL1` and the
/// EL0 traps included, however it goes on. With the task's state in the registers still, the EL0
/// traps are all that has changed, under VHE: the world switch has opened them with the kernel's.
///
/// Preemption must be disabled.
pub(crate) fn put(vcpu: &Vcpu<'_>, _: PreemptionDisabled<'_>) {
    if vcpu.is_in_nested_transition() {
        return;
    }

    // A softirq in between could otherwise change what the owner says.
    let irqs = local_interrupt_disable();

    match KernelHostData::this_cpu((&irqs).into()).fp_owner() {
        FpOwner::Guest => {
            fp::save_and_flush_cpu_state((&irqs).into());
            vcpu.note_fp(FpEvent::GuestPut);
        }
        FpOwner::Host if cpucap::has_vhe() => fp::restore_user_traps(&irqs),
        FpOwner::Host | FpOwner::Free => {}
    }
}
