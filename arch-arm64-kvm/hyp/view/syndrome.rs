// SPDX-License-Identifier: GPL-2.0

//! `ESR_EL2`: why a guest was left.
//!
//! Arm ARM (DDI 0487), "ESR_EL2, Exception Syndrome Register (EL2)".

use kernel::{
    arm64::sysreg::Encoding,
    bindings, //
};

/// A value of `ESR_EL2`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syndrome(pub(crate) u64);

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// An exception class: all that the Arm ARM has, whether a guest can cause them or not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Class {
            $($(#[$doc])* $name = $value,)*
            /// One that is reserved.
            Reserved = 0x40,
        }

        impl Class {
            #[inline(always)]
            const fn of(value: u8) -> Self {
                match value {
                    $($value => Self::$name,)*
                    _ => Self::Reserved,
                }
            }
        }
    };
}

classes! {
    /// Unknown reason.
    Unknown = 0x00,
    /// WFI, WFE, WFIT or WFET.
    Wfx = 0x01,
    /// MCR or MRC to CP15.
    Cp15_32 = 0x03,
    /// MCRR or MRRC to CP15.
    Cp15_64 = 0x04,
    /// MCR or MRC to CP14.
    Cp14Mr = 0x05,
    /// LDC or STC of CP14.
    Cp14Ls = 0x06,
    /// FP or Advanced SIMD.
    FpAsimd = 0x07,
    /// VMRS of an ID register of FP.
    Cp10Id = 0x08,
    /// An instruction of pointer authentication.
    Pac = 0x09,
    /// LD64B, ST64B and their like, and what else has no class of its own.
    Other = 0x0a,
    /// MRRC to CP14.
    Cp14_64 = 0x0c,
    /// Branch target.
    Bti = 0x0d,
    /// Illegal execution state.
    Ill = 0x0e,
    /// SVC in AArch32 state.
    Svc32 = 0x11,
    /// HVC in AArch32 state.
    Hvc32 = 0x12,
    /// SMC in AArch32 state.
    Smc32 = 0x13,
    /// MSRR or MRRS, or a 128-bit system instruction.
    Sysp = 0x14,
    /// SVC.
    Svc64 = 0x15,
    /// HVC.
    Hvc64 = 0x16,
    /// SMC.
    Smc64 = 0x17,
    /// MSR, MRS or a system instruction.
    Sys64 = 0x18,
    /// SVE.
    Sve = 0x19,
    /// ERET, ERETAA or ERETAB.
    Eret = 0x1a,
    /// TSTART.
    Tstart = 0x1b,
    /// Failed pointer authentication.
    Fpac = 0x1c,
    /// SME.
    Sme = 0x1d,
    /// Granule protection.
    Gpc = 0x1e,
    /// The implementation's own, at EL3.
    ImpDef = 0x1f,
    /// Instruction abort from a lower exception level.
    IabtLow = 0x20,
    /// Instruction abort from the same exception level.
    IabtCur = 0x21,
    /// Misaligned PC.
    PcAlign = 0x22,
    /// Data abort from a lower exception level.
    DabtLow = 0x24,
    /// Data abort from the same exception level.
    DabtCur = 0x25,
    /// Misaligned SP.
    SpAlign = 0x26,
    /// Memory copy and memory set.
    Mops = 0x27,
    /// FP exception in AArch32 state.
    FpExc32 = 0x28,
    /// FP exception.
    FpExc64 = 0x2c,
    /// Guarded control stack.
    Gcs = 0x2d,
    /// SError.
    Serror = 0x2f,
    /// Breakpoint, from a lower exception level.
    BreakptLow = 0x30,
    /// Breakpoint, from the same exception level.
    BreakptCur = 0x31,
    /// Software step, from a lower exception level.
    SoftstpLow = 0x32,
    /// Software step, from the same exception level.
    SoftstpCur = 0x33,
    /// Watchpoint, from a lower exception level.
    WatchptLow = 0x34,
    /// Watchpoint, from the same exception level.
    WatchptCur = 0x35,
    /// BKPT in AArch32 state.
    Bkpt32 = 0x38,
    /// Vector catch in AArch32 state.
    Vector32 = 0x3a,
    /// BRK.
    Brk64 = 0x3c,
    /// Profiling.
    Profiling = 0x3d,
    /// Not the architecture's: what some Apple CPUs report for trapped accesses to the PMU.
    AppleImpDef = 0x3f,
}

