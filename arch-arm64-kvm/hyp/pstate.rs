// SPDX-License-Identifier: GPL-2.0

//! The PSTATE that a guest is entered with, and the host returned to.

#![forbid(unsafe_code)]

use kernel::bindings;

/// The mode, and whether it is one of AArch32.
pub(crate) const MODE: u64 = (bindings::PSR_MODE_MASK | bindings::PSR_MODE32_BIT) as u64;

/// Modes of AArch64 state.
pub(crate) const EL1T: u64 = bindings::PSR_MODE_EL1t as u64;
pub(crate) const EL1H: u64 = bindings::PSR_MODE_EL1h as u64;
pub(crate) const EL2T: u64 = bindings::PSR_MODE_EL2t as u64;
pub(crate) const EL2H: u64 = bindings::PSR_MODE_EL2h as u64;

const AARCH32: u64 = bindings::PSR_MODE32_BIT as u64;
const IL: u64 = bindings::PSR_IL_BIT as u64;

/// Returns the PSTATE to enter a guest with that is in `pstate`, as it or userspace sees that.
///
/// Never one of EL2 or EL3 in AArch64 state, unless IL is set. One that asks for AArch32 Hyp mode
/// is an illegal exception return by itself, as EL2 is in AArch64 state.
///
/// Arm ARM (DDI 0487), "Illegal exception returns from AArch64 state".
#[inline(always)]
pub(crate) fn to_hw_pstate(pstate: u64) -> u64 {
    // In AArch64 state bits 3 and 2 of the mode are the exception level.
    let is_above_el1 = pstate & (AARCH32 | EL2T) == EL2T;
    if is_above_el1 {
        from_above_el1(pstate)
    } else {
        pstate
    }
}

/// As [`to_hw_pstate`], of one that asks for EL2 or EL3.
///
/// A guest hypervisor at its virtual EL2 runs at EL1. Whatever else asks for EL2 or EL3 gets EL2
/// with the IL bit set: the ERET stays at EL2, which takes an exception for its illegal execution
/// state before any instruction, and the vectors end the run (`el2_sync` in `hyp-entry.S`).
#[cold]
#[inline(never)]
pub(crate) fn from_above_el1(pstate: u64) -> u64 {
    match pstate & MODE {
        EL2T => pstate & !MODE | EL1T,
        EL2H => pstate & !MODE | EL1H,
        _ => EL2H | IL,
    }
}
