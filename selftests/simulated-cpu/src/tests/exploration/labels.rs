// SPDX-License-Identifier: GPL-2.0
//! Whose values are in registers and in memory, instead of the values.
//!
//! Who writes registers writes a value that was never there before. So of all the
//! values that a party has ever had, only the current one matters: wherever another
//! is, it is worth nothing, and stays so. That makes the states finite.

use super::super::machine::mark;
use crate::{FpRegisters, STREAMING_VECTOR_LENGTH};
use std::sync::LazyLock;

/// Tasks.
pub(super) const TASKS: usize = 2;
/// vCPUs: each task runs the one that has its number.
pub(super) const VCPUS: usize = TASKS;

/// Whose a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Party {
    /// A task's.
    Task(u8),
    /// A vCPU's.
    Vcpu(u8),
}

impl Party {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let tasks = (0..TASKS as u8).map(Self::Task);
        tasks.chain((0..VCPUS as u8).map(Self::Vcpu))
    }

    /// The vector length of its state, in bytes; each is shorter than that of the
    /// host, or as long.
    pub(super) fn vector_length(self) -> usize {
        match self {
            Self::Task(0) => 64,
            Self::Task(_) => 32,
            Self::Vcpu(_) => 48,
        }
    }

    fn number(self) -> usize {
        match self {
            // Idle threads have no state.
            Self::Task(task) => {
                assert!(usize::from(task) < TASKS);
                task.into()
            }
            Self::Vcpu(vcpu) => TASKS + usize::from(vcpu),
        }
    }
}

/// What is in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Label {
    /// Nothing that anybody has a right to.
    Worthless,
    /// Zeroes.
    Zero,
    /// What this party has written last.
    Of(Party),
}

/// What is in somebody's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kept {
    /// Nothing that anybody has a right to.
    Worthless,
    /// Zeroes.
    Zero,
    /// What the owner of the memory has written last.
    Current,
}

/// What a party writes at once, and what is saved together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Parts<T> {
    /// V0 to V31.
    pub(super) v: T,
    /// What Z0 to Z31 have beyond those, P0 to P15, and FFR.
    pub(super) z: T,
    /// FPSR, FPCR, and FPMR.
    pub(super) status: T,
    /// ZA.
    pub(super) za: T,
}

impl<T: Copy> Parts<T> {
    /// The same in all parts.
    pub(super) const fn all(part: T) -> Self {
        Self {
            v: part,
            z: part,
            status: part,
            za: part,
        }
    }

    /// Each part with that of `other`.
    pub(super) fn map2<U: Copy, R>(self, other: Parts<U>, f: impl Fn(T, U) -> R) -> Parts<R> {
        Parts {
            v: f(self.v, other.v),
            z: f(self.z, other.z),
            status: f(self.status, other.status),
            za: f(self.za, other.za),
        }
    }
}

/// Values.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// V registers, and what is beyond them.
    pub(super) registers: FpRegisters,
    /// FPSR, FPCR and FPMR.
    pub(super) status: [u64; 3],
    /// ZA.
    pub(super) za: u64,
}

impl Values {
    fn of(owner: &str) -> Self {
        Self {
            registers: FpRegisters::filled(mark(owner, "FP")),
            status: ["FPSR", "FPCR", "FPMR"].map(|name| mark(owner, name) & 0xffff_ffff),
            za: mark(owner, "ZA"),
        }
    }

    /// What is worth nothing.
    pub(super) fn worthless() -> &'static Self {
        static WORTHLESS: LazyLock<Values> = LazyLock::new(|| Values::of("worthless"));
        &WORTHLESS
    }

    /// Those of a party: before something happens, and those that it may write
    /// then.
    pub(super) fn of_party(party: Party, are_new: bool) -> &'static Self {
        static ALL: LazyLock<Vec<[Values; 2]>> = LazyLock::new(|| {
            let both = |party| ["before", "new"].map(|n| Values::of(&format!("{party:?} {n}")));
            Party::all().map(both).collect()
        });
        &ALL[party.number()][usize::from(are_new)]
    }

    /// The part [`Parts::z`], as far as a vector length reaches.
    pub(super) fn z(registers: &FpRegisters, length: usize) -> Vec<u8> {
        let z = registers.z.iter().flat_map(|z| &z[16..length]);
        let p = registers.p.iter().flat_map(|p| &p[..length / 8]);
        z.chain(p).copied().collect()
    }
}

/// The parts of what is saved as SVE state with a vector length.
pub(super) fn from_sve_state(bytes: &[u8], length: usize) -> FpRegisters {
    let mut registers = FpRegisters::filled(1);
    registers.set_sve(&bytes[..FpRegisters::sve_size(length)], length);
    registers
}

/// Storage for the SVE state of a party.
pub(super) fn storage_of(party: Party) -> usize {
    match party {
        // Of a task, for streaming mode as well.
        Party::Task(_) => FpRegisters::sve_size(party.vector_length().max(STREAMING_VECTOR_LENGTH)),
        Party::Vcpu(_) => FpRegisters::sve_size(party.vector_length()),
    }
}
