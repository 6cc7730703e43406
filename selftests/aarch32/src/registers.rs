// SPDX-License-Identifier: GPL-2.0

//! The registers that the guest holds patterns in, and the patterns, for guest
//! and VMM.
//!
//! Everything that can differ has a number, by which the guest reports it:
//! a [`Register`], half a doubleword register ([`half`]), or an [`Answer`].

use crate::interface::{TABLES, TABLES_CHOICE, VECTORS};

/// Declares an enumeration with the names of its values.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($value:ident $text:literal,)* }) => {
        $(#[$meta])*
        #[allow(
            missing_docs,
            reason = "each is the register or instruction that it is named after"
        )]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($value),* }

        impl $name {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// The name in the Arm Architecture Reference Manual.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $text),* }
            }
        }
    };
}

named! {
    /// A 32-bit register of AArch32 state at EL1.
    Register {
        SpsrSvc "SPSR_svc",
        SpsrAbt "SPSR_abt",
        SpsrUnd "SPSR_und",
        SpsrIrq "SPSR_irq",
        SpsrFiq "SPSR_fiq",
        SpSvc "SP_svc",
        LrSvc "LR_svc",
        SpAbt "SP_abt",
        LrAbt "LR_abt",
        SpUnd "SP_und",
        LrUnd "LR_und",
        SpIrq "SP_irq",
        LrIrq "LR_irq",
        SpFiq "SP_fiq",
        LrFiq "LR_fiq",
        R8Fiq "R8_fiq",
        R9Fiq "R9_fiq",
        R10Fiq "R10_fiq",
        R11Fiq "R11_fiq",
        R12Fiq "R12_fiq",
        Dacr "DACR",
        Ifsr "IFSR",
        Dfsr "DFSR",
        Ifar "IFAR",
        Dfar "DFAR",
        Ttbr0 "TTBR0",
        Ttbr1 "TTBR1",
        Ttbcr "TTBCR",
        Contextidr "CONTEXTIDR",
        Tpidrurw "TPIDRURW",
        Tpidruro "TPIDRURO",
        Tpidrprw "TPIDRPRW",
        Vbar "VBAR",
        Par "PAR",
        Csselr "CSSELR",
        Prrr "PRRR",
        Nmrr "NMRR",
        Cpacr "CPACR",
        Sctlr "SCTLR",
        Cntkctl "CNTKCTL",
        Dbgdscr "DBGDSCRext",
        Dbgvcr "DBGVCR",
        Fpscr "FPSCR",
        Fpexc "FPEXC",
    }
}

named! {
    /// What an instruction or an access must have for a result.
    Answer {
        Version "the answer of PSCI_VERSION",
        Typer "GICD_TYPER",
        Actlr "ACTLR",
        Oslsr "DBGOSLSR",
        Echo "the answer of the VMM's device",
        Exception "the exception that was taken",
        Status "the SPSR that an exception was taken with",
        Interrupt "the interrupt that was taken",
    }
}

/// Number of doubleword registers.
pub const DOUBLEWORDS: usize = 32;
/// FPEXC.EN: FP instructions work.
pub const FPEXC_EN: u32 = 1 << 30;

const HALVES: u32 = 0x100;
const ANSWERS: u32 = 0x200;

/// Number of the low or the high half of a doubleword register.
pub const fn half(register: usize, high: bool) -> u32 {
    HALVES + 2 * register as u32 + high as u32
}

impl Answer {
    /// Its number.
    pub const fn number(self) -> u32 {
        ANSWERS + self as u32
    }
}

/// The values that a register can be given without changing how the guest
/// works.
struct Values {
    /// Bits that follow the pattern.
    pattern: u32,
    /// Other bits that are 1.
    fixed: u32,
    /// Bits that are compared.
    compared: u32,
}

impl Values {
    /// A register all of whose bits are known.
    const fn known(pattern: u32, fixed: u32) -> Self {
        Self {
            pattern,
            fixed,
            compared: u32::MAX,
        }
    }

