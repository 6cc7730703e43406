// SPDX-License-Identifier: GPL-2.0

//! Reads of timers and counters by a guest hypervisor.
//!
//! FEAT_ECV lets KVM trap what has to be emulated, and that is a lot. Most reads can be answered
//! here.

#![forbid(unsafe_code)]

use crate::{
    hyp::{
        exits::{
            skip::skip_instruction,
            sysreg::{
                CNTPCTSS_EL0,
                CNTPCT_EL0,
                CNTVCTSS_EL0,
                CNTVCT_EL0, //
            }, //
        },
        view::{
            timer::{
                self,
                Timer, //
            },
            Accessed, //
        }, //
    },
    vhe::{
        view::timer as cpu_timer,
        GuestContext, //
    }, //
};
use kernel::arm64::{
    cpucap,
    registers,
    sysreg::RegisterName, //
};

const CNTP_CTL_EL0: Accessed = Accessed::by(registers::CNTP_CTL_EL0::ENCODING);
const CNTP_CTL_EL02: Accessed = Accessed::by(registers::CNTP_CTL_EL02::ENCODING);
const CNTP_CVAL_EL0: Accessed = Accessed::by(registers::CNTP_CVAL_EL0::ENCODING);
const CNTP_CVAL_EL02: Accessed = Accessed::by(registers::CNTP_CVAL_EL02::ENCODING);
const CNTV_CTL_EL0: Accessed = Accessed::by(registers::CNTV_CTL_EL0::ENCODING);
const CNTV_CTL_EL02: Accessed = Accessed::by(registers::CNTV_CTL_EL02::ENCODING);
const CNTV_CVAL_EL0: Accessed = Accessed::by(registers::CNTV_CVAL_EL0::ENCODING);
const CNTV_CVAL_EL02: Accessed = Accessed::by(registers::CNTV_CVAL_EL02::ENCODING);

/// Handles the read. Returns false if it is another access.
///
/// With E2H the guest hypervisor has its own timers by the names of EL0, and those are in the CPU.
pub(super) fn handle(guest: &mut GuestContext<'_>) -> bool {
    let syndrome = guest.syndrome();
    if !guest.is_hyp_ctxt() || !syndrome.is_read() {
        return false;
    }

    let e2h = guest.el2_e2h_is_set();
    let value = match syndrome.accessed() {
        CNTP_CTL_EL0 if e2h => cpu_timer::read_cntp_ctl().into(),
        CNTP_CTL_EL0 | CNTP_CTL_EL02 => physical_control(guest),
        CNTP_CVAL_EL0 if e2h => hyp_physical_compare_value(guest),
        CNTP_CVAL_EL0 | CNTP_CVAL_EL02 => guest.get_sanitised::<registers::CNTP_CVAL_EL0>().into(),
        CNTPCT_EL0 | CNTPCTSS_EL0 => timer::count(guest, Timer::HypPhysical),
        CNTV_CTL_EL0 if e2h => cpu_timer::read_cntv_ctl().into(),
        CNTV_CTL_EL0 | CNTV_CTL_EL02 => virtual_control(guest),
        CNTV_CVAL_EL0 if e2h => cpu_timer::read_cntv_cval().into(),
        CNTV_CVAL_EL0 | CNTV_CVAL_EL02 => guest.get_sanitised::<registers::CNTV_CVAL_EL0>().into(),
        CNTVCT_EL0 | CNTVCTSS_EL0 => timer::count(guest, Timer::HypVirtual),
        _ => return false,
    };

    guest.set_general_register(syndrome.rt(), value);
    skip_instruction(guest);
    true
}

/// Where the CPU cannot apply an offset, what is in it has the offset in it already.
#[inline(never)]
pub(crate) fn hyp_physical_compare_value(guest: &GuestContext<'_>) -> u64 {
    if !cpucap::cpus_have_ecv_cntpoff() && timer::offset(guest, Timer::HypPhysical) != 0 {
        guest.get_sanitised::<registers::CNTHP_CVAL_EL2>().into()
    } else {
        cpu_timer::read_cntp_cval().into()
    }
}

/// Returns what `CNTP_CTL_EL0` of a timer reads as that is not in the CPU.
fn physical_control(guest: &GuestContext<'_>) -> u64 {
    control(
        guest.get_sanitised::<registers::CNTP_CTL_EL0>().into(),
        guest.get_sanitised::<registers::CNTP_CVAL_EL0>().into(),
        timer::count(guest, Timer::Physical),
    )
}

/// Returns what `CNTV_CTL_EL0` of a timer reads as that is not in the CPU.
fn virtual_control(guest: &GuestContext<'_>) -> u64 {
    control(
        guest.get_sanitised::<registers::CNTV_CTL_EL0>().into(),
        guest.get_sanitised::<registers::CNTV_CVAL_EL0>().into(),
        timer::count(guest, Timer::Virtual),
    )
}

/// Returns `control` with the bit that says whether the timer has fired.
fn control(control: u64, compare_value: u64, count: u64) -> u64 {
    const ISTATUS: u64 = 1 << 2;
    if compare_value <= count {
        control | ISTATUS
    } else {
        control & !ISTATUS
    }
}
