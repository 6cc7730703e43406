// SPDX-License-Identifier: GPL-2.0

//! The GICv3 of the vCPU, and the virtual timer.

use core::arch::asm;

use crate::access::{isb, mcr, mrc};
use crate::device::{load, store};
use crate::layout::{GIC_DISTRIBUTOR, GIC_REDISTRIBUTOR, GIC_REDISTRIBUTOR_SIZE};

/// INTID of the virtual timer.
pub const TIMER: u32 = 27;
/// INTID of the SGI that a vCPU sends to itself.
pub const SGI: u32 = 1;

const GICD_CTLR: u32 = 0x0;
const GICD_TYPER: u32 = 0x4;
/// ARE and EnableGrp1 of a GIC without Security.
const ARE_AND_GROUP1: u32 = 0x12;
const GICR_WAKER: u32 = 0x14;
/// ChildrenAsleep.
const ASLEEP: u32 = 1 << 2;
/// The second frame of a redistributor.
const SGI_FRAME: u32 = 0x1_0000;
const GICR_IGROUPR0: u32 = 0x80;
const GICR_ISENABLER0: u32 = 0x100;

/// Enables what interrupts `vcpu`.
pub fn enable(vcpu: u32) {
    let distributor = GIC_DISTRIBUTOR as u32;
    let redistributor = GIC_REDISTRIBUTOR as u32 + vcpu * GIC_REDISTRIBUTOR_SIZE as u32;
    store(distributor + GICD_CTLR, ARE_AND_GROUP1);
    store(redistributor + GICR_WAKER, 0);
    while load(redistributor + GICR_WAKER) & ASLEEP != 0 {}
    store(redistributor + SGI_FRAME + GICR_IGROUPR0, u32::MAX);
    store(
        redistributor + SGI_FRAME + GICR_ISENABLER0,
        (1 << TIMER) | (1 << SGI),
    );
    // SAFETY: ICC_SRE, ICC_PMR and ICC_IGRPEN1. IRQs are masked by CPSR.
    unsafe {
        mcr!(15, 0, c12, c12, 5, 7);
        isb();
        mcr!(15, 0, c4, c6, 0, 0xf0);
        mcr!(15, 0, c12, c12, 7, 1);
    }
    isb();
}

/// GICD_TYPER, which the vgic answers.
pub fn typer() -> u32 {
    load(GIC_DISTRIBUTOR as u32 + GICD_TYPER)
}

/// Has the timer fire in `microseconds`.
pub fn start_timer(microseconds: u32) {
    // CNTFRQ, in MHz to the next higher one: whoever waits does not mind.
    let mut megahertz = 0;
    let mut frequency = mrc!(15, 0, c14, c0, 0);
    while frequency > 0 {
        frequency = frequency.saturating_sub(1_000_000);
        megahertz += 1;
    }
    // SAFETY: CNTV_TVAL and CNTV_CTL. IRQs are masked by CPSR.
    unsafe {
        mcr!(15, 0, c14, c3, 0, megahertz * microseconds);
        mcr!(15, 0, c14, c3, 1, 1);
    }
    isb();
}

/// True when the timer has fired.
pub fn timer_fired() -> bool {
    const ISTATUS: u32 = 1 << 2;
    // CNTV_CTL.
    mrc!(15, 0, c14, c3, 1) & ISTATUS != 0
}

/// Sends [`SGI`] to `vcpu`.
pub fn send_sgi(vcpu: u32) {
    // SAFETY: ICC_SGI1R, with the affinity that KVM gives to the first vCPUs.
    // IRQs are masked by CPSR.
    unsafe {
        asm!(
            "mcrr p15, 0, {}, {}, c12",
            in(reg) (SGI << 24) | (1 << vcpu),
            in(reg) 0,
            options(nostack, preserves_flags)
        );
    }
    isb();
}

/// Acknowledges the interrupt that was taken, ends it, and tells its INTID.
pub fn acknowledge() -> u32 {
    // ICC_IAR1.
    let interrupt = mrc!(15, 0, c12, c12, 0);
    // SAFETY: CNTV_CTL: the timer's interrupt is a level. ICC_EOIR1.
    unsafe {
        if interrupt == TIMER {
            mcr!(15, 0, c14, c3, 1, 0);
            isb();
        }
        mcr!(15, 0, c12, c12, 1, interrupt);
    }
    isb();
    interrupt
}
