// SPDX-License-Identifier: GPL-2.0

//! Q0-Q15 with FPSCR: what AArch32 has of V0-V15, FPSR and FPCR.

use std::arch::asm;

use crate::checker::Hold;
use crate::registers::RegisterSet;

/// AHP, DN, FZ and RMode of FPSCR, which are FPCR's in AArch64. The rest is FPSR's.
const FPCR_MASK: u32 = 0b1_1111 << 22;

/// Loads all registers from `expected`, holds them, and stores all to `found`.
pub(crate) fn hold(expected: &RegisterSet, found: &mut RegisterSet, hold: Hold) {
    let mut fpscr = (expected.control.fpsr | expected.control.fpcr) as u32;
    // SAFETY: The block reads 256 bytes of vectors of `expected` and writes as much to `found`;
    // both have room for it. The compiler is told of D0-D15, which are all that it uses on
    // this target; D16-D31 are not preserved over a call by anybody. FPSCR decides how the
    // compiler's own code computes and gets its value back within the block. The system call
    // is sched_yield or getpid, which touch no memory and of the general registers r0 only.
    unsafe {
        asm!(
            // The target's programs do without what has these registers.
            ".fpu neon",
            "vmrs {old_fpscr}, fpscr",
            // Load.
            "vldmia {vectors}!, {{d0-d15}}",
            "vldmia {vectors}, {{d16-d31}}",
            "vmsr fpscr, {fpscr}",
            // Hold.
            "mov {turns}, {spins}",
            "2: subs {turns}, {turns}, #1",
            "bne 2b",
            "cmn r7, #1",
            "beq 4f",
            "svc #0",
            "3: subs {spins}, {spins}, #1",
            "bne 3b",
            "4:",
            // Store.
            "vmrs {fpscr}, fpscr",
            "vstmia {found_vectors}!, {{d0-d15}}",
            "vstmia {found_vectors}, {{d16-d31}}",
            "vmsr fpscr, {old_fpscr}",
            ".fpu vfpv3-d16",
            vectors = inout(reg) expected.vectors.as_ptr() => _,
            found_vectors = inout(reg) found.vectors.as_mut_ptr() => _,
            fpscr = inout(reg) fpscr,
            spins = inout(reg) hold.spins as u32 => _,
            turns = out(reg) _,
            old_fpscr = out(reg) _,
            inout("r7") hold.syscall.unwrap_or(-1) => _,
            out("r0") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            options(nostack),
        );
    }
    found.control.fpsr = u64::from(fpscr & !FPCR_MASK);
    found.control.fpcr = u64::from(fpscr & FPCR_MASK);
}
