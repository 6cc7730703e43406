// SPDX-License-Identifier: GPL-2.0

//! What the compiler is told of code that changes all FP registers.

/// [`asm!`](std::arch::asm!) without a use of the stack, that changes V0 to
/// V31, P0 to P15 and FFR. The Z registers are changed with the V registers.
///
/// Takes what `asm!` does, with a comma behind the last argument. On a CPU
/// without SVE the names of its registers stand for nothing.
macro_rules! asm_clobbering_fp_registers {
    ($($argument:tt)*) => {
        ::std::arch::asm!(
            $($argument)*
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            out("p0") _, out("p1") _, out("p2") _, out("p3") _,
            out("p4") _, out("p5") _, out("p6") _, out("p7") _,
            out("p8") _, out("p9") _, out("p10") _, out("p11") _,
            out("p12") _, out("p13") _, out("p14") _, out("p15") _,
            out("ffr") _,
            options(nostack),
        )
    };
}

pub(crate) use asm_clobbering_fp_registers;
