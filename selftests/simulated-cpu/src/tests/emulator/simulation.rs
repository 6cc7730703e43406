// SPDX-License-Identifier: GPL-2.0
//! A sequence on the simulated CPU: what is to be done on the emulator, and what
//! must come of it there.

use super::boot::Entry;
use super::deviations;
use super::facts::{unsteady, Facts};
use super::given::{Given, LONGEST};
use super::image::{Image, Routine, HCR, SPSR};
use super::operation::{Operation, Sequence, Use};
use super::step::{stored, Expected, Step, What};
use crate::arm64::registers::{
    CPTR_EL2, ELR_EL2, ESR_EL2, FAR_EL2, FPSR, HCR_EL2, PMCNTENCLR_EL0, SPSR_EL2,
};
use crate::arm64::sysreg::{Encoding, RegisterName};
use crate::cpu::{open, Unit};
use crate::tests::names::{self, Name};
use crate::{Cpu, FpRegisters, Outcome, SVCR_SM};

/// A rule that the simulated CPU is made to break, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// E2H redirects nothing.
    NoRedirection,
    /// CPTR_EL2 traps nothing.
    NoTraps,
    /// Vectors are twice as long as the longest.
    LongerVectors,
    /// A load of V leaves the rest of Z as it is.
    KeepsRestOfZ,
    /// Streaming mode comes and goes, and the vectors stay.
    KeepsVectors,
    /// An MSR of PMCNTENCLR_EL0 clears all bits.
    ClearsAll,
}

impl Fault {
    /// All faults.
    pub(super) const ALL: [Fault; 6] = [
        Fault::NoRedirection,
        Fault::NoTraps,
        Fault::LongerVectors,
        Fault::KeepsRestOfZ,
        Fault::KeepsVectors,
        Fault::ClearsAll,
    ];
}

/// A sequence on the simulated CPU.
pub(super) struct Simulation<'a> {
    facts: &'a Facts,
    image: &'a Image,
    given: &'a Given,
    fault: Option<Fault>,
    cpu: Cpu,
    /// How many bytes of each Z, and of vectors by each P, the architecture
    /// determines, counted from the first.
    ///
    /// A vector length that grows leaves in what becomes accessible either 0 or
    /// what was there. So does a load of a V register beyond the vector length, and
    /// where SVE is trapped, which makes that length 128 bits for the purpose: `V[]`,
    /// with `IsSVEEnabled()` and Unpredictable_SVEZEROUPPER. An exception from EL1
    /// does it, too: `MaybeZeroSVEUppers()`. The emulator has 0, and the simulated CPU
    /// what was there, for the most part; KVM must not depend on either.
    known: [usize; 2],
    steps: Vec<Step>,
}

impl<'a> Simulation<'a> {
    /// Runs a sequence.
    pub(super) fn run(
        facts: &'a Facts,
        image: &'a Image,
        given: &'a Given,
        fault: Option<Fault>,
        sequence: &Sequence,
    ) -> Vec<Step> {
        let mut cpu = given.states[sequence.state].clone();
        match fault {
            Some(Fault::NoTraps) => cpu.trap_no_fp(),
            Some(Fault::LongerVectors) => {
                let longest = facts.machine.lengths.last().expect("SVE");
                cpu.set_vector_lengths(&[16, 32 * longest]);
            }
            _ => {}
        }
        let mut simulation = Self {
            facts,
            image,
            given,
            fault,
            cpu,
            known: [0; 2],
            steps: Vec::new(),
        };
        simulation.start(sequence.state);
        for operation in &sequence.operations {
            simulation.operate(*operation);
        }
        simulation.end();
        simulation.steps
    }

    /// All registers get known values.
    fn start(&mut self, state: usize) {
        if self.facts.machine.has_sme {
            // Here, as nothing else leaves streaming mode.
            let open = [(HCR_EL2::ENCODING, HCR), (CPTR_EL2::ENCODING, open(false))];
            for (register, value) in open {
                self.do_it(Routine::Write(register), value, 0, What::Other("start"));
            }
            self.do_it(Routine::Isb, 0, 0, What::Other("start"));
            self.do_it(Routine::WriteSvcr, 0, 0, What::Other("start"));
        }
        let operand = self.given.state(state);
        self.do_it(Routine::Initialise, operand, 0, What::Other("initialise"));
        match self.facts.machine.lengths.is_empty() {
            true => self.operate(Operation::LoadV(state)),
            false => self.operate(Operation::LoadSve(state)),
        }
    }

