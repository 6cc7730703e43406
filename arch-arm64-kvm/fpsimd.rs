// SPDX-License-Identifier: GPL-2.0

//! The life cycle of a guest's FP/SIMD/SVE state in the registers of a CPU.
//!
//! ```text
//!   vcpu_load                  KVM_RUN loop                            vcpu_put
//!   ---------      --------------------------------------------       --------
//!     load    ->   ctxflush -> guest [first FP use] -> ctxsync  ...  ->  put
//!   host saved,    interrupted     guest's state       FP core        guest saved,
//!   nobody's       by FP use?      loaded by the       may save       nobody's
//!                  then nobody's   trap handler        for us
//! ```
//!
//! Between `load` and `put` the registers are [`FpOwner::Free`] or [`FpOwner::Guest`]. The guest
//! gets them at its first FP access, which the hypervisor traps, and keeps them from exit to exit.
//! The kernel may want them in between, for kernel-mode NEON in a softirq or for another task: the
//! FP core then writes the guest's state back to where `ctxsync` told it to, and sets
//! `TIF_FOREIGN_FPSTATE`, which the next `ctxflush` sees.

#![forbid(unsafe_code)]

use crate::{
    hyp::view::FpOwner,
    view::{
        KernelHostData,
        SaveFormat,
        Vcpu, //
    }, //
};
use kernel::{
    arm64::{
        cpucap::system_supports_fpsimd,
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

/// Saves the host's FP/SIMD/SVE/SME state and leaves the registers nobody's.
///
/// The FP core becomes responsible for giving the task its registers back before it returns to
/// userspace, so that the hypervisor has nothing to save, and no copy of the code that does.
pub(crate) fn load(vcpu: &Vcpu<'_>, preempt: PreemptionDisabled<'_>) {
    // A task without an address space has no FP state of its own to go back to.
    vcpu.bug_unless_run_by_a_user_task();

    if !system_supports_fpsimd() {
        return;
    }

    let host = KernelHostData::this_cpu(preempt);

    // From L1 to L2 and back, the same task goes on without being preempted: its state was saved
    // at the first load, and what is in the registers is either nothing or common to L1 and L2.
    if vcpu.is_in_nested_transition() {
        warn_on_once!(host.fp_owner() == FpOwner::Host);
        return;
    }

    fp::save_and_flush_cpu_state(preempt);
    host.free_fp();

    // A guest must not start in streaming mode, nor with ZA enabled.
    warn_on_once!(fp::sme_state_is_live(preempt));
}

/// Notices that somebody took the registers since the last exit, or since `load`.
///
/// Whoever did has saved what was in them, so they are nobody's now. Interrupts stay disabled from
/// here to the guest, so the answer holds until then.
pub(crate) fn ctxflush(irqs: &LocalInterruptDisabled) {
    if ThreadFlag::ForeignFpstate.is_set() {
        KernelHostData::this_cpu(irqs.into()).free_fp();
    }
}

/// Binds the guest's state, if it is in the registers, to this CPU.
///
/// From here on the FP core saves it into the vCPU when it needs the registers. The format is that
/// of the vCPU, whatever the task that runs it uses SVE for.
pub(crate) fn ctxsync(vcpu: &Vcpu<'_>, irqs: &LocalInterruptDisabled) {
    if KernelHostData::this_cpu(irqs.into()).fp_owner() != FpOwner::Guest {
        return;
    }

    let format = match vcpu.sve_storage() {
        Some(storage) => SaveFormat::Sve(storage),
        None => SaveFormat::Fpsimd,
    };

    vcpu.bind_fp_state_to_cpu(format, irqs);
    ThreadFlag::ForeignFpstate.clear();
}

/// Saves the guest's state, if it is in the registers, and leaves the registers nobody's.
///
/// The vCPU's memory may be freed and used for another after this, so the FP core must not find
/// its address again. Saving relies on the guest's vector length being in force, which the
/// hypervisor sees to when it leaves the guest.
///
/// `TIF_FOREIGN_FPSTATE` ends up set, so that the task gets its own state back, `ZCR_EL1` and the
/// EL0 traps included, however it goes on.
pub(crate) fn put(vcpu: &Vcpu<'_>, preempt: PreemptionDisabled<'_>) {
    if vcpu.is_in_nested_transition() {
        warn_on_once!(KernelHostData::this_cpu(preempt).fp_owner() == FpOwner::Host);
        return;
    }

    // A softirq in between could otherwise change what the owner says.
    let irqs = local_interrupt_disable();

    if KernelHostData::this_cpu((&irqs).into()).fp_owner() == FpOwner::Guest {
        fp::save_and_flush_cpu_state((&irqs).into());
    }
}
