// SPDX-License-Identifier: GPL-2.0

//! Proof that the running code stays on its CPU.
//!
//! C header: [`include/linux/preempt.h`](srctree/include/linux/preempt.h)

use crate::{
    interrupt::LocalInterruptDisabled,
    types::NotThreadSafe, //
};
use core::marker::PhantomData;

/// A proof, of no size, that preemption is disabled for the lifetime `'a`.
///
/// Functions take it where they touch what belongs to the CPU that they run on.
///
/// # Invariants
///
/// Preemption is disabled for as long as `'a` lasts.
#[derive(Clone, Copy)]
pub struct PreemptionDisabled<'a>(PhantomData<&'a NotThreadSafe>);

impl PreemptionDisabled<'_> {
    /// Takes the caller's word that preemption is disabled. Lockdep, where it is on, checks it.
    ///
    /// # Safety
    ///
    /// Preemption must be disabled, and stay so for all of the lifetime that the caller gives the
    /// proof.
    #[inline(always)]
    pub unsafe fn assume_disabled() -> Self {
        // SAFETY: Only looks at the state of preemption.
        unsafe { bindings::lockdep_assert_preemption_disabled() };
        // INVARIANT: By the safety requirement.
        Self(PhantomData)
    }
}

impl<'a> From<&'a LocalInterruptDisabled> for PreemptionDisabled<'a> {
    /// Nothing preempts a CPU that takes no interrupts.
    #[inline(always)]
    fn from(_: &'a LocalInterruptDisabled) -> Self {
        // INVARIANT: Interrupts are disabled for all of 'a.
        Self(PhantomData)
    }
}

/// Runs `f` with preemption disabled.
///
/// # Examples
///
/// ```
/// use kernel::preempt::with_preemption_disabled;
///
/// let answer = with_preemption_disabled(|_on_this_cpu| 42);
/// assert_eq!(answer, 42);
/// ```
#[inline(always)]
pub fn with_preemption_disabled<R>(f: impl FnOnce(PreemptionDisabled<'_>) -> R) -> R {
    // SAFETY: Always allowed; undone below.
    unsafe { bindings::preempt_disable() };
    // SAFETY: Disabled just now, until after `f` has returned. The proof cannot leave `f`, which
    // has to accept one of any lifetime.
    let result = f(unsafe { PreemptionDisabled::assume_disabled() });
    // SAFETY: Undoes the call above.
    unsafe { bindings::preempt_enable() };
    result
}
