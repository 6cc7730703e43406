// SPDX-License-Identifier: GPL-2.0

//! What makes the vCPU exit, and what must come of it.

use crate::access::mrc;
use crate::bank::Bank;
use crate::device;
use crate::exception::Taken;
use crate::gic;
use crate::instruction;
use crate::interface::{device as offset, exception as kind, DEVICE, HOLE};
use crate::registers::{Answer, Register};

/// Turns of the loop in which the host's tick falls sooner or later.
const SPINS: u32 = 100_000;
/// Time that the vCPU sleeps, in microseconds.
const SLEEP: u32 = 200;
/// Tries until an interrupt must have come.
const TRIES: u32 = 1000;
/// FS of an external abort in the short-descriptor format.
const EXTERNAL_ABORT: u32 = 0x8;

type Event = fn(&mut Events, &mut Bank);

/// Events of all CPUs, in the order of a first round.
const EVENTS: [Event; 10] = [
    Events::hypercall,
    Events::spin,
    Events::vgic_access,
    Events::vmm_access,
    Events::trapped_registers,
    Events::sleep,
    Events::yield_cpu,
    Events::sgi,
    Events::spin,
    Events::supervisor_call,
];
/// Exceptions that KVM injects, by writing the SPSR of the mode that the guest
/// goes on in, which an emulated CPU does not have then: see
/// [`Bank::expect_status`].
const INJECTED: [Event; 3] = [Events::no_pmu, Events::aborted_load, Events::aborted_call];

/// The events of a vCPU.
pub struct Events {
    vcpu: u32,
    version: u32,
    typer: u32,
    actlr: u32,
    oslsr: u32,
}

impl Events {
    /// Asks for what must not change.
    pub fn new(vcpu: u32) -> Self {
        Self {
            vcpu,
            version: instruction::psci_version(),
            typer: gic::typer(),
            actlr: actlr(),
            oslsr: oslsr(),
        }
    }

    /// Has all events happen, each round in another order, with a check after
    /// each.
    pub fn all(&mut self, bank: &mut Bank) {
        self.in_turn(bank, &EVENTS);
        if bank.is_on_real_cpu() {
            self.in_turn(bank, &INJECTED);
        }
    }

    fn in_turn<const N: usize>(&mut self, bank: &mut Bank, events: &[Event; N]) {
        let first = bank.round() as usize % N;
        for event in events[first..].iter().chain(&events[..first]) {
            event(self, bank);
            bank.check();
        }
    }

    fn hypercall(&mut self, bank: &mut Bank) {
        bank.answer(Answer::Version, self.version, instruction::psci_version());
    }

    fn spin(&mut self, _: &mut Bank) {
        instruction::spin(SPINS);
    }

    fn vgic_access(&mut self, bank: &mut Bank) {
        bank.answer(Answer::Typer, self.typer, gic::typer());
    }

    fn vmm_access(&mut self, bank: &mut Bank) {
        let value = Register::Dacr.pattern(self.vcpu, bank.round());
        device::write(offset::ECHO, value);
        bank.answer(Answer::Echo, !value, device::read(offset::ECHO));
    }

    fn trapped_registers(&mut self, bank: &mut Bank) {
        bank.answer(Answer::Actlr, self.actlr, actlr());
        bank.answer(Answer::Oslsr, self.oslsr, oslsr());
    }

    fn sleep(&mut self, bank: &mut Bank) {
        gic::start_timer(SLEEP);
        while !gic::timer_fired() {
            instruction::wfi();
        }
        interrupt(bank, gic::TIMER);
    }

    fn yield_cpu(&mut self, _: &mut Bank) {
        instruction::wfe();
    }

    fn sgi(&mut self, bank: &mut Bank) {
        gic::send_sgi(self.vcpu);
        interrupt(bank, gic::SGI);
    }

    fn supervisor_call(&mut self, bank: &mut Bank) {
        if let Some((place, status)) = bank.exception(kind::SUPERVISOR_CALL, instruction::svc) {
            bank.expect(Register::LrSvc, place.address + 4);
            bank.expect_status(Register::SpsrSvc, place.cpsr, status);
        }
    }

    /// KVM injects an exception itself, and writes its registers.
    fn no_pmu(&mut self, bank: &mut Bank) {
        bank.undefined(instruction::pmcr);
    }

    /// The VMM answers with an exception, for which KVM writes registers.
    fn aborted_load(&mut self, bank: &mut Bank) {
        let address = DEVICE + offset::ABORT;
        let load = || instruction::load(address);
        if let Some((place, status)) = bank.exception(kind::DATA_ABORT, load) {
            bank.expect(Register::LrAbt, place.address + 8);
            bank.expect_status(Register::SpsrAbt, place.cpsr, status);
            bank.expect(Register::Dfsr, EXTERNAL_ABORT);
            bank.expect(Register::Dfar, address);
        }
    }

    /// There is no memory, so that KVM injects an exception.
    fn aborted_call(&mut self, bank: &mut Bank) {
        let call = || instruction::call(HOLE);
        if let Some((place, status)) = bank.exception(kind::PREFETCH_ABORT, call) {
            bank.expect(Register::LrAbt, place.address + 4);
            bank.expect_status(Register::SpsrAbt, place.cpsr, status);
            bank.expect(Register::Ifsr, EXTERNAL_ABORT);
            bank.expect(Register::Ifar, HOLE);
        }
    }
}

/// Takes the interrupt that is pending, or about to be.
fn interrupt(bank: &mut Bank, expected: u32) {
    for _ in 0..TRIES {
        let (window, taken) = bank.provoke(kind::IRQ, instruction::window_for_irq);
        let (first, last, cpsr) = window;
        let Some(Taken {
            link,
            status,
            interrupt,
        }) = taken
        else {
            continue;
        };
        bank.answer(Answer::Interrupt, expected, interrupt);
        // Anywhere in the window; outside, the nearest place is what it should
        // have been.
        bank.expect(Register::LrIrq, link.clamp(first + 4, last + 4));
        bank.expect_status(Register::SpsrIrq, cpsr, status);
        return;
    }
    bank.answer(Answer::Exception, kind::IRQ, kind::NONE);
}

fn actlr() -> u32 {
    mrc!(15, 0, c1, c0, 1)
}

fn oslsr() -> u32 {
    mrc!(14, 0, c1, c1, 4)
}
