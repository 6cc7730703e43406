// SPDX-License-Identifier: GPL-2.0
//! What happens on one CPU, of which code is run, and all that the code can see.

use super::labels::{Label, Parts, Party};
use super::state::{Cpu, Memory};

/// What a guest uses before it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Use {
    Nothing,
    Fp,
    Sve,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Userspace changes V registers and the status.
    UserFp,
    /// Userspace changes Z registers, and not in streaming mode.
    UserSve,
    /// Userspace enters streaming mode, unless it is there already, and changes Z
    /// registers and ZA.
    UserSme,
    /// Userspace leaves streaming mode and ZA.
    UserSmstop,
    /// A system call comes.
    SyscallEnter,
    /// The running task goes back to userspace, after a system call or not.
    ReturnToUser { syscall: bool },
    /// A softirq uses FP.
    Softirq,
    /// The CPU goes to sleep.
    CpuPmEnter,
    /// A vCPU is loaded, whose guest has used FP the last time or not.
    Load { used_fp: bool },
    /// It is put.
    Put,
    /// Its guest runs.
    Enter(Use),
    /// The CPU goes on with another thread.
    SwitchTo(u8),
}

/// Most parties that a step has to do with.
const MOST: usize = 4;

/// A CPU, and the memory of the parties that a step has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct View {
    pub(super) cpu: Cpu,
    memory: [Option<(Party, Memory)>; MOST],
}

impl View {
    /// Those of `step` on `cpu`, whose vCPU is `vcpu` if there is one.
    pub(super) fn new(
        cpu: Cpu,
        step: Step,
        vcpu: Option<u8>,
        memory: impl Fn(Party) -> Memory,
    ) -> Self {
        let next = match step {
            Step::SwitchTo(next) => Some(Party::Task(next)),
            _ => None,
        };
        let parties = [
            Some(Party::Task(cpu.current)),
            next,
            vcpu.map(Party::Vcpu),
            cpu.last.map(|last| last.party),
        ];
        let mut view = Self {
            cpu,
            memory: [None; MOST],
        };
        let mut free = 0;
        for party in parties.into_iter().flatten() {
            if view.get(party).is_none() {
                view.memory[free] = Some((party, memory(party)));
                free += 1;
            }
        }
        view
    }

    /// What a party has in memory, if the step has to do with it.
    pub(super) fn get(&self, party: Party) -> Option<Memory> {
        self.iter().find(|(p, _)| *p == party).map(|(_, m)| m)
    }

    /// As [`Self::get`], to be changed.
    pub(super) fn get_mut(&mut self, party: Party) -> Option<&mut Memory> {
        let mut all = self.memory.iter_mut().flatten();
        all.find(|(p, _)| *p == party).map(|(_, memory)| memory)
    }

    /// The parties and their memory.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Party, Memory)> + '_ {
        self.memory.iter().flatten().copied()
    }
}

/// What came of a step.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) view: View,
    /// Who has written new values, and which: all others that there are of them
    /// are worth nothing any more.
    pub(super) written: Option<(Party, Parts<bool>)>,
}

impl Step {
    /// Who writes new values, and which.
    pub(super) fn writes(self, cpu: &Cpu, vcpu: Option<u8>) -> Option<(Party, Parts<bool>)> {
        let none = Parts::all(false);
        let fp = Parts {
            v: true,
            status: true,
            ..none
        };
        let with_z = Parts { z: true, ..fp };
        let parts = match self {
            Self::UserFp | Self::Enter(Use::Fp) => fp,
            Self::UserSve | Self::Enter(Use::Sve) => with_z,
            Self::UserSme => Parts::all(true),
            _ => return None,
        };
        match self {
            Self::Enter(_) => vcpu.map(|vcpu| (Party::Vcpu(vcpu), parts)),
            _ => Some((Party::Task(cpu.current), parts)),
        }
    }
}

/// The values that are somebody's in a CPU, by a new value or not.
pub(super) fn is_new(written: Option<(Party, Parts<bool>)>, party: Party) -> Parts<bool> {
    match written {
        Some((who, parts)) if who == party => parts,
        _ => Parts::all(false),
    }
}

/// What is left of a label when somebody has written new values elsewhere.
pub(super) fn after(label: Label, party: Party, is_written: bool) -> Label {
    match label {
        Label::Of(p) if p == party && is_written => Label::Worthless,
        label => label,
    }
}
