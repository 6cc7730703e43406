// SPDX-License-Identifier: GPL-2.0

//! Deliberate defects in the hooks, for tests that must notice them.
//!
//! Compiled in only under `CONFIG_KVM_ARM64_RUST_FAULTS`. One at a time is switched on, by writing
//! its name to `kvm_arm64_rust/fault` in debugfs, and `none` switches it off. Each is one of the
//! mistakes that the C code had at some time, or could have had.

#![forbid(unsafe_code)]

use crate::{
    fpsimd,
    hyp::view::FpOwner,
    selector::{
        selectable,
        Selector,
        SelectorFile, //
    },
    view::{
        KernelHostData,
        SaveFormat,
        Vcpu, //
    }, //
};
use core::ops::ControlFlow;
use kernel::{
    arm64::{
        fp,
        thread_flag::ThreadFlag, //
    },
    debugfs::{
        Dir,
        File, //
    },
    interrupt::LocalInterruptDisabled,
    preempt::PreemptionDisabled,
    prelude::*, //
};

selectable! {
    /// A defect that can be switched on.
    enum Fault {
        /// `load` throws the host's registers away.
        LoadDoesNotSave = "load_does_not_save",
        /// `load` leaves the owner as the last vCPU left it.
        LoadKeepsOwner = "load_keeps_owner",
        /// `ctxflush` does not look at `TIF_FOREIGN_FPSTATE`.
        CtxflushIgnoresForeign = "ctxflush_ignores_foreign",
        /// `ctxsync` does not tell the FP core that the guest's state is in the registers.
        CtxsyncDoesNotBind = "ctxsync_does_not_bind",
        /// `ctxsync` binds the guest's state but leaves `TIF_FOREIGN_FPSTATE` set.
        CtxsyncKeepsForeign = "ctxsync_keeps_foreign",
        /// `ctxsync` binds an SVE guest's state as FPSIMD.
        CtxsyncSveAsFpsimd = "ctxsync_sve_as_fpsimd",
        /// `ctxsync` binds an SVE guest's state with the wrong vector length.
        CtxsyncWrongVectorLength = "ctxsync_wrong_vector_length",
        /// `put` leaves the guest's state in the registers.
        PutDoesNotSave = "put_does_not_save",
        /// `put` throws the guest's state away.
        PutDiscards = "put_discards",
    }
}

static ACTIVE: Selector<Fault> = Selector::new();

fn is_on(fault: Fault) -> bool {
    ACTIVE.active() == Some(fault)
}

/// Makes the FP core believe that the registers hold nothing worth saving.
fn disown_registers() {
    ThreadFlag::ForeignFpstate.set();
}

pub(crate) fn load(vcpu: &Vcpu<'_>, preempt: PreemptionDisabled<'_>) -> ControlFlow<()> {
    if vcpu.is_in_nested_transition() {
        return ControlFlow::Continue(());
    }
    if is_on(Fault::LoadDoesNotSave) {
        disown_registers();
    } else if is_on(Fault::LoadKeepsOwner) {
        fp::save_and_flush_cpu_state(preempt);
        return ControlFlow::Break(());
    }
    ControlFlow::Continue(())
}

pub(crate) fn ctxflush(_: &LocalInterruptDisabled) -> ControlFlow<()> {
    if is_on(Fault::CtxflushIgnoresForeign) {
        return ControlFlow::Break(());
    }
    ControlFlow::Continue(())
}

pub(crate) fn ctxsync(vcpu: &Vcpu<'_>, irqs: &LocalInterruptDisabled) -> ControlFlow<()> {
    if KernelHostData::this_cpu(irqs.into()).fp_owner() != FpOwner::Guest {
        return ControlFlow::Continue(());
    }
    if is_on(Fault::CtxsyncDoesNotBind) {
        ThreadFlag::ForeignFpstate.clear();
        return ControlFlow::Break(());
    }
    if is_on(Fault::CtxsyncKeepsForeign) {
        fpsimd::ctxsync(vcpu, irqs);
        ThreadFlag::ForeignFpstate.set();
        return ControlFlow::Break(());
    }
    if let Some(storage) = vcpu.sve_storage() {
        let format = if is_on(Fault::CtxsyncSveAsFpsimd) {
            SaveFormat::Fpsimd
        } else if is_on(Fault::CtxsyncWrongVectorLength) {
            SaveFormat::Sve(storage.with_wrong_vector_length())
        } else {
            return ControlFlow::Continue(());
        };
        vcpu.bind_fp_state_to_cpu(format, irqs);
        ThreadFlag::ForeignFpstate.clear();
        return ControlFlow::Break(());
    }
    ControlFlow::Continue(())
}

pub(crate) fn put(vcpu: &Vcpu<'_>, _: PreemptionDisabled<'_>) -> ControlFlow<()> {
    if vcpu.is_in_nested_transition() {
        return ControlFlow::Continue(());
    }
    if is_on(Fault::PutDoesNotSave) {
        return ControlFlow::Break(());
    }
    if is_on(Fault::PutDiscards) {
        disown_registers();
    }
    ControlFlow::Continue(())
}

/// The file in debugfs.
#[pin_data]
pub(crate) struct Control {
    #[pin]
    file: File<SelectorFile<Fault>>,
}

impl Control {
    /// Makes `fault` in `dir`.
    pub(crate) fn new(dir: &Dir) -> impl PinInit<Self, Error> + '_ {
        try_pin_init!(Self {
            file <- dir.read_write_file(c"fault", SelectorFile(&ACTIVE)),
        })
    }
}
