// SPDX-License-Identifier: GPL-2.0

//! The device through which a vCPU reports, and the judgement of its reports.

use std::fmt::{self, Display, Formatter};

use anyhow::{anyhow, bail, Context, Result};

use crate::interface::{device, exception, GO_ON, STOP};
use crate::one_reg::Alteration;
use crate::subject::Subject;

/// Mismatches of a round that are kept: a broken kernel makes many.
const KEPT: usize = 8;

/// What a vCPU found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mismatch {
    subject: Subject,
    round: u32,
    expected: u32,
    found: u32,
    owner: Option<(u32, u32)>,
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            round,
            expected,
            found,
            ..
        } = self;
        write!(
            f,
            "{subject} in round {round}: expected {expected:#010x}, found {found:#010x}"
        )?;
        match self.owner {
            Some((vcpu, round)) => write!(f, ", which vCPU {vcpu} wrote in round {round}"),
            None => Ok(()),
        }
    }
}

/// What is to be done before the vCPU runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Nothing.
    Nothing,
    /// An external abort is the answer to a read.
    Abort,
    /// A register is to be changed; the guest has just written this value.
    Alter(Alteration, u32),
    /// Nothing any more: the vCPU has come to its end.
    End,
}

/// The device of a vCPU.
pub struct Device {
    vcpu: u32,
    vcpus: u32,
    alterations: std::vec::IntoIter<Alteration>,
    pending: Option<Alteration>,
    rounds: u32,
    echo: u32,
    round: u32,
    subject: u32,
    expected: u32,
    address: u32,
    status: u32,
    mismatches: Vec<Mismatch>,
    /// Alterations that the guest noticed.
    pub noticed: u64,
    /// Comparisons that the guest made.
    pub comparisons: u32,
    /// Exceptions that the guest took.
    pub exceptions: u32,
    /// Those of them whose SPSR the emulated CPU lost.
    pub lost: u32,
}

impl Device {
    /// The device of `vcpu`, one of `vcpus`, under which registers are to be
    /// changed.
    pub fn new(vcpu: u32, vcpus: u32, alterations: Vec<Alteration>) -> Self {
        Self {
            vcpu,
            vcpus,
            alterations: alterations.into_iter(),
            pending: None,
            rounds: 0,
            echo: 0,
            round: 0,
            subject: 0,
            expected: 0,
            address: 0,
            status: 0,
            mismatches: Vec::new(),
            noticed: 0,
            comparisons: 0,
            exceptions: 0,
            lost: 0,
        }
    }

    /// Rounds that the vCPU has begun.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Answers a read. The guest goes on after its alterations, if
    /// `more_time`.
    pub fn read(&mut self, offset: u32, more_time: bool) -> Result<(u32, Request)> {
        match offset {
            device::CHECKPOINT => self.checkpoint(more_time),
            device::ECHO => Ok((!self.echo, Request::Nothing)),
            device::ABORT => Ok((0, Request::Abort)),
            _ => bail!("the guest read the device at {offset:#x}"),
        }
    }

    /// Takes what was written.
    pub fn write(&mut self, offset: u32, value: u32) -> Result<Request> {
        match offset {
            device::ECHO => self.echo = value,
            device::ROUND => self.round = value,
            device::SUBJECT => self.subject = value,
            device::EXPECTED => self.expected = value,
            device::FOUND => self.mismatch(value)?,
            device::ADDRESS => self.address = value,
            device::STATUS => self.status = value,
            device::EXCEPTION => return Err(self.exception(value)),
            device::COMPARISONS => self.comparisons = value,
            device::EXCEPTIONS => self.exceptions = value,
            device::LOST => self.lost = value,
            device::STOPPED => {
                self.judge()?;
                if value != self.rounds {
                    bail!(
                        "the guest counts {value} rounds, and was at {} checkpoints",
                        self.rounds
                    );
                }
                return Ok(Request::End);
            }
            _ => bail!("the guest wrote to the device at {offset:#x}"),
        }
        Ok(Request::Nothing)
    }

    fn checkpoint(&mut self, more_time: bool) -> Result<(u32, Request)> {
        self.judge()?;
        self.rounds += 1;
        self.pending = self.alterations.next();
        let Some(alteration) = self.pending else {
            return Ok((if more_time { GO_ON } else { STOP }, Request::Nothing));
        };
        let expected = alteration
            .subject
            .pattern(self.vcpu, self.rounds)
            .context("only registers can be altered")?;
        Ok((GO_ON, Request::Alter(alteration, expected)))
    }

    fn mismatch(&mut self, found: u32) -> Result<()> {
        let subject = Subject::from_number(self.subject)
            .with_context(|| format!("the guest reported about {:#x}", self.subject))?;
        if self.mismatches.len() < KEPT {
            self.mismatches.push(Mismatch {
                subject,
                round: self.round,
                expected: self.expected,
                found,
                owner: subject.owner(found, self.vcpus, self.round),
            });
        }
        Ok(())
    }

    fn exception(&self, kind: u32) -> anyhow::Error {
        let name = match kind {
            exception::UNDEFINED => "an Undefined Instruction exception",
            exception::SUPERVISOR_CALL => "a Supervisor Call exception",
            exception::PREFETCH_ABORT => "a Prefetch Abort exception",
            exception::DATA_ABORT => "a Data Abort exception",
            exception::IRQ => "an IRQ",
            exception::FIQ => "an FIQ",
            exception::PANIC => {
                return self.failure(format!("the guest panicked in line {}", self.address));
            }
            _ => "an unknown exception",
        };
        self.failure(format!(
            "the guest took {name} that it did not expect, with LR {:#x} and SPSR {:#x}",
            self.address, self.status
        ))
    }

