// SPDX-License-Identifier: GPL-2.0

//! A guest in AArch32 state at EL1 that checks whether it keeps its registers.
//!
//! Each vCPU fills all registers of EL1 with patterns that tell whose they
//! are, causes exits of each kind, and compares after each. Where an exit or
//! an exception changes registers, the values that it must give them take the
//! place of the patterns. `build.rs` compiles this; it is a flat image that
//! needs nothing but the memory map in `src/interface.rs`.

#![no_std]
#![no_main]

mod access;
mod bank;
mod device;
mod events;
mod exception;
mod gic;
mod instruction;
mod mmu;
mod start;

#[path = "../src/interface.rs"]
#[allow(dead_code, reason = "the VMM uses the rest")]
mod interface;
#[path = "../../vmm/src/layout.rs"]
#[allow(dead_code, reason = "the VMM that it belongs to has more devices")]
mod layout;
#[path = "../src/registers.rs"]
#[allow(dead_code, reason = "the VMM uses the rest")]
mod registers;

use bank::Bank;
use events::Events;

/// Called by `start.rs`, for each vCPU on its own stack.
#[no_mangle]
extern "C" fn guest_main(vcpu: u32, flags: u32) -> ! {
    mmu::enable();
    gic::enable(vcpu);
    let mut bank = Bank::new(vcpu, flags);
    let mut events = Events::new(vcpu);
    loop {
        bank.fill();
        let answer = device::read(interface::device::CHECKPOINT);
        bank.check();
        events.all(&mut bank);
        if answer == interface::STOP {
            break;
        }
    }
    device::write(interface::device::COMPARISONS, bank.comparisons());
    device::write(interface::device::EXCEPTIONS, bank.exceptions());
    device::write(interface::device::LOST, bank.lost());
    device::write(interface::device::STOPPED, bank.round());
    device::stop();
}
