// SPDX-License-Identifier: GPL-2.0

//! The register files of FP, Advanced SIMD and SVE, moved to memory and back.
//!
//! All assembly that touches them stands here, for code that runs with the registers of somebody
//! else in the CPU: the compiler keeps nothing in them, as the kernel's target has none. A
//! simulated CPU replaces this file.
//!
//! C header: [`arch/arm64/include/asm/fpsimd.h`](srctree/arch/arm64/include/asm/fpsimd.h)

/// Stores V0 to V31.
///
/// # Safety
///
/// FP instructions must not trap here, and `to` must be valid for writing 512 bytes.
#[inline(always)]
pub(super) unsafe fn save_v(to: *mut u8) {
    // SAFETY: By the safety requirements.
    unsafe {
        crate::asm!(
            ".arch_extension fp
            .arch_extension simd
            stp q0, q1, [{to}, #16 * 0]
            stp q2, q3, [{to}, #16 * 2]
            stp q4, q5, [{to}, #16 * 4]
            stp q6, q7, [{to}, #16 * 6]
            stp q8, q9, [{to}, #16 * 8]
            stp q10, q11, [{to}, #16 * 10]
            stp q12, q13, [{to}, #16 * 12]
            stp q14, q15, [{to}, #16 * 14]
            stp q16, q17, [{to}, #16 * 16]
            stp q18, q19, [{to}, #16 * 18]
            stp q20, q21, [{to}, #16 * 20]
            stp q22, q23, [{to}, #16 * 22]
            stp q24, q25, [{to}, #16 * 24]
            stp q26, q27, [{to}, #16 * 26]
            stp q28, q29, [{to}, #16 * 28]
            stp q30, q31, [{to}, #16 * 30]";
            to = in(reg) to,
            options(nostack, preserves_flags),
        );
    }
}

/// Loads V0 to V31. Where there is SVE, the rest of Z0 to Z31 becomes 0.
///
/// # Safety
///
/// FP instructions must not trap here, `from` must be valid for reading 512 bytes, and nobody
/// must need what is in the registers.
#[inline(always)]
pub(super) unsafe fn load_v(from: *const u8) {
    // SAFETY: By the safety requirements.
    unsafe {
        crate::asm!(
            ".arch_extension fp
            .arch_extension simd
            ldp q0, q1, [{from}, #16 * 0]
            ldp q2, q3, [{from}, #16 * 2]
            ldp q4, q5, [{from}, #16 * 4]
            ldp q6, q7, [{from}, #16 * 6]
            ldp q8, q9, [{from}, #16 * 8]
            ldp q10, q11, [{from}, #16 * 10]
            ldp q12, q13, [{from}, #16 * 12]
            ldp q14, q15, [{from}, #16 * 14]
            ldp q16, q17, [{from}, #16 * 16]
            ldp q18, q19, [{from}, #16 * 18]
            ldp q20, q21, [{from}, #16 * 20]
            ldp q22, q23, [{from}, #16 * 22]
            ldp q24, q25, [{from}, #16 * 24]
            ldp q26, q27, [{from}, #16 * 26]
            ldp q28, q29, [{from}, #16 * 28]
            ldp q30, q31, [{from}, #16 * 30]";
            from = in(reg) from,
            options(nostack, preserves_flags),
        );
    }
}

/// Stores Z0 to Z31, P0 to P15 and FFR, one behind the other, each as long as the vector length in
/// force makes it.
///
/// # Safety
///
/// SVE instructions must not trap here, and `to` must be valid for writing what
/// `SVE_SIG_REGS_SIZE()` says for that vector length.
#[inline(always)]
pub(super) unsafe fn save_sve(to: *mut u8) {
    // SAFETY: By the safety requirements. FFR can only be stored by way of a P register, which has
    // been stored by then and is loaded again.
    unsafe {
        crate::asm!(
            ".arch_extension sve
            .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
            str z\\n, [{at}, #\\n, mul vl]
            .endr
            .irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
            str z\\n, [{at}, #\\n, mul vl]
            .endr
            addvl {at}, {at}, #31
            addvl {at}, {at}, #1
            .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
            str p\\n, [{at}, #\\n, mul vl]
            .endr
            rdffr p0.b
            str p0, [{at}, #16, mul vl]
            ldr p0, [{at}]";
            at = inout(reg) to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Loads Z0 to Z31, P0 to P15 and FFR from where [`save_sve`] stored them.
///
/// # Safety
///
/// SVE instructions must not trap here, `from` must be valid for reading what `SVE_SIG_REGS_SIZE()`
/// says for the vector length in force, and nobody must need what is in the registers.
#[inline(always)]
pub(super) unsafe fn load_sve(from: *const u8) {
    // SAFETY: By the safety requirements. FFR can only be loaded by way of a P register, which is
    // loaded after it.
    unsafe {
        crate::asm!(
            ".arch_extension sve
            .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
            ldr z\\n, [{at}, #\\n, mul vl]
            .endr
            .irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
            ldr z\\n, [{at}, #\\n, mul vl]
            .endr
            addvl {at}, {at}, #31
            addvl {at}, {at}, #1
            ldr p0, [{at}, #16, mul vl]
            wrffr p0.b
            .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
            ldr p\\n, [{at}, #\\n, mul vl]
            .endr";
            at = inout(reg) from => _,
            options(nostack, preserves_flags),
        );
    }
}
