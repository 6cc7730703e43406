// SPDX-License-Identifier: GPL-2.0

//! Flags of the running thread that the architecture's FP code keeps.
//!
//! C header: [`arch/arm64/include/asm/thread_info.h`](srctree/arch/arm64/include/asm/thread_info.h)

use crate::ffi::c_int;

/// A flag in `thread_info::flags` of the running thread.
///
/// Each access is atomic on its own. Where the answer has to stay true for a while, the caller
/// keeps interrupts disabled: a softirq that uses the FP registers sets `TIF_FOREIGN_FPSTATE`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ThreadFlag {
    /// The registers of this CPU do not hold the state that the thread returns to userspace with,
    /// nor, while the thread runs a vCPU, the state of that vCPU.
    ForeignFpstate = bindings::TIF_FOREIGN_FPSTATE,
    /// The thread uses SVE: its accesses do not trap, and its state is that of SVE.
    Sve = bindings::TIF_SVE,
    /// The thread uses SME: its accesses do not trap.
    Sme = bindings::TIF_SME,
}

impl ThreadFlag {
    /// Returns whether the running thread has the flag set.
    #[inline(always)]
    pub fn is_set(self) -> bool {
        // SAFETY: Every thread has its flags, and the number is one of theirs.
        unsafe { bindings::test_thread_flag(self as c_int) }
    }

    /// Sets the flag of the running thread.
    #[inline(always)]
    pub fn set(self) {
        // SAFETY: As for `is_set`.
        unsafe { bindings::set_thread_flag(self as c_int) }
    }

    /// Clears the flag of the running thread.
    #[inline(always)]
    pub fn clear(self) {
        // SAFETY: As for `is_set`.
        unsafe { bindings::clear_thread_flag(self as c_int) }
    }
}
