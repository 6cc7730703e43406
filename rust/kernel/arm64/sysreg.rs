// SPDX-License-Identifier: GPL-2.0

//! System registers: what they are called, and access to them.
//!
//! Which register a name reaches depends on `HCR_EL2.E2H` for some of them, see [`Reaches`]. Here a
//! name is taken as it is; [`World`](super::world::World) picks the right one.
//!
//! C header: [`arch/arm64/include/asm/sysreg.h`](srctree/arch/arm64/include/asm/sysreg.h)

use super::instruction;

/// The five numbers by which MRS and MSR name a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding {
    /// 2 or 3.
    pub op0: u8,
    /// 0 to 7.
    pub op1: u8,
    /// 0 to 15.
    pub crn: u8,
    /// 0 to 15.
    pub crm: u8,
    /// 0 to 7.
    pub op2: u8,
}

impl Encoding {
    /// Puts the numbers together. They must be in the ranges that the fields have.
    pub const fn new(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> Self {
        Self {
            op0,
            op1,
            crn,
            crm,
            op2,
        }
    }
}

/// Which register a name reaches at EL2.
///
/// While `HCR_EL2.E2H` is 1, the names of some registers of EL1 and EL0 reach those of EL2, so that
/// a kernel written for EL1 runs at EL2. What they reached before has a name of its own then, which
/// ends in `_EL12` or `_EL02` and is UNDEFINED while E2H is 0.
///
/// Arm ARM (DDI 0487), "System and Special-purpose register redirection" and "System and
/// Special-purpose register aliasing", of the Virtualization Host Extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaches {
    /// While E2H is 0; `None` if the access is UNDEFINED.
    pub without_e2h: Option<Encoding>,
    /// While E2H is 1.
    pub with_e2h: Encoding,
}

impl Reaches {
    /// One register, whatever E2H is.
    pub const fn same(register: Encoding) -> Self {
        Self {
            without_e2h: Some(register),
            with_e2h: register,
        }
    }

    /// `register` while E2H is 0, and `el2`, of EL2, while it is 1.
    pub const fn redirected(register: Encoding, el2: Encoding) -> Self {
        Self {
            without_e2h: Some(register),
            with_e2h: el2,
        }
    }

    /// `register`, under a name that is there while E2H is 1.
    pub const fn added(register: Encoding) -> Self {
        Self {
            without_e2h: None,
            with_e2h: register,
        }
    }
}

/// A name that MRS and MSR know a register by.
pub trait RegisterName {
    /// The name, as in the Arm ARM.
    const NAME: &'static str;
    /// Its encoding.
    const ENCODING: Encoding;
    /// The register that it stands for.
    const REACHES: Reaches;
}

/// A system register; the type holds a value of it.
///
/// The types are generated, see [`registers`](super::registers).
pub trait SystemRegister: RegisterName + Copy + From<u64> + Into<u64> {}

/// A register of EL1 whose own name reaches one of EL2 while `HCR_EL2.E2H` is 1.
pub trait El1Register: SystemRegister {
    /// The name that reaches it then.
    type El12: RegisterName;
}

/// A register of EL0 whose own name reaches one of EL2 while `HCR_EL2.E2H` is 1.
pub trait El0Register: SystemRegister {
    /// The name that reaches it then.
    type El02: RegisterName;
}

/// A register of EL2 that the name of a register of EL1 or EL0 reaches while `HCR_EL2.E2H` is 1.
///
/// Its own name reaches it as well, always. Linux uses the other one under VHE all the same.
pub trait El2Register: SystemRegister {
    /// The register with that name.
    type E2h: RegisterName;
}

/// Reads what the name `R` reaches. One MRS.
///
/// # Safety
///
/// The CPU must have the register, and the current exception level must be allowed to read it: else
/// the instruction is UNDEFINED, or traps.
#[inline(always)]
pub unsafe fn read<R: SystemRegister>() -> R {
    // SAFETY: By the safety requirements.
    R::from(unsafe { instruction::mrs::<R>() })
}

/// Writes what the name `R` reaches. One MSR.
///
/// The write takes effect for the instructions after the next
/// [context synchronisation event](super::barrier::isb).
///
/// # Safety
///
/// As for [`read`], for writing. Where the register controls the execution of the code that runs
/// here, that code must be able to go on with the new value.
#[inline(always)]
pub unsafe fn write<R: SystemRegister>(value: R) {
    // SAFETY: By the safety requirements.
    unsafe { instruction::msr::<R>(value.into()) }
}

/// Writes 0 to what the name `R` reaches. One MSR, from XZR.
///
/// [`write()`] of a constant 0 takes a MOV more: there is no operand constraint in Rust for "a
/// register, or XZR if the value is 0", which is C's `rZ`.
///
/// # Safety
///
/// As for [`write()`].
#[inline(always)]
pub unsafe fn write_zero<R: SystemRegister>() {
    // SAFETY: By the safety requirements.
    unsafe { instruction::msr_xzr::<R>() }
}

/// Reads `PAR_EL1`.
///
/// Erratum 1508412 of Cortex-A77: a read next to certain loads can deadlock, unless there are
/// barriers around it.
///
/// # Safety
///
/// As for [`read`].
#[inline(always)]
pub unsafe fn read_par() -> super::registers::PAR_EL1 {
    // SAFETY: By the safety requirements.
    unsafe { instruction::mrs_par::<super::registers::PAR_EL1>() }.into()
}

/// Translates `address` as EL1 and stage 1 do, for a read, as AT S1E1R; with
/// `ignoring_permissions` whatever permissions say, those of overlays included (AT S1E1A). An ISB
/// follows, so that `PAR_EL1` is there to be read.
///
/// Returns false if the instruction took an exception itself, for instance for an external abort of
/// the walk. `PAR_EL1` has no meaning then.
///
/// # Safety
///
/// The code must run at EL2, in an image whose vectors look exceptions up in `__kvm_ex_table`, with
/// nothing that is still to be read in `ESR_EL2` and `FAR_EL2`, and with `ignoring_permissions` the
/// CPU must have the instruction.
#[inline(always)]
pub unsafe fn at_s1e1(address: u64, ignoring_permissions: bool) -> bool {
    // SAFETY: By the safety requirements.
    unsafe {
        if ignoring_permissions {
            instruction::at_s1e1::<true>(address)
        } else {
            instruction::at_s1e1::<false>(address)
        }
    }
}

/// Reads the physical counter, after all instructions before this.
#[inline(always)]
pub fn read_cntpct() -> u64 {
    instruction::mrs_cntpct()
}

/// Returns the frame pointer, and the address of the code that runs.
#[inline(always)]
pub fn frame() -> (usize, usize) {
    instruction::frame()
}