/// The classes that are for the kernel in each world, as a pattern: so the match of a world has no
/// arm for the rest, and one that is forgotten does not compile.
macro_rules! classes_for_the_kernel {
    () => {
        // The kernel emulates them, or gives the guest an exception.
        Class::Unknown
        | Class::Wfx
        | Class::Cp15_64
        | Class::Cp14Mr
        | Class::Cp14Ls
        | Class::Cp10Id
        | Class::Pac
        | Class::Other
        | Class::Cp14_64
        | Class::Svc32
        | Class::Hvc32
        | Class::Smc32
        | Class::Sysp
        | Class::Svc64
        | Class::Smc64
        | Class::Tstart
        | Class::Sme
        | Class::Gcs
        | Class::FpExc32
        | Class::FpExc64
        | Class::BreakptLow
        | Class::SoftstpLow
        | Class::Bkpt32
        | Class::Vector32
        | Class::Brk64
        // A guest cannot cause them at EL2, or only with a CPU that has what Linux does not know.
        // The kernel says so.
        | Class::Bti
        | Class::Ill
        | Class::Fpac
        | Class::Gpc
        | Class::ImpDef
        | Class::IabtCur
        | Class::PcAlign
        | Class::DabtCur
        | Class::SpAlign
        | Class::Serror
        | Class::BreakptCur
        | Class::SoftstpCur
        | Class::WatchptCur
        | Class::Profiling
        | Class::Reserved
    };
}
pub(crate) use classes_for_the_kernel;

/// The fields that are a bit.
macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        $(
            $(#[$doc])*
            // Not every world asks for each.
            #[allow(dead_code)]
            #[inline(always)]
            pub(crate) const fn $name(self) -> bool {
                self.0 & (1 << $bit) != 0
            }
        )*
    };
}

impl Syndrome {
    bits! {
        /// A data abort: whether the fields that describe the access are valid.
        isv = 24;
        /// An abort with an external abort: whether `FAR_EL2` is not valid.
        fnv = 10;
        /// An abort: whether it is one of stage 2, for a walk of stage 1.
        s1ptw = 7;
        /// A trapped ERET: whether it is ERETAA or ERETAB.
        is_eretax = 1;
        /// A memory copy or memory set instruction: whether it is one that sets memory.
        is_memory_set = 24;
        /// A memory copy or memory set instruction: whether it is an epilogue one.
        is_from_epilogue = 18;
        /// A memory copy or memory set instruction: whether the registers have the format of the
        /// other option than the one that the CPU has.
        is_wrong_option = 17;
        /// A memory copy or memory set instruction: whether the CPU has option A.
        is_option_a = 16;
        /// A trapped system register access: whether it is a read.
        is_read = 0;
    }

    /// The exception class.
    #[inline(always)]
    pub(crate) const fn class(self) -> Class {
        Class::of((self.0 >> 26) as u8 & 0x3f)
    }

    /// The syndrome of class `class` with 32-bit instruction and the ISS `iss`.
    // Only VHE makes one.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) const fn new(class: Class, iss: u64) -> Self {
        Self(((class as u64) << 26) | (1 << 25) | iss)
    }

    /// What is specific to the class.
    // As for `new`.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) const fn iss(self) -> u64 {
        self.0 & 0x1ff_ffff
    }

    /// A trapped system register access: the general-purpose register, 31 for XZR.
    #[inline(always)]
    pub(crate) const fn rt(self) -> u8 {
        (self.0 >> 5) as u8 & 0x1f
    }

    /// A trapped system register access or system instruction: by which name.
    #[inline(always)]
    pub(crate) const fn accessed(self) -> Accessed {
        Accessed(self.0 as u32 & Accessed::MASK)
    }

    /// A trapped memory copy or memory set instruction: the registers with destination, source and
    /// size.
    #[inline(always)]
    pub(crate) const fn mops_registers(self) -> (u8, u8, u8) {
        (
            (self.0 >> 10) as u8 & 0x1f,
            (self.0 >> 5) as u8 & 0x1f,
            self.0 as u8 & 0x1f,
        )
    }

    /// An abort: the fault status code.
    #[inline(always)]
    pub(crate) const fn fsc(self) -> Fault {
        Fault(self.0 as u32 & bindings::ESR_ELx_FSC)
    }
}