    /// All registers are looked at.
    fn end(&mut self) {
        let hcr = self.cpu.get::<HCR_EL2>().into_raw();
        let cptr = self.cpu.get::<CPTR_EL2>().into_raw();
        let mut registers = vec![(HCR_EL2::NAME, hcr, 0), (CPTR_EL2::NAME, cptr, 0)];
        self.cpu.set(HCR_EL2::from_raw(HCR));
        self.cpu.set(CPTR_EL2::from_raw(open(false)));
        self.cpu.synchronise();
        let looked_at = self.given.looked_at.iter();
        registers.extend(looked_at.map(|(name, get, except)| (*name, get(&self.cpu), *except)));
        self.push(
            Routine::Collect,
            0,
            8 * registers.len(),
            What::Other("all registers"),
            Expected::Collected(registers),
        );
        self.operate(Operation::SaveV);
        if self.cpu.svcr() & SVCR_SM == 0 {
            self.operate(Operation::SaveSve);
        }
    }

    fn push(
        &mut self,
        routine: Routine,
        operand: u64,
        room: usize,
        what: What,
        expected: Expected,
    ) {
        self.steps.push(Step {
            entry: Entry {
                routine,
                operand,
                // What follows must be aligned: the MMU is off, so memory is Device
                // memory.
                room: room.next_multiple_of(16),
            },
            what,
            expected,
        });
    }

    /// What is certain to be executed, and has no result.
    fn do_it(&mut self, routine: Routine, operand: u64, room: usize, what: What) {
        self.push(routine, operand, room, what, Expected::Executed);
    }

    fn isb(&mut self) {
        self.cpu.synchronise();
        self.do_it(Routine::Isb, 0, 0, What::Other("isb"));
    }

    /// An ISB, where otherwise it is not determined what becomes of an instruction.
    fn determine(&mut self, outcome: impl Fn(&Cpu) -> Outcome) {
        if outcome(&self.cpu) == Outcome::Undetermined {
            self.isb();
        }
    }

    /// Whether an instruction is executed. Otherwise it is a step already, with its
    /// exception.
    fn is_executed(
        &mut self,
        outcome: impl Fn(&Cpu) -> Outcome,
        routine: Routine,
        operand: u64,
        room: usize,
        what: What,
    ) -> bool {
        self.determine(&outcome);
        match outcome(&self.cpu) {
            Outcome::Executed => true,
            Outcome::Exception(class) => {
                self.push(routine, operand, room, what, Expected::Exception(class));
                self.take_exception();
                false
            }
            Outcome::Undetermined => panic!("{what:?} is not determined after an ISB"),
        }
    }

    /// What the program's vectors leave. Exceptions, and the return from them, are
    /// context synchronisation events.
    fn take_exception(&mut self) {
        self.cpu.synchronise();
        let returned = self.image.address(Routine::Returned);
        self.cpu.set(ELR_EL2::from_raw(returned));
        self.cpu.set(SPSR_EL2::from_raw(SPSR));
        self.cpu.set(ESR_EL2::from_raw(0));
        self.cpu.set(FAR_EL2::from_raw(0));
    }

    fn e2h(&self) -> bool {
        self.cpu.get::<HCR_EL2>().e2h().into_bool()
    }

    /// The name that an access is simulated by.
    fn simulated(&self, name: Name) -> Name {
        let is_redirected = name
            .reaches
            .without_e2h
            .is_some_and(|without| without != name.reaches.with_e2h);
        if self.fault != Some(Fault::NoRedirection) || !is_redirected || !self.e2h() {
            return name;
        }
        let own = name.encoding;
        let mut names = names::all().into_iter();
        names
            .find(|other| other.reaches.with_e2h == own && other.reaches.without_e2h.is_none())
            .expect("VHE adds a name")
    }

