// SPDX-License-Identifier: GPL-2.0

//! `CPTR_EL2`, which has two layouts.
//!
//! While `HCR_EL2.E2H` is 1 it is laid out as `CPACR_EL1`, and fields open what they control; while
//! E2H is 0 it has a layout of its own, and bits trap. The same value means something else in each,
//! so there is a type for each, and a value can be written only to the register as it is then.
//!
//! Arm ARM (DDI 0487), "CPTR_EL2, Architectural Feature Trap Register (EL2)".

use kernel::{
    arm64::{
        fp_access::FpTrapsOpened,
        registers::{
            CPACR_EL1,
            CPTR_EL2, //
        },
        sysreg,
        world::Hyp, //
    },
    bindings, //
};

/// A value of `CPTR_EL2` for while E2H is 1.
pub(crate) type CptrE2h = CPACR_EL1;

/// A value of `CPTR_EL2` for while E2H is 0.
#[derive(Clone, Copy)]
pub(crate) struct CptrNvhe(u64);

impl CptrNvhe {
    /// Traps nothing, and has the bits set that are RES1.
    pub(crate) const OPEN: Self = Self(
        // CPTR_NVHE_EL2_RES1: bits 13, 9, and 7 to 0.
        (1 << 13) | (1 << 9) | 0xff,
    );

    /// Also traps accesses to the activity monitors.
    #[inline(always)]
    pub(crate) const fn trapping_amu(self) -> Self {
        Self(self.0 | bindings::CPTR_EL2_TAM as u64)
    }

    /// Also traps accesses to the registers of trace units.
    #[inline(always)]
    pub(crate) const fn trapping_trace(self) -> Self {
        Self(self.0 | bindings::CPTR_EL2_TTA as u64)
    }

    /// Also traps SME. Where there is no SME, the bit is RES1.
    #[inline(always)]
    pub(crate) const fn trapping_sme(self) -> Self {
        Self(self.0 | bindings::CPTR_EL2_TSM as u64)
    }

    /// Also traps SVE. Where there is no SVE, the bit is RES1.
    #[inline(always)]
    pub(crate) const fn trapping_sve(self) -> Self {
        Self(self.0 | bindings::CPTR_EL2_TZ as u64)
    }

    /// Also traps FP and Advanced SIMD, and with them SVE and SME.
    #[inline(always)]
    pub(crate) const fn trapping_fp(self) -> Self {
        Self(self.0 | bindings::CPTR_EL2_TFP as u64)
    }
}

/// Both layouts, for whichever is in force.
///
/// Which one that is, VHE knows when it is built, and the hypervisor of nVHE and hVHE once the CPUs
/// are known.
#[inline(always)]
fn write<W: Hyp>(e2h: impl FnOnce() -> CptrE2h, nvhe: impl FnOnce() -> CptrNvhe) {
    // SAFETY: EL2 may write it; FP instructions that could trap then take an `FpAccess`.
    unsafe {
        if W::VHE {
            // By the name of EL1, as everything is at EL2 under VHE.
            W::write_el2(CPTR_EL2::from(u64::from(e2h())));
        } else if W::has_e2h() {
            sysreg::write(e2h());
        } else {
            sysreg::write(CPTR_EL2::from(nvhe().0));
        }
    }
}

/// Sets what traps while a guest runs.
#[inline(always)]
pub(crate) fn activate<W: Hyp>(e2h: impl FnOnce() -> CptrE2h, nvhe: impl FnOnce() -> CptrNvhe) {
    write::<W>(e2h, nvhe);
}

/// Opens everything that the system offers, for the hypervisor and the host.
#[inline(always)]
pub(crate) fn open<W: Hyp>(
    e2h: impl FnOnce() -> CptrE2h,
    nvhe: impl FnOnce() -> CptrNvhe,
) -> FpTrapsOpened {
    write::<W>(e2h, nvhe);
    // SAFETY: Just done: see `hyp::cptr::deactivate`, the only caller, for what is open.
    unsafe { FpTrapsOpened::assume_written() }
}
