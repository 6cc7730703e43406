// SPDX-License-Identifier: GPL-2.0
//! In place of `rust/kernel/arm64/fp_registers.rs`: the same functions, on the
//! [`Cpu`] of this thread.

use crate::cpu::Cpu;

/// Stores V0 to V31.
///
/// # Safety
///
/// `to` must be valid for writing 512 bytes.
pub unsafe fn save_v(to: *mut u8) {
    let bytes = Cpu::with_current(Cpu::save_v);
    // SAFETY: By the safety requirement.
    unsafe { to.copy_from(bytes.as_ptr(), bytes.len()) };
}

/// Loads V0 to V31.
///
/// # Safety
///
/// `from` must be valid for reading 512 bytes.
pub unsafe fn load_v(from: *const u8) {
    let mut bytes = [0; 32 * 16];
    // SAFETY: By the safety requirement.
    unsafe { from.copy_to(bytes.as_mut_ptr(), bytes.len()) };
    Cpu::with_current(|cpu| cpu.load_v(&bytes));
}

/// Stores Z0 to Z31, P0 to P15 and FFR.
///
/// # Safety
///
/// `to` must be valid for writing as much as the vector length takes.
pub unsafe fn save_sve(to: *mut u8) {
    let bytes = Cpu::with_current(Cpu::save_sve);
    // SAFETY: By the safety requirement.
    unsafe { to.copy_from(bytes.as_ptr(), bytes.len()) };
}

/// Loads Z0 to Z31, P0 to P15 and FFR.
///
/// # Safety
///
/// `from` must be valid for reading as much as the vector length takes.
pub unsafe fn load_sve(from: *const u8) {
    let length = Cpu::with_current(|cpu| cpu.vector_length_at_el2());
    let mut bytes = vec![0; crate::FpRegisters::sve_size(length)];
    // SAFETY: By the safety requirement.
    unsafe { from.copy_to(bytes.as_mut_ptr(), bytes.len()) };
    Cpu::with_current(|cpu| cpu.load_sve(&bytes));
}
