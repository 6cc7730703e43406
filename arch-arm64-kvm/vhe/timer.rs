// SPDX-License-Identifier: GPL-2.0

//! The physical timer where the CPU itself applies the guest's offset.
//!
//! While a guest runs, the CPU compares `CNTP_CVAL_EL0` with the counter less `CNTPOFF_EL2`. For
//! the host, with TGE set, the offset has no effect, so the timer would fire at another time: at an
//! exit the value that it compares with is changed to the one of the host's counter, and an entry
//! takes the guest's from memory.

#![forbid(unsafe_code)]

use super::{
    view::timer,
    GuestContext, //
};
use kernel::arm64::{
    barrier::isb,
    registers::{
        CNTHP_CVAL_EL2,
        CNTP_CVAL_EL0, //
    },
    sysreg, //
};

/// Sets the value that the guest compares with, once TGE is clear.
#[inline(always)]
pub(super) fn load_compare_value(guest: &GuestContext<'_>) {
    let value = if guest.is_hyp_ctxt() {
        let value: u64 = guest.get_sanitised::<CNTHP_CVAL_EL2>().into();
        CNTP_CVAL_EL0::from(value)
    } else {
        guest.get_sanitised::<CNTP_CVAL_EL0>()
    };
    timer::write_cntp_cval(value);
    isb();
}

/// Takes note of what the guest compares with, and sets the value for the host, once TGE is set.
#[inline(always)]
pub(super) fn save_compare_value(guest: &mut GuestContext<'_>) {
    let value = timer::read_cntp_cval();
    let compared: u64 = value.into();
    if guest.is_hyp_ctxt() {
        guest.set_sanitised(CNTHP_CVAL_EL2::from(compared));
    } else {
        guest.set_sanitised(value);
    }

    let offset = timer::read_cntpoff();
    if offset != 0 {
        let value = apply_offset(compared, offset, sysreg::read_cntpct());
        timer::write_cntp_cval(CNTP_CVAL_EL0::from(value));
        isb();
    }
}

/// Returns the value to compare the counter with, which is at `now`, so that a timer that compares
/// the counter less `offset` with `compared` fires at the same time: at once if it has already, and
/// never if the counter would have to wrap around first.
fn apply_offset(compared: u64, offset: u64, now: u64) -> u64 {
    if now.wrapping_sub(offset) >= compared {
        return 0;
    }
    let value = compared.wrapping_add(offset);
    if value > now {
        value
    } else {
        u64::MAX
    }
}
