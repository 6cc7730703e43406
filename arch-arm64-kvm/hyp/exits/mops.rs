// SPDX-License-Identifier: GPL-2.0

//! Memory copy and memory set instructions that a CPU cannot go on with.
//!
//! Such an instruction comes in three parts, and what the first leaves in the registers for the
//! others has one of two formats, as the CPU prefers: option A or B. A guest that moved between the
//! parts to a CPU that prefers the other one starts again with the first.
//!
//! Arm ARM (DDI 0487), rules CNTMJ and MWFQH.

#![forbid(unsafe_code)]

use super::skip;
use crate::hyp::view::{
    exit,
    Context,
    Guest,
    Syndrome, //
};
use kernel::arm64::world::Hyp;

/// PSTATE.N: with option B, whether the copy goes from the end to the start.
const N: u64 = 1 << 31;

/// Handles the exception: gives the registers the values that the first part takes, and goes back
/// to it.
#[inline(never)]
pub(crate) fn handle<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    let syndrome = guest.syndrome();
    reset_registers(guest, syndrome);

    let back = if syndrome.is_from_epilogue() { 8 } else { 4 };
    let pc = exit::pc::<W>().wrapping_sub(back);
    guest.set_pc(pc);
    exit::set_pc::<W>(pc);

    // The step over the part that trapped is done. Not PSTATE in memory, which may be that of a
    // virtual EL2.
    exit::set_pstate::<W>(skip::stepped(exit::pstate::<W>()));
    true
}

fn reset_registers<W: Hyp>(guest: &mut Context<'_, W, Guest>, syndrome: Syndrome) {
    let (destination_in, source_in, size_in) = syndrome.mops_registers();
    let size = guest.general_register(size_in);
    let is_set = syndrome.is_memory_set();
    let has_option_a_format = syndrome.is_option_a() != syndrome.is_wrong_option();

    let (distance, size) = if has_option_a_format && (is_set || (size as i64) < 0) {
        // From the start to the end: the size counts up to 0.
        (size, size.wrapping_neg())
    } else if !has_option_a_format && !is_set && guest.cpsr() & N != 0 {
        (size.wrapping_neg(), size)
    } else {
        return;
    };

    let destination = guest.general_register(destination_in);
    guest.set_general_register(destination_in, destination.wrapping_add(distance));
    if !is_set {
        let source = guest.general_register(source_in);
        guest.set_general_register(source_in, source.wrapping_add(distance));
    }
    guest.set_general_register(size_in, size);
}
