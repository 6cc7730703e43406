// SPDX-License-Identifier: GPL-2.0

//! All registers with what is expected in them.

use crate::access::{self, Doublewords};
use crate::device;
use crate::exception::{self, Taken};
use crate::instruction::{self, Place};
use crate::interface::{exception as kind, flag};
use crate::registers::{self, Answer, Register, DOUBLEWORDS, FPEXC_EN};

/// The registers of a vCPU.
pub struct Bank {
    vcpu: u32,
    flags: u32,
    round: u32,
    comparisons: u32,
    exceptions: u32,
    lost: u32,
    registers: [u32; Register::ALL.len()],
    doublewords: Doublewords,
}

impl Bank {
    /// The registers of `vcpu`, not filled yet.
    pub fn new(vcpu: u32, flags: u32) -> Self {
        Self {
            vcpu,
            flags,
            round: 0,
            comparisons: 0,
            exceptions: 0,
            lost: 0,
            registers: [0; Register::ALL.len()],
            doublewords: [0; DOUBLEWORDS],
        }
    }

    /// The number of the round, from 1.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Comparisons of a register so far.
    pub fn comparisons(&self) -> u32 {
        self.comparisons
    }

    /// Exceptions that were taken.
    pub fn exceptions(&self) -> u32 {
        self.exceptions
    }

    /// Exceptions whose SPSR was lost: see [`Self::expect_status`].
    pub fn lost(&self) -> u32 {
        self.lost
    }

    fn pattern(&self, register: Register) -> u32 {
        register.pattern(self.vcpu, self.round)
    }

    /// Begins a round: gives all registers new values.
    pub fn fill(&mut self) {
        self.round += 1;
        for (index, value) in self.doublewords.iter_mut().enumerate() {
            *value = registers::doubleword(index, self.vcpu, self.round);
        }
        // CPACR: only now may FPEXC be accessed at all.
        self.put(Register::Cpacr, self.pattern(Register::Cpacr));
        access::isb();
        // SAFETY: EN is a value of FPEXC.
        unsafe { access::write(Register::Fpexc, FPEXC_EN) };
        access::isb();
        access::write_doublewords(&self.doublewords);
        // As long as there are caches, the guest writes registers of
        // translation itself, and the CPU has the only copy. After this, KVM
        // takes a write and stores it to memory: each register has its turn.
        let trapped = self.round as usize % Register::ALL.len();
        for (index, register) in Register::ALL.iter().enumerate() {
            if index == trapped {
                instruction::clean_by_set_and_way();
            }
            // FPEXC comes last, as FPSCR needs its EN.
            self.put(*register, self.pattern(*register));
        }
        access::isb();
    }

    /// Expects `value`, and writes it.
    fn put(&mut self, register: Register, value: u32) {
        self.expect(register, value);
        // SAFETY: A pattern.
        unsafe { access::write(register, value) };
    }

    /// Expects what an exception has put into a register.
    pub fn expect(&mut self, register: Register, value: u32) {
        self.registers[register as usize] = value;
    }

    /// Compares all registers with what is expected.
    pub fn check(&mut self) {
        for register in Register::ALL {
            if !matches!(register, Register::Fpscr) {
                self.compare(*register);
            }
        }
        // Only now, as an exception changes other registers.
        let enabled = self.enabled();
        if !enabled {
            self.fp_is_undefined();
            // SAFETY: As in `fill`.
            unsafe { access::write(Register::Fpexc, FPEXC_EN) };
            access::isb();
        }
        self.compare(Register::Fpscr);
        self.compare_doublewords();
        if enabled {
            // Unlike above, an exception here would end the guest.
            instruction::fp();
        } else {
            // SAFETY: What it was.
            unsafe { access::write(Register::Fpexc, self.registers[Register::Fpexc as usize]) };
            access::isb();
        }
    }

