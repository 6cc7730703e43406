// SPDX-License-Identifier: GPL-2.0

//! Traps of timers and counters without VHE, where `CNTHCTL_EL2` is for the host and for guests by
//! turns.
//!
//! C source: [`arch/arm64/kvm/hyp/nvhe/timer-sr.c`](srctree/arch/arm64/kvm/hyp/nvhe/timer-sr.c)

#![forbid(unsafe_code)]

use super::GuestContext;
use crate::hyp::view::timer::{
    self,
    Timer, //
};
use kernel::{
    arm64::cpucap,
    bindings, //
};

/// EL1 and EL0 may read the physical counter.
const EL1PCTEN: u64 = bindings::CNTHCTL_EL1PCTEN as u64;
/// EL1 and EL0 may use the physical timer.
const EL1PCEN: u64 = bindings::CNTHCTL_EL1PCEN as u64;
/// Accesses to the virtual timer and to the virtual counter trap.
const VIRTUAL_TRAPS: u64 = (bindings::CNTHCTL_EL1TVT | bindings::CNTHCTL_EL1TVCT) as u64;

/// Returns bits of the layout without E2H as they are in the register.
#[inline(always)]
fn in_layout<const N: usize>(bits: [u64; N]) -> [u64; N] {
    if cpucap::has_hvhe() {
        bits.map(|bits| bits << 10)
    } else {
        bits
    }
}

/// Traps what the guest must not use: the physical timer, and what counts with another offset than
/// the guest has.
#[inline(always)]
pub(super) fn enable_traps(guest: &GuestContext<'_>) {
    // Nothing has an offset for a protected guest.
    let may_count = guest.features().is_protected() || timer::offset(guest, Timer::Physical) == 0;
    let [clear, set] = in_layout(if may_count {
        [EL1PCEN, EL1PCTEN]
    } else {
        [EL1PCEN | EL1PCTEN, 0]
    });
    let traps_virtual = timer::has_broken_cntvoff() && timer::offset(guest, Timer::Virtual) != 0;
    let set = if traps_virtual {
        set | VIRTUAL_TRAPS
    } else {
        set
    };
    timer::change_cnthctl(clear, set);
}

/// Lets the host use all of them.
#[inline(always)]
pub(super) fn disable_traps() {
    let [set] = in_layout([EL1PCTEN | EL1PCEN]);
    timer::change_cnthctl(VIRTUAL_TRAPS, set);
}
