// SPDX-License-Identifier: GPL-2.0

//! Access to single registers. Together with `start.rs` and `instruction.rs`
//! all there is of assembly.

use crate::registers::{Register, DOUBLEWORDS};
use core::arch::asm;

/// Reads a register of a coprocessor.
macro_rules! mrc {
    ($coprocessor:literal, $opc1:literal, $crn:ident, $crm:ident, $opc2:literal) => {{
        let value: u32;
        // SAFETY: A read of one of the registers that are named in this crate
        // changes nothing that the compiler knows of.
        unsafe {
            core::arch::asm!(
                concat!(
                    "mrc p", $coprocessor, ", ", $opc1, ", {}, ", stringify!($crn), ", ",
                    stringify!($crm), ", ", $opc2
                ),
                out(reg) value,
                options(nostack, preserves_flags)
            );
        }
        value
    }};
}

/// Writes a register of a coprocessor. To be used in an unsafe block.
macro_rules! mcr {
    ($coprocessor:literal, $opc1:literal, $crn:ident, $crm:ident, $opc2:literal, $value:expr) => {
        core::arch::asm!(
            concat!(
                "mcr p", $coprocessor, ", ", $opc1, ", {}, ", stringify!($crn), ", ",
                stringify!($crm), ", ", $opc2
            ),
            in(reg) $value,
            options(nostack, preserves_flags)
        )
    };
}

pub(crate) use {mcr, mrc};

/// Defines [`read`] and [`write`].
macro_rules! accessors {
    (
        banked { $($banked:ident $name:ident,)* }
        coprocessor {
            $($register:ident $number:literal $opc1:literal $crn:ident $crm:ident $opc2:literal,)*
        }
        fp { $($control:ident $fp:ident,)* }
    ) => {
        /// Reads a register. FPSCR needs FPEXC.EN.
        pub fn read(register: Register) -> u32 {
            match register {
                $(Register::$banked => {
                    let value: u32;
                    // SAFETY: A read of a register that is banked for another
                    // mode than the one this runs in.
                    unsafe {
                        asm!(
                            ".arch_extension virt",
                            concat!("mrs {}, ", stringify!($name)),
                            out(reg) value,
                            options(nostack, preserves_flags)
                        );
                    }
                    value
                })*
                $(Register::$register => mrc!($number, $opc1, $crn, $crm, $opc2),)*
                $(Register::$control => {
                    let value: u32;
                    // SAFETY: A read that changes nothing.
                    unsafe {
                        asm!(
                            ".fpu neon",
                            concat!("vmrs {}, ", stringify!($fp)),
                            out(reg) value,
                            options(nostack, preserves_flags)
                        );
                    }
                    value
                })*
            }
        }

        /// Writes a register. FPSCR needs FPEXC.EN.
        ///
        /// # Safety
        ///
        /// `value` is a pattern of this register, or what it had before.
        pub unsafe fn write(register: Register, value: u32) {
            match register {
                $(Register::$banked => {
                    // SAFETY: Exceptions write these registers, and nothing
                    // reads them: `start.rs` returns by the stack.
                    unsafe {
                        asm!(
                            ".arch_extension virt",
                            concat!("msr ", stringify!($name), ", {}"),
                            in(reg) value,
                            options(nostack, preserves_flags)
                        );
                    }
                })*
                // SAFETY: With a pattern, memory, vectors and permissions stay
                // what they are, as the caller warrants.
                $(Register::$register => unsafe {
                    mcr!($number, $opc1, $crn, $crm, $opc2, value);
                },)*
                $(Register::$control => {
                    // SAFETY: Compiled code does not use FP.
                    unsafe {
                        asm!(
                            ".fpu neon",
                            concat!("vmsr ", stringify!($fp), ", {}"),
                            in(reg) value,
                            options(nostack, preserves_flags)
                        );
                    }
                })*
            }
        }
    };
}

accessors! {
    banked {
        SpsrSvc SPSR_svc,
        SpsrAbt SPSR_abt,
        SpsrUnd SPSR_und,
        SpsrIrq SPSR_irq,
        SpsrFiq SPSR_fiq,
        SpSvc SP_svc,
        LrSvc LR_svc,
        SpAbt SP_abt,
        LrAbt LR_abt,
        SpUnd SP_und,
        LrUnd LR_und,
        SpIrq SP_irq,
        LrIrq LR_irq,
        SpFiq SP_fiq,
        LrFiq LR_fiq,
        R8Fiq R8_fiq,
        R9Fiq R9_fiq,
        R10Fiq R10_fiq,
        R11Fiq R11_fiq,
        R12Fiq R12_fiq,
    }
    coprocessor {
        Dacr 15 0 c3 c0 0,
        Ifsr 15 0 c5 c0 1,
        Dfsr 15 0 c5 c0 0,
        Ifar 15 0 c6 c0 2,
        Dfar 15 0 c6 c0 0,
        Ttbr0 15 0 c2 c0 0,
        Ttbr1 15 0 c2 c0 1,
        Ttbcr 15 0 c2 c0 2,
        Contextidr 15 0 c13 c0 1,
        Tpidrurw 15 0 c13 c0 2,
        Tpidruro 15 0 c13 c0 3,
        Tpidrprw 15 0 c13 c0 4,
        Vbar 15 0 c12 c0 0,
        Par 15 0 c7 c4 0,
        Csselr 15 2 c0 c0 0,
        Prrr 15 0 c10 c2 0,
        Nmrr 15 0 c10 c2 1,
        Cpacr 15 0 c1 c0 2,
        Sctlr 15 0 c1 c0 0,
        Cntkctl 15 0 c14 c1 0,
        Dbgdscr 14 0 c0 c2 2,
        Dbgvcr 14 0 c0 c7 0,
    }
    fp {
        Fpscr FPSCR,
        Fpexc FPEXC,
    }
}

/// D0 to D31.
pub type Doublewords = [u64; DOUBLEWORDS];

/// Reads all doubleword registers. Needs FPEXC.EN.
pub fn read_doublewords(values: &mut Doublewords) {
    // SAFETY: The stores fill the array, to its end.
    unsafe {
        asm!(
            ".fpu neon",
            "vstmia {0}!, {{d0-d15}}",
            "vstmia {0}, {{d16-d31}}",
            inout(reg) values.as_mut_ptr() => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Writes all doubleword registers. Needs FPEXC.EN.
pub fn write_doublewords(values: &Doublewords) {
    // SAFETY: The loads read the array, to its end. Compiled code does not use
    // FP registers.
    unsafe {
        asm!(
            ".fpu neon",
            "vldmia {0}!, {{d0-d15}}",
            "vldmia {0}, {{d16-d31}}",
            inout(reg) values.as_ptr() => _,
            options(nostack, preserves_flags, readonly)
        );
    }
}

/// Reads CPSR.
pub fn cpsr() -> u32 {
    let value: u32;
    // SAFETY: A read that changes nothing.
    unsafe { asm!("mrs {}, cpsr", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// What was written to registers holds for the next instruction.
pub fn isb() {
    // SAFETY: A barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// What was written to memory is visible to whoever walks tables.
pub fn dsb() {
    // SAFETY: A barrier.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}