    fn operate(&mut self, operation: Operation) {
        match operation {
            Operation::Read(name) => self.read(name),
            Operation::Write(name, drawn) => self.write(name, |facts, register, image| {
                facts.value(register, drawn, image)
            }),
            Operation::OpenTraps => {
                let (e2h, name) = match self.e2h() {
                    true => (true, "CPACR_EL1"),
                    false => (false, "CPTR_EL2"),
                };
                self.write(names::find(name), |_, _, _| open(e2h));
            }
            Operation::Isb => self.isb(),
            Operation::ReadSvcr => {
                let what = What::Mrs("SVCR");
                if self.is_executed(|cpu| cpu.outcome(Unit::Svcr), Routine::ReadSvcr, 0, 0, what) {
                    let value = self.cpu.read_svcr();
                    let expected = Expected::Value { value, except: 0 };
                    self.push(Routine::ReadSvcr, 0, 0, what, expected);
                }
            }
            Operation::WriteSvcr(value) => self.write_svcr(value),
            Operation::SaveV => self.save_v(),
            Operation::LoadV(pattern) => self.load_v(pattern),
            Operation::SaveSve => self.save_sve(),
            Operation::LoadSve(pattern) => self.load_sve(pattern),
            Operation::SaveZa => self.save_za(),
            Operation::LoadZa(pattern) => self.load_za(pattern),
            Operation::VectorLength => {
                let (routine, what) = (Routine::VectorLength, What::Other("rdvl"));
                if self.is_executed(|cpu| cpu.outcome(Unit::Sve), routine, 0, 0, what) {
                    let value = self.cpu.vector_length_at_el2() as u64;
                    let expected = Expected::Value { value, except: 0 };
                    self.push(routine, 0, 0, what, expected);
                }
            }
            Operation::Guest(what) => self.guest(what),
        }
        // Where the vector length is shorter than before.
        let length = self.cpu.vector_length_at_el2();
        self.known = self.known.map(|known| known.min(length));
        self.cpu.clear_trace();
    }

    fn read(&mut self, name: Name) {
        let simulated = self.simulated(name);
        let (routine, what) = (Routine::Read(name.encoding), What::Mrs(name.name));
        let outcome = |cpu: &Cpu| (simulated.outcome)(cpu, false);
        self.determine(outcome);
        if deviations::shows(&self.cpu, self.reached(name)) {
            return;
        }
        if !self.is_executed(outcome, routine, 0, 0, what) {
            return;
        }
        let value = (simulated.mrs)(&mut self.cpu);
        let except = unsteady(self.reached(name));
        self.push(routine, 0, 0, what, Expected::Value { value, except });
    }

    /// The register that a name reaches, once `HCR_EL2` is synchronised.
    fn reached(&self, name: Name) -> Encoding {
        match (self.e2h(), name.reaches.without_e2h) {
            (false, Some(register)) => register,
            _ => name.reaches.with_e2h,
        }
    }

    fn write(&mut self, name: Name, value: impl Fn(&Facts, Encoding, &Image) -> u64) {
        let simulated = self.simulated(name);
        let routine = Routine::Write(name.encoding);
        let what = What::Msr(name.name, 0);
        let outcome = |cpu: &Cpu| (simulated.outcome)(cpu, true);
        self.determine(outcome);
        if deviations::shows(&self.cpu, self.reached(name)) {
            return;
        }
        if !self.is_executed(outcome, routine, 0, 0, what) {
            return;
        }
        let value = value(self.facts, self.reached(name), self.image);
        let clears_all = self.fault == Some(Fault::ClearsAll) && name.name == PMCNTENCLR_EL0::NAME;
        (simulated.msr)(&mut self.cpu, if clears_all { !0 } else { value });
        self.do_it(routine, value, 0, What::Msr(name.name, value));
    }

    fn write_svcr(&mut self, value: u64) {
        let (routine, what) = (Routine::WriteSvcr, What::Msr("SVCR", value));
        if !self.is_executed(|cpu| cpu.outcome(Unit::Svcr), routine, value, 0, what) {
            return;
        }
        let before = self.cpu.fp().clone();
        if (self.cpu.svcr() ^ value) & SVCR_SM != 0 {
            self.known = [LONGEST; 2];
        }
        self.cpu.write_svcr(value);
        if self.fault == Some(Fault::KeepsVectors) {
            *self.cpu.fp_mut() = before;
        }
        self.do_it(routine, value, 0, what);
    }

    fn save_v(&mut self) {
        let (routine, what, room) = (Routine::SaveV, What::Other("save V"), 32 * 16);
        if self.is_executed(|cpu| cpu.outcome(Unit::Fp), routine, 0, room, what) {
            let known = self.known[0].min(16);
            let bytes = self.cpu.save_v();
            let registers = bytes.chunks_exact(16).map(|v| stored("V", v, known));
            let expected = Expected::Registers(registers.collect());
            self.push(routine, 0, room, what, expected);
        }
    }

