// SPDX-License-Identifier: GPL-2.0

//! Instructions that are executed for what they cause.

use core::arch::asm;

use crate::access::mcr;

/// Where an instruction is, and the program status it is executed with.
pub struct Place {
    /// Its address.
    pub address: u32,
    /// CPSR.
    pub cpsr: u32,
}

/// Executes an instruction and tells where it is.
macro_rules! at {
    ($instruction:literal $(, $($operands:tt)*)?) => {{
        let (address, cpsr);
        // SAFETY: An exception that it causes is taken by `start.rs`, which
        // gives back all registers.
        unsafe {
            asm!(
                ".fpu neon",
                "adr {address}, 2f",
                "mrs {cpsr}, cpsr",
                concat!("2: ", $instruction),
                address = out(reg) address,
                cpsr = out(reg) cpsr,
                $($($operands)*)?
            );
        }
        Place { address, cpsr }
    }};
}

/// An FP instruction that changes no FP register.
pub fn fp() -> Place {
    at!("vmov.32 {value}, d0[0]", value = out(reg) _)
}

/// A read of PMCR: there is no PMU.
pub fn pmcr() -> Place {
    at!("mrc p15, 0, {value}, c9, c12, 0", value = out(reg) _)
}

/// A Supervisor Call.
pub fn svc() -> Place {
    at!("svc #0")
}

/// A load.
pub fn load(address: u32) -> Place {
    at!("ldr {value}, [{from}]", value = out(reg) _, from = in(reg) address)
}

/// A call to `target`, where it is aborted.
pub fn call(target: u32) -> Place {
    let place = at!("blx {target}", target = in(reg) target, out("lr") _);
    Place {
        address: target,
        ..place
    }
}

/// Lets IRQs in for a few instructions: the first and the last one that an IRQ
/// can return to, and the program status it returns with.
pub fn window_for_irq() -> (u32, u32, u32) {
    let (first, last, cpsr): (u32, u32, u32);
    // SAFETY: As above.
    unsafe {
        asm!(
            "adr    {first}, 2f",
            "adr    {last}, 3f",
            "mrs    {cpsr}, cpsr",
            "cpsie  i",
            "2:",
            "isb",
            "nop",
            "nop",
            "3:",
            "cpsid  i",
            first = out(reg) first,
            last = out(reg) last,
            cpsr = out(reg) cpsr,
        );
    }
    // CPSR.I
    (first, last, cpsr & !(1 << 7))
}

/// PSCI_VERSION, by HVC.
pub fn psci_version() -> u32 {
    let version;
    // SAFETY: The SMC Calling Convention lets R0 to R3 change.
    unsafe {
        asm!(
            ".arch_extension virt",
            "hvc #0",
            inout("r0") 0x8400_0000u32 => version,
            lateout("r1") _,
            lateout("r2") _,
            lateout("r3") _,
            options(nostack)
        );
    }
    version
}

/// Waits for an interrupt, masked or not.
pub fn wfi() {
    // SAFETY: Only waits.
    unsafe { asm!("wfi", options(nostack, preserves_flags)) };
}

/// Waits for an event, or yields the CPU. An interrupt ends it.
pub fn wfe() {
    // SAFETY: Only waits.
    unsafe { asm!("wfe", options(nostack, preserves_flags)) };
}

/// Cleans set 0 of the first way of the first data cache: KVM traps it, and
/// the next write to a register of translation.
pub fn clean_by_set_and_way() {
    // SAFETY: DCCSW. Cleaning loses nothing.
    unsafe { mcr!(15, 0, c7, c10, 2, 0) };
}

/// Takes `turns` turns of a loop.
pub fn spin(turns: u32) {
    for _ in 0..turns {
        // SAFETY: Does nothing.
        unsafe { asm!("nop", options(nostack, nomem, preserves_flags)) };
    }
}