    /// A register whose other bits belong to the CPU.
    const fn partly(pattern: u32) -> Self {
        Self {
            pattern,
            fixed: 0,
            compared: pattern,
        }
    }
}

impl Register {
    /// Its number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    const fn values(self) -> Values {
        match self {
            // All but the mode, which is System, and bits that Armv8.0 has not.
            Self::SpsrSvc | Self::SpsrAbt | Self::SpsrUnd | Self::SpsrIrq | Self::SpsrFiq => {
                Values::known(0xfe0f_ffe0, 0x1f)
            }
            // Domain 0, which is that of all memory, is a client. Others are,
            // or give no access.
            Self::Dacr => Values::known(0x5555_5554, 1),
            Self::Ifsr => Values::known(0x160f, 0),
            Self::Dfsr => Values::known(0x3eff, 0),
            // Cacheable and shareable walks. NOS differs.
            Self::Ttbr0 => Values::known(TABLES_CHOICE | 0x20, TABLES | 0x4a),
            Self::Ttbr1 => Values::known(0xffff_c07b, 0),
            // N. PD1 is 1: no walks by TTBR1, whatever N is.
            Self::Ttbcr => Values::known(0x1, 0x20),
            Self::Vbar => Values::known(crate::interface::VECTORS_CHOICE, VECTORS),
            Self::Par => Values::known(0xffff_f000, 0),
            Self::Csselr => Values::known(0x3, 0),
            Self::Prrr => Values::known(0xff0f_ffff, 0),
            // Access from PL1 alone, or from PL0 as well: cp10 and cp11 alike.
            Self::Cpacr => Values::known(0x00a0_0000, 0x0050_0000),
            // nTWE, nTWI, SED, ITD. With what is 1 at reset: I, C, M.
            Self::Sctlr => Values::known(0x0005_0180, 0x00c0_107d),
            // All but EVNTEN.
            Self::Cntkctl => Values::known(0x3fb, 0),
            // MDBGen, on which depends whether KVM switches the debug registers.
            Self::Dbgdscr => Values::partly(0x8000),
            // The vector of FIQs, which the guest never takes.
            Self::Dbgvcr => Values::known(0x80, 0),
            // Len and Stride stay 0: there are no short vectors.
            Self::Fpscr => Values::known(0xffc0_009f, 0),
            Self::Fpexc => Values::partly(FPEXC_EN),
            _ => Values::known(u32::MAX, 0),
        }
    }

    /// What `vcpu` puts into it in `round`.
    pub const fn pattern(self, vcpu: u32, round: u32) -> u32 {
        let values = self.values();
        let mut bits = mix(vcpu, round, self.number());
        if matches!(self, Self::Cpacr) {
            bits = 0u32.wrapping_sub(bits & 1);
        }
        (bits & values.pattern) | values.fixed
    }

    /// The bits that are compared.
    pub const fn compared(self) -> u32 {
        self.values().compared
    }

    /// Bits that can be changed under the guest, which only a comparison
    /// notices.
    pub const fn alterable(self) -> u32 {
        let pattern = self.values().pattern;
        match self {
            Self::Cpacr => pattern,
            _ => 1 << (31 - pattern.leading_zeros()),
        }
    }
}

/// What `vcpu` puts into a doubleword register in `round`.
pub const fn doubleword(register: usize, vcpu: u32, round: u32) -> u64 {
    let low = mix(vcpu, round, half(register, false));
    let high = mix(vcpu, round, half(register, true));
    ((high as u64) << 32) | low as u64
}

/// Pseudo-random bits (the finaliser of MurmurHash3).
const fn mix(vcpu: u32, round: u32, number: u32) -> u32 {
    let mut word = ((vcpu << 28) ^ (number << 16)).wrapping_add(round.wrapping_mul(0x9e37_79b1));
    word ^= word >> 16;
    word = word.wrapping_mul(0x85eb_ca6b);
    word ^= word >> 13;
    word = word.wrapping_mul(0xc2b2_ae35);
    word ^ (word >> 16)
}
