// SPDX-License-Identifier: GPL-2.0

//! ZA and ZT0, in streaming mode with all of SVE's registers, or outside it
//! with V0-V31; with FPSR, FPCR and FPMR.

use crate::checker::Hold;
use crate::clobbers::asm_clobbering_fp_registers;
use crate::registers::{Layout, RegisterSet, ZaSet};

/// Where the block finds the images, because it needs more of them than there
/// are registers to spare.
#[repr(C)]
struct Images {
    vectors: *const u8,
    predicates: *const u8,
    control: *const crate::registers::Control,
    za: *const u8,
    zt0: *const u8,
    found_vectors: *mut u8,
    found_predicates: *mut u8,
    found_control: *mut crate::registers::Control,
    found_za: *mut u8,
    found_zt0: *mut u8,
}

/// Loads all registers from `expected` and `expected_za`, holds them, and
/// stores all to `found` and `found_za`.
///
/// The CPU must have SME. ZA is on as long as the registers are held, and
/// streaming mode is if `expected` has the layout of that mode; both are off
/// at the end.
pub(crate) fn hold(
    expected: &RegisterSet,
    expected_za: &ZaSet,
    found: &mut RegisterSet,
    found_za: &mut ZaSet,
    hold: Hold,
) {
    let (streaming, ffr) = match expected.layout() {
        Layout::Streaming { ffr, .. } => (true, ffr),
        Layout::Fpsimd | Layout::Sve { .. } => (false, false),
    };
    let images = Images {
        vectors: expected.vectors.as_ptr(),
        predicates: expected.predicates.as_ptr(),
        control: &raw const expected.control,
        za: expected_za.za.as_ptr(),
        zt0: expected_za.zt0.as_ptr(),
        found_vectors: found.vectors.as_mut_ptr(),
        found_predicates: found.predicates.as_mut_ptr(),
        found_control: &raw mut found.control,
        found_za: found_za.za.as_mut_ptr(),
        found_zt0: found_za.zt0.as_mut_ptr(),
    };
    // Streaming mode, FFR, ZT0, FPMR.
    let what = u64::from(streaming)
        | (u64::from(ffr) << 1)
        | (u64::from(hold.zt0) << 2)
        | (u64::from(hold.fpmr) << 3);
    // SAFETY: The CPU has SME, or there were no checker of this kind; FFR, ZT0
    // and FPMR are touched only where they exist. The block moves vectors,
    // predicates and rows of ZA of the thread's streaming vector length; the
    // images have room for the longest that the architecture allows, so
    // whatever the length is, the moves stay within them. Streaming mode and
    // ZA were off, since nothing else in the program uses them, and are off
    // again at the end. Every FP and SVE register is declared as overwritten.
    // FPCR decides how the compiler's own code computes and gets its value
    // back within the block; FPSR and FPMR are not relied on, and get theirs
    // back all the same. A system call is made outside streaming mode only; it
    // is sched_yield or getpid, which touch no memory and of the general
    // registers x0 only.
    unsafe {
        asm_clobbering_fp_registers!(
            ".arch_extension sve",
            ".arch_extension sme",
            ".arch_extension sme2",
            "mrs {old_fpcr}, fpcr",
            "mrs {old_fpsr}, fpsr",
            "tbz {what}, #3, 2f",
            "mrs {old_fpmr}, s3_3_c4_c4_2",
            "2:",
            // Load ZA, one row after the other.
            "smstart za",
            "rdsvl {vl}, #1",
            "ldr {at}, [{images}, #24]",
            "mov w12, wzr",
            "3: ldr za[w12, 0], [{at}]",
            "add {at}, {at}, {vl}",
            "add w12, w12, #1",
            "cmp x12, {vl}",
            "b.ne 3b",
            "tbz {what}, #2, 4f",
            "ldr {at}, [{images}, #32]",
            "ldr zt0, [{at}]",
            "4:",
            // Load the rest. Entering streaming mode clears it.
            "ldr {at}, [{images}]",
            "tbnz {what}, #0, 5f",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"ldr q\n, [{at}, #(16 * \n)]",
            ".endr",
            "b 7f",
            "5: smstart sm",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"ldr z\n, [{at}, #\n, mul vl]",
            ".endr",
            "ldr {at}, [{images}, #8]",
            "tbz {what}, #1, 6f",
            "ldr p0, [{at}, #16, mul vl]",
            "wrffr p0.b",
            "6:",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            r"ldr p\n, [{at}, #\n, mul vl]",
            ".endr",
            "7:",
            "ldr {at}, [{images}, #16]",
            "ldr {scratch}, [{at}]",
            "msr fpsr, {scratch}",
            "ldr {scratch}, [{at}, #8]",
            "msr fpcr, {scratch}",
            "tbz {what}, #3, 8f",
            "ldr {scratch}, [{at}, #16]",
            "msr s3_3_c4_c4_2, {scratch}",
            "8:",
            // Hold.
            "mov {scratch}, {spins}",
            "9: subs {scratch}, {scratch}, #1",
            "b.ne 9b",
            "tbnz x8, #63, 13f",
            "svc #0",
            "12: subs {spins}, {spins}, #1",
            "b.ne 12b",
            "13:",
            // Store. SVCR first: it says whether the rest can be stored.
            "ldr {at}, [{images}, #56]",
            "mrs {scratch}, s3_3_c4_c2_2",
            "str {scratch}, [{at}, #32]",
            "rdsvl {vl}, #1",
            "str {vl}, [{at}, #24]",
            "mrs {spins}, fpsr",
            "str {spins}, [{at}]",
            "mrs {spins}, fpcr",
            "str {spins}, [{at}, #8]",
            "tbz {what}, #3, 14f",
            "mrs {spins}, s3_3_c4_c4_2",
            "str {spins}, [{at}, #16]",
            "14:",
            "tbz {scratch}, #1, 16f",
            "ldr {at}, [{images}, #64]",
            "mov w12, wzr",
            "15: str za[w12, 0], [{at}]",
            "add {at}, {at}, {vl}",
            "add w12, w12, #1",
            "cmp x12, {vl}",
            "b.ne 15b",
            "tbz {what}, #2, 16f",
            "ldr {at}, [{images}, #72]",
            "str zt0, [{at}]",
            "16:",
            "ldr {at}, [{images}, #40]",
            "tbnz {scratch}, #0, 17f",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"str q\n, [{at}, #(16 * \n)]",
            ".endr",
            "b 18f",
            "17:",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            r"str z\n, [{at}, #\n, mul vl]",
            ".endr",
            "ldr {at}, [{images}, #48]",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            r"str p\n, [{at}, #\n, mul vl]",
            ".endr",
            "tbz {what}, #1, 18f",
            "rdffr p0.b",
            "str p0, [{at}, #16, mul vl]",
            "18:",
            // Leaving streaming mode sets FPSR and FPMR, so they come last.
            "smstop",
            "tbz {what}, #3, 19f",
            "msr s3_3_c4_c4_2, {old_fpmr}",
            "19:",
            "msr fpcr, {old_fpcr}",
            "msr fpsr, {old_fpsr}",
            ".arch_extension nosme2",
            ".arch_extension nosme",
            ".arch_extension nosve",
            images = in(reg) &raw const images,
            what = in(reg) what,
            spins = inout(reg) hold.spins => _,
            scratch = out(reg) _,
            vl = out(reg) _,
            at = out(reg) _,
            old_fpcr = out(reg) _,
            old_fpsr = out(reg) _,
            old_fpmr = out(reg) _,
            inout("x8") hold.syscall.unwrap_or(-1) => _,
            out("x0") _,
            out("x12") _,
        );
    }
}
