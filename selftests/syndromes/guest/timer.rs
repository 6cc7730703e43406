// SPDX-License-Identifier: GPL-2.0

//! The virtual timer, for what waits: a pending interrupt ends WFI, and the timer's event stream
//! WFE.

use core::arch::asm;
use core::ptr;

use crate::layout::{GIC_DISTRIBUTOR, GIC_REDISTRIBUTOR};

/// The interrupt of the virtual timer.
const INTID: u32 = 27;
/// GICD_CTLR: affinity routing, group 1.
const GICD_CTLR: u32 = 0x12;
/// The SGI frame of the redistributor, and registers there.
const GICR_SGI: u64 = GIC_REDISTRIBUTOR + 0x1_0000;
const GICR_IGROUPR0: u64 = GICR_SGI + 0x80;
const GICR_ISENABLER0: u64 = GICR_SGI + 0x100;
/// CNTKCTL_EL1: an event each time that bit 4 of the counter changes to 1.
const EVENT_STREAM: u64 = (1 << 2) | (4 << 4);

/// Lets the timer's interrupt reach the vCPU, where it stays masked, and starts the event stream.
pub fn init() {
    for (register, value) in [
        (GIC_DISTRIBUTOR, GICD_CTLR),
        (GICR_IGROUPR0, u32::MAX),
        (GICR_ISENABLER0, 1 << INTID),
    ] {
        // SAFETY: The GIC is mapped as a device, and these are its registers.
        unsafe { ptr::write_volatile(register as *mut u32, value) };
    }
    // SAFETY: Nothing but the interrupt of the timer is enabled, and that is masked in PSTATE.
    unsafe {
        asm!(
            "msr    icc_sre_el1, {one}",
            "isb",
            "msr    icc_pmr_el1, {lowest}",
            "msr    icc_igrpen1_el1, {one}",
            "msr    cntkctl_el1, {events}",
            "isb",
            one = in(reg) 1u64,
            lowest = in(reg) 0xffu64,
            events = in(reg) EVENT_STREAM,
            options(nostack)
        );
    }
}

/// The timer's interrupt is pending as long as this exists.
pub struct Pending;

impl Pending {
    /// Lets the timer fire at once, and waits until its interrupt has come. It may take the host a
    /// while, and until then it would depend on luck what WFI does.
    pub fn new() -> Self {
        // SAFETY: As above.
        unsafe {
            asm!(
                "msr    cntv_cval_el0, xzr",
                "msr    cntv_ctl_el0, {enable}",
                "isb",
                "2:",
                "mrs    {pending}, icc_hppir1_el1",
                "cmp    {pending}, #{INTID}",
                "b.ne   2b",
                enable = in(reg) 1u64,
                pending = out(reg) _,
                INTID = const INTID,
                options(nostack)
            );
        }
        Self
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: It is off, as before.
        unsafe { asm!("msr cntv_ctl_el0, xzr", "isb", options(nostack)) };
    }
}
