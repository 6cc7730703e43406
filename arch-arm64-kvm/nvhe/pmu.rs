// SPDX-License-Identifier: GPL-2.0

//! Counters of the PMU that count for the host only, or for the guest only.
//!
//! The CPU tells EL0 and EL1 from EL2, but the host's from the guest's only KVM can.

#![forbid(unsafe_code)]

use super::{
    view::pmu::{
        disable_counters,
        enable_counters, //
    },
    GuestContext, //
};

/// Stops what counts for the host only and starts what counts for the guest only.
#[inline(always)]
pub(super) fn switch_to_guest(guest: &GuestContext<'_>) {
    let (of_host, of_guest) = guest.pmu_events();
    if of_host != 0 {
        disable_counters(of_host);
    }
    if of_guest != 0 {
        enable_counters(of_guest);
    }
}

/// Undoes [`switch_to_guest`].
#[inline(always)]
pub(super) fn switch_to_host(guest: &GuestContext<'_>) {
    let (of_host, of_guest) = guest.pmu_events();
    if of_guest != 0 {
        disable_counters(of_guest);
    }
    if of_host != 0 {
        enable_counters(of_host);
    }
}