    /// A failure, with what the guest reported before it.
    fn failure(&self, what: String) -> anyhow::Error {
        let reports: Vec<String> = self.mismatches.iter().map(Mismatch::to_string).collect();
        let reports = match reports.as_slice() {
            [] => String::new(),
            _ => format!("; {}", reports.join("; ")),
        };
        anyhow!("round {}: {what}{reports}", self.rounds)
    }

    /// Judges what was reported since the last checkpoint: nothing, or what
    /// was altered there.
    fn judge(&mut self) -> Result<()> {
        let Some(alteration) = self.pending.take() else {
            return match self.mismatches.as_slice() {
                [] => Ok(()),
                _ => Err(self.failure("registers differ".to_owned())),
            };
        };
        let is_alteration = |mismatch: &Mismatch| {
            let changed = (mismatch.expected ^ mismatch.found) & mismatch.subject.compared();
            (mismatch.subject, changed) == (alteration.subject, alteration.bits)
        };
        let reaction = match self.mismatches.as_slice() {
            [only] if is_alteration(only) => {
                self.mismatches.clear();
                self.noticed += 1;
                return Ok(());
            }
            [] => "did not notice",
            [_] => "noticed something else",
            _ => "noticed more",
        };
        Err(self.failure(format!(
            "bits {:#x} of {} were changed, and the guest {reaction}",
            alteration.bits, alteration.subject
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::Register;

    fn alteration(register: Register) -> Alteration {
        Alteration::of(Subject::Register(register)).unwrap()
    }

    fn with(registers: &[Register]) -> Device {
        Device::new(0, 2, registers.iter().copied().map(alteration).collect())
    }

    fn report(device: &mut Device, register: Register, changed: u32) {
        let expected = register.pattern(0, 1);
        for (offset, value) in [
            (device::ROUND, 1),
            (device::SUBJECT, register.number()),
            (device::EXPECTED, expected),
            (device::FOUND, expected ^ changed),
        ] {
            assert_eq!(device.write(offset, value).unwrap(), Request::Nothing);
        }
    }

    fn checkpoint(device: &mut Device) -> Result<(u32, Request)> {
        device.read(device::CHECKPOINT, false)
    }

    fn message(result: Result<(u32, Request)>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_round_without_reports_is_good() {
        let mut device = with(&[]);
        for _ in 0..3 {
            let answer = device.read(device::CHECKPOINT, true).unwrap();
            assert_eq!(answer, (GO_ON, Request::Nothing));
        }
        assert_eq!(checkpoint(&mut device).unwrap(), (STOP, Request::Nothing));
        assert!(device.write(device::STOPPED, 3).is_err(), "a lost round");
        assert_eq!(device.write(device::STOPPED, 4).unwrap(), Request::End);
    }

    #[test]
    fn a_mismatch_fails_and_tells_whose_the_value_is() {
        let mut device = with(&[]);
        checkpoint(&mut device).unwrap();
        let register = Register::LrAbt;
        let others = register.pattern(0, 1) ^ register.pattern(1, 9);
        report(&mut device, register, others);
        let text = message(checkpoint(&mut device));
        assert!(text.contains("LR_abt in round 1: expected 0x"), "{text}");
        assert!(text.ends_with("which vCPU 1 wrote in round 9"), "{text}");
    }

    #[test]
    fn a_mismatch_of_the_last_round_fails() {
        let mut device = with(&[]);
        checkpoint(&mut device).unwrap();
        report(&mut device, Register::Dacr, 4);
        assert!(device.write(device::STOPPED, 1).is_err());
    }

    #[test]
    fn an_alteration_must_be_noticed_exactly() {
        let dacr = alteration(Register::Dacr);
        let expected = Register::Dacr.pattern(0, 1);
        let altered = || {
            let mut device = with(&[Register::Dacr]);
            let answer = checkpoint(&mut device).unwrap();
            assert_eq!(answer, (GO_ON, Request::Alter(dacr, expected)));
            device
        };
        let mut device = altered();
        report(&mut device, Register::Dacr, dacr.bits);
        checkpoint(&mut device).unwrap();
        assert_eq!(device.noticed, 1);

        let mut device = altered();
        assert!(message(checkpoint(&mut device)).contains("did not notice"));

        let mut device = altered();
        report(&mut device, Register::Ifsr, 1);
        assert!(message(checkpoint(&mut device)).contains("something else"));

        let mut device = altered();
        report(&mut device, Register::Dacr, dacr.bits | 4);
        assert!(message(checkpoint(&mut device)).contains("something else"));

        let mut device = altered();
        report(&mut device, Register::Dacr, dacr.bits);
        report(&mut device, Register::Ifsr, 1);
        assert!(message(checkpoint(&mut device)).contains("noticed more"));
    }

    #[test]
    fn an_exception_ends_the_guest() {
        let mut device = with(&[]);
        device.write(device::ADDRESS, 0x4002_0000).unwrap();
        let error = device.write(device::EXCEPTION, exception::UNDEFINED);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("Undefined Instruction"), "{text}");
        assert!(text.contains("0x40020000"), "{text}");
    }

    #[test]
    fn unknown_offsets_and_numbers_are_refused() {
        let mut device = with(&[]);
        assert!(device.read(0x80, true).is_err());
        assert!(device.write(0x80, 0).is_err());
        device.write(device::SUBJECT, 0xffff).unwrap();
        assert!(device.write(device::FOUND, 0).is_err());
    }
}