    fn load_v(&mut self, pattern: usize) {
        let (routine, what) = (Routine::LoadV, What::Other("load V"));
        let operand = self.given.pattern(pattern, 16);
        if !self.is_executed(|cpu| cpu.outcome(Unit::Fp), routine, operand, 0, what) {
            return;
        }
        let before = self.cpu.fp().clone();
        self.cpu.load_v(&self.given.patterns[pattern].v());
        if self.fault == Some(Fault::KeepsRestOfZ) {
            for (z, before) in self.cpu.fp_mut().z.iter_mut().zip(before.z.iter()) {
                z[16..].copy_from_slice(&before[16..]);
            }
        }
        self.known[0] = match self.cpu.outcome(Unit::Sve) {
            Outcome::Executed => self.cpu.vector_length_at_el2(),
            _ => 16,
        };
        self.do_it(routine, operand, 0, what);
    }

    fn save_sve(&mut self) {
        let length = self.cpu.vector_length_at_el2();
        let room = FpRegisters::sve_size(length);
        let (routine, what) = (Routine::SaveSve, What::Other("save SVE"));
        if !self.is_executed(|cpu| cpu.outcome(Unit::SveWithFfr), routine, 0, room, what) {
            return;
        }
        let bytes = self.cpu.save_sve();
        let (z, p) = bytes.split_at(32 * length);
        let [known_z, known_p] = self.known;
        let z = z.chunks_exact(length).map(|z| stored("Z", z, known_z));
        let p = p.chunks_exact(length / 8);
        let registers = z.chain(p.map(|p| stored("P", p, known_p / 8))).collect();
        self.push(routine, 0, room, what, Expected::Registers(registers));
    }

    fn load_sve(&mut self, pattern: usize) {
        let length = self.cpu.vector_length_at_el2();
        let operand = self.given.pattern(pattern, length);
        let (routine, what) = (Routine::LoadSve, What::Other("load SVE"));
        let outcome = |cpu: &Cpu| cpu.outcome(Unit::SveWithFfr);
        if self.is_executed(outcome, routine, operand, 0, what) {
            self.cpu.load_sve(&self.given.patterns[pattern].sve(length));
            self.known = [length; 2];
            self.do_it(routine, operand, 0, what);
        } else if self.cpu.svcr() & SVCR_SM != 0 {
            // What comes before FFR may have been loaded.
            self.known = [0; 2];
        }
    }

    fn save_za(&mut self) {
        let room = crate::STREAMING_VECTOR_LENGTH;
        let (routine, what) = (Routine::SaveZa, What::Other("save ZA"));
        if self.is_executed(|cpu| cpu.outcome(Unit::Za), routine, 0, room, what) {
            let za = stored("ZA", &self.cpu.za().to_le_bytes(), 8);
            self.push(routine, 0, room, what, Expected::Registers(vec![za]));
        }
    }

    fn load_za(&mut self, pattern: usize) {
        let operand = self.given.pattern(pattern, 16);
        let (routine, what) = (Routine::LoadZa, What::Other("load ZA"));
        if self.is_executed(|cpu| cpu.outcome(Unit::Za), routine, operand, 0, what) {
            let first = self.given.patterns[pattern].z[0][..8].try_into();
            *self.cpu.za_mut() = u64::from_le_bytes(first.expect("8 bytes"));
            self.do_it(routine, operand, 0, what);
        }
    }

    fn guest(&mut self, what: Use) {
        // An instruction that the CPU does not have is EL1's affair.
        let is_there = match what {
            Use::Fp => true,
            Use::Sve => !self.facts.machine.lengths.is_empty(),
            Use::Sme => self.facts.machine.has_sme,
        };
        if !is_there {
            return;
        }
        // An exception return is a context synchronisation event.
        self.cpu.synchronise();
        let length = self.cpu.vector_length_at_el1();
        let can_use_sve = self.cpu.guest_can_use_sve();
        let (text, executed) = match what {
            Use::Fp => {
                let fpsr = self.cpu.get::<FPSR>().into_raw();
                (
                    "guest mrs FPSR",
                    self.cpu.guest_can_use_fp().then_some(fpsr),
                )
            }
            Use::Sve => ("guest rdvl", can_use_sve.then_some(length as u64)),
            Use::Sme => {
                let svcr = self.cpu.svcr();
                (
                    "guest mrs SVCR",
                    self.cpu.guest_can_use_sme().then_some(svcr),
                )
            }
        };
        self.push(
            what.into(),
            0,
            0,
            What::Other(text),
            Expected::Guest(executed),
        );
        self.take_exception();
        if self.cpu.guest_can_use_fp() {
            let length = if can_use_sve { length } else { 16 };
            self.known = self.known.map(|known| known.min(length));
        }
    }
}