    fn enabled(&self) -> bool {
        self.registers[Register::Fpexc as usize] & FPEXC_EN != 0
    }

    /// An FP instruction must give an exception where FPEXC.EN is 0: in this
    /// vCPU, and nowhere else.
    fn fp_is_undefined(&mut self) {
        self.undefined(instruction::fp);
    }

    /// Whether the CPU does what no emulated one does.
    pub fn is_on_real_cpu(&self) -> bool {
        self.flags & flag::REAL_CPU != 0
    }

    /// Takes an Undefined Instruction exception.
    pub fn undefined(&mut self, instruction: impl FnOnce() -> Place) {
        let exception = kind::UNDEFINED;
        if let Some((place, status)) = self.exception(exception, instruction) {
            self.expect(Register::LrUnd, place.address + 4);
            self.expect_status(Register::SpsrUnd, place.cpsr, status);
        }
    }

    /// Expects the CPSR that an exception was taken with in its SPSR, which its
    /// handler has found as `found`.
    ///
    /// An emulated CPU keeps the SPSR of the mode that it is in apart from those
    /// of other modes, and neither puts it there when an exception to EL2 comes
    /// nor renews it when EL2 returns (QEMU 10.0). A vCPU that is preempted
    /// between an exception and the handler's change of mode, three instructions
    /// later, goes on with an SPSR of the vCPU that ran meanwhile. So that is
    /// counted there, and the VMM limits how often it may have happened. Anywhere
    /// else a lost SPSR is a mismatch on each CPU.
    pub fn expect_status(&mut self, register: Register, expected: u32, found: u32) {
        let kept = access::read(register);
        if self.is_on_real_cpu() {
            self.answer(Answer::Status, expected, found);
            self.expect(register, expected);
        } else {
            self.lost += u32::from(found != expected || kept != expected);
            self.expect(register, kept);
        }
    }

    /// Takes an exception, and tells where and with which SPSR; None if it does
    /// not come, which is reported.
    pub fn exception(
        &mut self,
        expected: u32,
        instruction: impl FnOnce() -> Place,
    ) -> Option<(Place, u32)> {
        let (place, taken) = self.provoke(expected, instruction);
        if let Some(taken) = taken {
            return Some((place, taken.status));
        }
        self.answer(Answer::Exception, expected, kind::NONE);
        None
    }

    /// As [`exception::provoke`], which is counted.
    pub fn provoke<T>(
        &mut self,
        exception: u32,
        provocation: impl FnOnce() -> T,
    ) -> (T, Option<Taken>) {
        let (result, taken) = exception::provoke(exception, provocation);
        self.exceptions += u32::from(taken.is_some());
        (result, taken)
    }

    /// Compares the result of an event.
    pub fn answer(&mut self, answer: Answer, expected: u32, found: u32) {
        self.comparisons += 1;
        if expected != found {
            device::mismatch(self.round, answer.number(), expected, found);
        }
    }

    fn compare(&mut self, register: Register) {
        let (expected, found) = (self.registers[register as usize], access::read(register));
        if matches!(register, Register::Dbgvcr) && !self.is_on_real_cpu() {
            return;
        }
        self.comparisons += 1;
        if (expected ^ found) & register.compared() != 0 {
            device::mismatch(self.round, register.number(), expected, found);
            // Once is enough.
            self.registers[register as usize] = found;
        }
    }

    fn compare_doublewords(&mut self) {
        let mut found = [0; DOUBLEWORDS];
        access::read_doublewords(&mut found);
        self.comparisons += DOUBLEWORDS as u32;
        for (index, (expected, found)) in self.doublewords.iter_mut().zip(found).enumerate() {
            for (high, shift) in [(false, 0), (true, 32)] {
                let (expected, found) = ((*expected >> shift) as u32, (found >> shift) as u32);
                if expected != found {
                    device::mismatch(self.round, registers::half(index, high), expected, found);
                }
            }
            *expected = found;
        }
    }
}
