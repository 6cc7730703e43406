// SPDX-License-Identifier: GPL-2.0

//! What is there for as long as the host is, so that the scheduler's code stays as it is.
//!
//! With the first VM KVM switches its preempt notifiers on, and with the last one
//! off: the scheduler's code is patched while the other CPU runs it. So it is with
//! the first and the last perf event that belongs to any task. QEMU (10.0) drops what it has
//! translated of patched code before it stores the new instruction, see
//! `notdirty_write()` in `accel/tcg/cputlb.c`. A CPU that translates it in between
//! keeps the old instruction. Then the scheduler may give a vCPU's CPU to somebody
//! else without telling KVM, which finds its registers loaded when it loads them the
//! next time; or it tells perf that a task with events comes, but not that the one
//! before it has gone.

use std::io::{Error, ErrorKind};

use anyhow::{Context, Result};
use kvm_ioctls::{Kvm, VmFd};
use perf_event::{events::Software, Builder, Counter};

/// A VM without vCPUs, and a perf event that counts nothing. The kernel forgets both
/// when they are dropped.
pub struct Kept {
    _vm: VmFd,
    _event: Option<Counter>,
}

impl Kept {
    /// Creates both.
    ///
    /// # Errors
    /// The kernel has no KVM, or refuses one of them.
    pub fn create() -> Result<Self> {
        let vm = Kvm::new()
            .and_then(|kvm| kvm.create_vm_with_type(0))
            .context("cannot create a VM that stays (KVM_CREATE_VM)")?;
        Ok(Self {
            _vm: vm,
            _event: event_of_this_task()
                .context("cannot create a perf event that stays (perf_event_open)")?,
        })
    }
}

/// None where the kernel has no perf events, and so no code of theirs to patch.
fn event_of_this_task() -> Result<Option<Counter>, Error> {
    match Builder::new(Software::DUMMY).build() {
        Ok(event) => Ok(Some(event)),
        // ENOSYS.
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}
