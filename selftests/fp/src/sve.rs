// SPDX-License-Identifier: GPL-2.0

//! Z0-Z31, P0-P15 and FFR with FPSR, FPCR and FPMR.

use crate::checker::Hold;
use crate::clobbers::asm_clobbering_fp_registers;
use crate::registers::RegisterSet;

/// Loads all registers from `expected`, holds them, and stores all to `found`.
///
/// The CPU must have SVE. There is no system call: it may clear what it held.
pub(crate) fn hold(expected: &RegisterSet, found: &mut RegisterSet, hold: Hold) {
    // SAFETY: The CPU has SVE, or there were no checker of this kind. The
    // block moves 32 vectors, 16 predicates and FFR of the thread's vector
    // length; both images have room for the longest that the architecture
    // allows, so whatever the length is, the moves stay within them. Every FP
    // and SVE register is declared as overwritten. FPCR decides how the
    // compiler's own code computes and gets its value back within the block;
    // FPSR and FPMR are not relied on, and get theirs back all the same.
    unsafe {
        asm_clobbering_fp_registers!(
            ".arch_extension sve",
            "mrs {old_fpcr}, fpcr",
            "mrs {old_fpsr}, fpsr",
            // Load. FFR goes through a predicate.
            "ldr p0, [{predicates}, #16, mul vl]",
            "wrffr p0.b",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"ldr z\n, [{vectors}, #\n, mul vl]",
            ".endr",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            r"ldr p\n, [{predicates}, #\n, mul vl]",
            ".endr",
            "ldr {scratch}, [{control}]",
            "msr fpsr, {scratch}",
            "ldr {scratch}, [{control}, #8]",
            "msr fpcr, {scratch}",
            "cbz {fpmr}, 2f",
            "mrs {old_fpmr}, s3_3_c4_c4_2",
            "ldr {scratch}, [{control}, #16]",
            "msr s3_3_c4_c4_2, {scratch}",
            "2:",
            // Hold.
            "3: subs {spins}, {spins}, #1",
            "b.ne 3b",
            // Store.
            "rdvl {scratch}, #1",
            "str {scratch}, [{found_control}, #24]",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"str z\n, [{found_vectors}, #\n, mul vl]",
            ".endr",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            r"str p\n, [{found_predicates}, #\n, mul vl]",
            ".endr",
            "rdffr p0.b",
            "str p0, [{found_predicates}, #16, mul vl]",
            "mrs {scratch}, fpsr",
            "str {scratch}, [{found_control}]",
            "mrs {scratch}, fpcr",
            "str {scratch}, [{found_control}, #8]",
            "cbz {fpmr}, 4f",
            "mrs {scratch}, s3_3_c4_c4_2",
            "str {scratch}, [{found_control}, #16]",
            "msr s3_3_c4_c4_2, {old_fpmr}",
            "4:",
            "msr fpcr, {old_fpcr}",
            "msr fpsr, {old_fpsr}",
            ".arch_extension nosve",
            vectors = in(reg) expected.vectors.as_ptr(),
            predicates = in(reg) expected.predicates.as_ptr(),
            control = in(reg) &raw const expected.control,
            found_vectors = in(reg) found.vectors.as_mut_ptr(),
            found_predicates = in(reg) found.predicates.as_mut_ptr(),
            found_control = in(reg) &raw mut found.control,
            fpmr = in(reg) u64::from(hold.fpmr),
            spins = inout(reg) hold.spins => _,
            scratch = out(reg) _,
            old_fpcr = out(reg) _,
            old_fpsr = out(reg) _,
            old_fpmr = out(reg) _,
        );
    }
}
