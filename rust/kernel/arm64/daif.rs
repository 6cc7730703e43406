// SPDX-License-Identifier: GPL-2.0

//! PSTATE.DAIF: the masks of debug exceptions, SErrors, IRQs and FIQs.
//!
//! C header: [`arch/arm64/include/asm/daifflags.h`](srctree/arch/arm64/include/asm/daifflags.h)

/// Runs `f` with all of them masked, and leaves only IRQs and FIQs masked, as they must be before.
///
/// Where the kernel masks interrupts by priority, `f` has them unmasked there.
#[inline(always)]
pub fn with_all_masked<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: Always allowed; changed back below.
    unsafe { bindings::local_daif_mask() };
    let result = f();
    // SAFETY: As before the call above, or with more masked.
    unsafe { bindings::local_daif_restore((bindings::PSR_I_BIT | bindings::PSR_F_BIT) as usize) };
    result
}
