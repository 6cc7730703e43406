// SPDX-License-Identifier: GPL-2.0

//! Deliberate defects in the hooks, for tests that must notice them.
//!
//! Compiled in only under `CONFIG_KVM_ARM64_RUST_FAULTS`. One at a time is switched on, by writing
//! its name to `kvm_arm64_rust/fault` in debugfs, and `none` switches it off. Each is one of the
//! mistakes that the C code had at some time, or could have had.

use crate::{
    fpsimd,
    view::{
        FpOwner,
        HostData,
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
        File,
        Reader,
        Writer, //
    },
    fmt,
    interrupt::LocalInterruptDisabled,
    preempt::PreemptionDisabled,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    uaccess::UserSliceReader, //
};

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A defect that can be switched on.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Fault {
            $($(#[$doc])* $variant,)*
        }

        impl Fault {
            /// Every fault with its name.
            const ALL: &'static [(Fault, &'static str)] = &[$((Fault::$variant, $name),)*];
        }
    };
}

faults! {
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

/// Position in [`Fault::ALL`] of the fault that is on, plus one; 0 for none.
static ACTIVE: Atomic<usize> = Atomic::new(0);

fn is_on(fault: Fault) -> bool {
    match ACTIVE.load(Relaxed).checked_sub(1) {
        Some(index) => Fault::ALL.get(index).is_some_and(|(on, _)| *on == fault),
        None => false,
    }
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
    if HostData::this_cpu(irqs.into()).fp_owner() != FpOwner::Guest {
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
    dir: Dir,
    #[pin]
    file: File<Selector>,
}

impl Control {
    /// Makes `kvm_arm64_rust/fault` in debugfs.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let dir = Dir::new(c"kvm_arm64_rust");
            Ok(try_pin_init!(Self {
                file <- dir.read_write_file(c"fault", Selector),
                dir: dir.clone(),
            }))
        })
    }
}

/// Reads and writes [`ACTIVE`] by name.
struct Selector;

impl Writer for Selector {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = ACTIVE.load(Relaxed);
        for (index, (_, name)) in Fault::ALL.iter().enumerate() {
            let mark = if index + 1 == active { '*' } else { ' ' };
            writeln!(f, "{mark} {name}")?;
        }
        Ok(())
    }
}

impl Reader for Selector {
    fn read_from_slice(&self, reader: &mut UserSliceReader) -> Result {
        let mut buffer = [0u8; 64];
        let text = buffer.get_mut(..reader.len()).ok_or(EINVAL)?;
        reader.read_slice(text)?;
        let name = core::str::from_utf8(text).map_err(|_| EINVAL)?.trim();
        let index = if name == "none" {
            0
        } else {
            1 + Fault::ALL
                .iter()
                .position(|(_, n)| *n == name)
                .ok_or(EINVAL)?
        };
        ACTIVE.store(index, Relaxed);
        Ok(())
    }
}
