// SPDX-License-Identifier: GPL-2.0

//! Going past an instruction that has been emulated.
//!
//! C header: [`hyp/adjust_pc.h`](srctree/arch/arm64/kvm/hyp/include/hyp/adjust_pc.h)

#![forbid(unsafe_code)]

use crate::hyp::view::{
    exit,
    Context,
    Guest, //
};
use kernel::arm64::world::Hyp;

/// PSTATE.SS: the next instruction is stepped over.
const SS: u64 = 1 << 21;
/// PSTATE.BTYPE: which branch was taken just now.
const BTYPE: u64 = 0b11 << 10;

/// Returns whether `pstate` steps over the next instruction.
pub(crate) fn steps(pstate: u64) -> bool {
    pstate & SS != 0
}

/// Returns `pstate` as it is when an instruction has been stepped over, if it was to be.
pub(crate) fn stepped(pstate: u64) -> u64 {
    pstate & !SS
}

/// Goes past the instruction that the guest was left at, while its registers are in the CPU.
#[inline(never)]
pub(crate) fn skip_instruction<W: Hyp>(guest: &mut Context<'_, W, Guest>) {
    guest.set_pc(exit::pc::<W>());
    guest.set_cpsr(exit::pstate::<W>());

    if guest.mode_is_32bit() {
        guest.skip_instruction_32bit();
    } else {
        guest.set_pc(guest.pc().wrapping_add(4));
        guest.set_cpsr(guest.cpsr() & !BTYPE);
    }
    guest.set_cpsr(stepped(guest.cpsr()));

    exit::set_pstate::<W>(guest.cpsr());
    exit::set_pc::<W>(guest.pc());
}
