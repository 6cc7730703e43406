// SPDX-License-Identifier: GPL-2.0

//! Kernel-mode NEON, and the one thing that the driver does with it.
//!
//! C header: [`arch/arm64/include/asm/neon.h`](srctree/arch/arm64/include/asm/neon.h)

use core::mem::MaybeUninit;
use kernel::{
    asm_clobbering_v_registers,
    bindings,
    types::NotThreadSafe, //
};

/// A proof that the running context may do with `V0`-`V31` as it pleases.
///
/// # Invariants
///
/// Lives between a `kernel_neon_begin()` and its `kernel_neon_end()`, in the context that called
/// them.
pub(crate) struct KernelNeon(NotThreadSafe);

/// Runs `f` with the FP registers in the hands of the running context.
///
/// Whatever state they held is saved before, and is where its owner looks for it after. Returns
/// [`None`], without running `f`, where kernel-mode NEON is not allowed. Not to be called from
/// within `f`: the inner call would hand the registers back too early.
pub(crate) fn with_kernel_neon<R>(f: impl FnOnce(&KernelNeon) -> R) -> Option<R> {
    // SAFETY: Only looks at the CPU's features and at the kind of context this is.
    if !unsafe { bindings::may_use_simd() } {
        return None;
    }

    // In softirq context this receives the registers of the kernel-mode NEON section that was
    // interrupted, if one was. It is not read unless it was written, so nothing initializes it.
    let mut state = MaybeUninit::<bindings::user_fpsimd_state>::uninit();

    // SAFETY: May be used, as was just found out; what that depends on stays the same until the
    // context returns. `state` is writable, and is neither moved nor dropped before the call of
    // `kernel_neon_end()` below.
    unsafe { bindings::kernel_neon_begin(state.as_mut_ptr()) };
    // INVARIANT: The call was just made; `f` has the proof by reference, so only until it returns.
    let result = f(&KernelNeon(NotThreadSafe));
    // SAFETY: Ends, in the same context and with the same `state`, what was begun above.
    unsafe { bindings::kernel_neon_end(state.as_mut_ptr()) };
    Some(result)
}

impl KernelNeon {
    /// Fills all of `V0`-`V31` with a pattern, waits for `turns` turns of an empty loop, and
    /// compares.
    ///
    /// Each half of each register gets a value of its own, which depends on `seed`. Returns a mask
    /// with bit n set if `Vn` had changed.
    pub(crate) fn hold(&self, seed: u64, turns: u64) -> u32 {
        /// 2^64 divided by the golden ratio: its multiples differ in most of their bits.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        const REGISTERS: u64 = 32;

        /// Repeats assembly for all registers, with `\n` for the number.
        macro_rules! for_each_register {
            ($($line:literal),+ $(,)?) => {
                concat!(
                    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, ",
                    "16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n",
                    $($line, "\n",)+
                    ".endr",
                )
            };
        }

        let changed: u32;
        // SAFETY: Touches no memory, no stack and no registers but its operands and clobbers. The
        // FP registers are the caller's, by the invariant of `Self`; FPSR and FPCR are left alone.
        // Where there is SVE, writing a V register also zeroes the rest of its Z register, which
        // `kernel_neon_begin()` has saved where anybody needs it. The compiler, for which the
        // kernel's target has no FP registers, keeps nothing in them and saves none of them on
        // account of the clobbers, which it would do outside of `kernel_neon_begin()`.
        //
        // For that same target nothing makes a value in them last from one block to the next, so
        // all of the work is in one. The option `nomem` is absent so that the block stays behind
        // `kernel_neon_begin()` and ahead of `kernel_neon_end()`.
        unsafe {
            asm_clobbering_v_registers!(
                ".arch_extension simd",
                // Fill: the low half with a multiple of STEP, the high half with its complement.
                "mov {value}, {first}",
                for_each_register!(
                    "mvn {scratch}, {value}",
                    "dup v\\n\\().2d, {value}",
                    "mov v\\n\\().d[1], {scratch}",
                    "add {value}, {value}, {step}",
                ),
                // Hold.
                "2:",
                "subs {turns}, {turns}, #1",
                "b.hi 2b",
                // Compare.
                "mov {value}, {first}",
                "mov {changed:w}, wzr",
                for_each_register!(
                    "mov {scratch}, v\\n\\().d[0]",
                    "eor {difference}, {scratch}, {value}",
                    "mov {scratch}, v\\n\\().d[1]",
                    "eon {scratch}, {scratch}, {value}",
                    "orr {difference}, {difference}, {scratch}",
                    "cmp {difference}, #0",
                    "cset {scratch:w}, ne",
                    "orr {changed:w}, {changed:w}, {scratch:w}, lsl #\\n",
                    "add {value}, {value}, {step}",
                ),
                first = in(reg) seed.wrapping_mul(REGISTERS).wrapping_mul(STEP),
                step = in(reg) STEP,
                turns = inout(reg) turns => _,
                value = out(reg) _,
                scratch = out(reg) _,
                difference = out(reg) _,
                changed = out(reg) changed,
                options(nostack),
            );
        }
        changed
    }
}
