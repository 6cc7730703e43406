// SPDX-License-Identifier: GPL-2.0

//! Memory-mapped devices, and reports to the VMM.

use crate::interface::{device, DEVICE};
use core::arch::asm;

/// Reads a register of a device. A load in a form whose syndrome tells KVM all
/// there is to know.
pub fn load(address: u32) -> u32 {
    let value: u32;
    // SAFETY: The callers name registers of devices, which are no memory that
    // the compiler knows of.
    unsafe {
        asm!("ldr {}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags));
    }
    value
}

/// Writes a register of a device.
pub fn store(address: u32, value: u32) {
    // SAFETY: As above.
    unsafe {
        asm!("str {}, [{}]", in(reg) value, in(reg) address, options(nostack, preserves_flags));
    }
}

/// Reads a register of the VMM's device.
pub fn read(offset: u32) -> u32 {
    load(DEVICE + offset)
}

/// Writes a register of the VMM's device.
pub fn write(offset: u32, value: u32) {
    store(DEVICE + offset, value);
}

/// Reports that something is not what it should be.
pub fn mismatch(round: u32, subject: u32, expected: u32, found: u32) {
    write(device::ROUND, round);
    write(device::SUBJECT, subject);
    write(device::EXPECTED, expected);
    write(device::FOUND, found);
}

/// Reports what the guest cannot go on after.
pub fn fatal(exception: u32, address: u32, status: u32) -> ! {
    write(device::ADDRESS, address);
    write(device::STATUS, status);
    write(device::EXCEPTION, exception);
    stop();
}

/// Does nothing any more.
pub fn stop() -> ! {
    loop {
        // SAFETY: Waits. Interrupts are masked, and wake it up all the same.
        unsafe { asm!("wfi", options(nostack, preserves_flags)) };
    }
}
