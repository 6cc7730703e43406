// SPDX-License-Identifier: GPL-2.0

//! V0-V31 with FPSR, FPCR and FPMR.

use crate::checker::Hold;
use crate::clobbers::asm_clobbering_fp_registers;
use crate::registers::RegisterSet;

/// Loads all registers from `expected`, holds them, and stores all to `found`.
pub(crate) fn hold(expected: &RegisterSet, found: &mut RegisterSet, hold: Hold) {
    // SAFETY: The block reads 512 bytes of vectors and the control values of
    // `expected`, and writes as much to `found`; both have room for it. Every
    // FP register is declared as overwritten, SVE's too, because a system call
    // may clear those. FPCR decides how the compiler's own code computes and
    // gets its value back within the block; FPSR and FPMR are not relied on,
    // and get theirs back all the same. The system call is sched_yield, getpid,
    // or a prctl that sets a vector length, which touch no memory and of the
    // general registers x0 only.
    unsafe {
        asm_clobbering_fp_registers!(
            "mrs {old_fpcr}, fpcr",
            "mrs {old_fpsr}, fpsr",
            // Load.
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"ldr q\n, [{vectors}, #(16 * \n)]",
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
            "mov {turns}, {spins}",
            "3: subs {turns}, {turns}, #1",
            "b.ne 3b",
            "tbnz x8, #63, 5f",
            "svc #0",
            "4: subs {spins}, {spins}, #1",
            "b.ne 4b",
            "5:",
            // Store.
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"str q\n, [{found_vectors}, #(16 * \n)]",
            ".endr",
            "mrs {scratch}, fpsr",
            "str {scratch}, [{found_control}]",
            "mrs {scratch}, fpcr",
            "str {scratch}, [{found_control}, #8]",
            "cbz {fpmr}, 6f",
            "mrs {scratch}, s3_3_c4_c4_2",
            "str {scratch}, [{found_control}, #16]",
            "msr s3_3_c4_c4_2, {old_fpmr}",
            "6:",
            "msr fpcr, {old_fpcr}",
            "msr fpsr, {old_fpsr}",
            vectors = in(reg) expected.vectors.as_ptr(),
            control = in(reg) &raw const expected.control,
            found_vectors = in(reg) found.vectors.as_mut_ptr(),
            found_control = in(reg) &raw mut found.control,
            fpmr = in(reg) u64::from(hold.fpmr),
            spins = inout(reg) hold.spins => _,
            turns = out(reg) _,
            scratch = out(reg) _,
            old_fpcr = out(reg) _,
            old_fpsr = out(reg) _,
            old_fpmr = out(reg) _,
            inout("x8") hold.syscall.unwrap_or(-1) => _,
            inout("x0") hold.arguments[0] => _,
            in("x1") hold.arguments[1],
        );
    }
}
