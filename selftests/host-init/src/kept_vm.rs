// SPDX-License-Identifier: GPL-2.0

//! A VM without vCPUs that is there for as long as the host is.
//!
//! With the first VM KVM switches its preempt notifiers on, and with the last one
//! off: the scheduler's code is patched while the other CPU runs it. QEMU (10.0)
//! drops what it has translated of patched code before it stores the new
//! instruction, see `notdirty_write()` in `accel/tcg/cputlb.c`. A CPU that
//! translates it in between keeps the old instruction. Then the scheduler may give
//! a vCPU's CPU to somebody else without telling KVM, which finds its registers
//! loaded when it loads them the next time.

use anyhow::{Context, Result};
use kvm_ioctls::{Kvm, VmFd};

/// Creates it. KVM forgets it when it is dropped.
pub fn create() -> Result<VmFd> {
    Kvm::new()
        .and_then(|kvm| kvm.create_vm_with_type(0))
        .context("cannot create a VM that stays (KVM_CREATE_VM)")
}