/// The name in a trapped system register access or system instruction, as the ISS has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accessed(u32);

impl Accessed {
    /// Op0, Op2, Op1 and CRn, and CRm.
    const MASK: u32 = (0x3 << 20) | (0x7 << 17) | (0x7 << 14) | (0xf << 10) | (0xf << 1);

    /// The access by the name with this encoding.
    pub(crate) const fn by(name: Encoding) -> Self {
        Self(
            ((name.op0 as u32) << 20)
                | ((name.op2 as u32) << 17)
                | ((name.op1 as u32) << 14)
                | ((name.crn as u32) << 10)
                | ((name.crm as u32) << 1),
        )
    }

    /// Returns the encoding of the name.
    // Only VHE hands it to C.
    #[allow(dead_code)]
    pub(crate) const fn name(self) -> Encoding {
        Encoding {
            op0: (self.0 >> 20) as u8 & 0x3,
            op1: (self.0 >> 14) as u8 & 0x7,
            crn: (self.0 >> 10) as u8 & 0xf,
            crm: (self.0 >> 1) as u8 & 0xf,
            op2: (self.0 >> 17) as u8 & 0x7,
        }
    }
}

/// The fault status code of an abort.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault(u32);

impl Fault {
    /// Those of a kind have a code for each level of the walk, from -1 or 0 to 3.
    #[inline(always)]
    const fn is_of(self, level_0: u32, level_minus_1: Option<u32>) -> bool {
        let other = match level_minus_1 {
            Some(code) => self.0 == code,
            None => false,
        };
        self.0 & !0b11 == level_0 || other
    }

    /// Returns whether there is no translation.
    #[inline(always)]
    pub(crate) const fn is_translation(self) -> bool {
        self.is_of(0b000100, Some(0b101011))
    }

    /// Returns whether the Access flag is clear.
    #[inline(always)]
    pub(crate) const fn is_access_flag(self) -> bool {
        self.is_of(0b001000, None)
    }

    /// Returns whether the translation does not permit the access.
    #[inline(always)]
    pub(crate) const fn is_permission(self) -> bool {
        self.is_of(0b001100, None)
    }

    /// Returns whether an address is larger than addresses can be.
    #[inline(always)]
    pub(crate) const fn is_address_size(self) -> bool {
        self.is_of(0b000000, Some(0b101001))
    }

    /// Returns whether the memory system aborted the access itself.
    #[inline(always)]
    pub(crate) const fn is_external_abort(self) -> bool {
        self.0 == 0b010000
    }

    /// Returns whether the memory system aborted an access of the walk.
    #[inline(always)]
    pub(crate) const fn is_external_abort_on_walk(self) -> bool {
        self.is_of(0b010100, Some(0b010011))
    }

    /// Returns whether there is an error of parity or ECC in what was accessed.
    #[inline(always)]
    pub(crate) const fn is_ecc_error(self) -> bool {
        self.0 == 0b011000
    }

    /// Returns whether there is an error of parity or ECC in what the walk accessed.
    #[inline(always)]
    pub(crate) const fn is_ecc_error_on_walk(self) -> bool {
        self.is_of(0b011100, Some(0b011011))
    }

    /// Returns whether the abort is a synchronous external one, of any kind.
    #[inline(always)]
    pub(crate) const fn is_synchronous_external_abort(self) -> bool {
        self.is_external_abort()
            || self.is_external_abort_on_walk()
            || self.is_ecc_error()
            || self.is_ecc_error_on_walk()
    }
}
