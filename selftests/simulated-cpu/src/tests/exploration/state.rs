// SPDX-License-Identifier: GPL-2.0
//! What there is to know of CPUs, tasks and vCPUs.

use super::executor::Executor;
use super::labels::{Kept, Label, Parts, Party, TASKS, VCPUS};
use crate::Mode;
use std::fmt;

/// CPUs.
pub(super) const CPUS: usize = 2;
/// Tasks, and behind them the idle thread of each CPU.
pub(super) const THREADS: usize = TASKS + CPUS;

/// What the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) mode: Mode,
    pub(super) pkvm: bool,
    /// SVE: the host, and of the vCPUs the first one.
    pub(super) sve: bool,
    /// SME: the host.
    pub(super) sme: bool,
    /// FPMR: the host, and of the vCPUs the first one.
    pub(super) fpmr: bool,
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Vhe => "VHE",
            Mode::Nvhe => "nVHE",
            Mode::Hvhe => "hVHE",
        };
        f.write_str(mode)?;
        for (has, what) in [
            (self.pkvm, "pKVM"),
            (self.sve, "SVE"),
            (self.sme, "SME"),
            (self.fpmr, "FPMR"),
        ] {
            if has {
                write!(f, " {what}")?;
            }
        }
        Ok(())
    }
}

/// A state bound to a CPU: `struct cpu_fp_state`, which has pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Bound {
    /// Whose `st` is, and `svcr`, `fpmr` and `fp_type`.
    pub(super) party: Party,
    /// `sve_state` is that party's storage, and not NULL.
    pub(super) has_sve_storage: bool,
    /// `sme_state` as well.
    pub(super) has_za_storage: bool,
    pub(super) to_save: u8,
    /// In units of 16 bytes.
    pub(super) sve_vl: u8,
}

/// A CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Cpu {
    /// What is in its FP registers.
    pub(super) registers: Parts<Label>,
    pub(super) svcr: u8,
    /// `ZCR_EL1.LEN` and `ZCR_EL2.LEN`.
    pub(super) zcr: [u8; 2],
    /// `CPTR_EL2`, but for userspace's part of it.
    pub(super) cptr: u64,
    /// Userspace can use SVE, and SME, without a trap.
    pub(super) user_access: [bool; 2],
    /// `fpsimd_last_state`.
    pub(super) last: Option<Bound>,
    /// `kvm_host_data.fp_owner`, as the kernel sees it.
    pub(super) owner: u8,
    /// The vCPU that is loaded.
    pub(super) loaded: Option<u8>,
    /// The thread that runs.
    pub(super) current: u8,
}

/// What a thread or a vCPU has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Memory {
    /// The state that `fp_type` says is there.
    pub(super) parts: Parts<Kept>,
    pub(super) fp_type: u8,
    pub(super) svcr: u8,
    /// `TIF_FOREIGN_FPSTATE`. This and what follows is for threads only.
    pub(super) foreign: bool,
    /// `TIF_SVE` and `TIF_SME`.
    pub(super) flags: [bool; 2],
    /// `fpsimd_cpu`.
    pub(super) cpu: Option<u8>,
    /// There is memory for the SVE state, and for ZA.
    pub(super) storage: [bool; 2],
    /// What else the code could take note of in a vCPU: `sflags`.
    pub(super) sflags: u16,
    /// And what it does take note of there: `has_used_fp`.
    pub(super) has_used_fp: bool,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// In userspace, on a CPU.
    User,
    /// In the kernel: by a system call, or by an exception.
    Kernel { syscall: bool },
    /// In KVM_RUN, with its vCPU; it is loaded whenever the task is on a CPU, but
    /// for the time between the switch to the task and the preempt notifier.
    Running,
}

/// What a task has to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Due {
    /// V registers are as the task has written them, or 0.
    pub(super) v: Kept,
    /// What is beyond.
    pub(super) z: Kept,
    pub(super) svcr: u8,
}

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Task {
    pub(super) place: Place,
    pub(super) due: Due,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct State {
    pub(super) cpus: [Cpu; CPUS],
    pub(super) threads: [Memory; THREADS],
    pub(super) tasks: [Task; TASKS],
    pub(super) vcpus: [Memory; VCPUS],
    /// What went wrong. Nothing comes after it.
    pub(super) violation: Option<String>,
}

/// The idle thread of a CPU.
pub(super) const fn idle(cpu: usize) -> u8 {
    (TASKS + cpu) as u8
}

impl Memory {
    /// That of a task which has used FP alone, and is nowhere now.
    const fn at_first(parts: Parts<Kept>) -> Self {
        Self {
            parts,
            fp_type: crate::fp_type_FP_STATE_FPSIMD as u8,
            svcr: 0,
            foreign: true,
            flags: [false; 2],
            cpu: None,
            storage: [false; 2],
            sflags: 0,
            has_used_fp: false,
        }
    }

    /// As [`Self::at_first`].
    pub(super) const fn of_task() -> Self {
        Self::at_first(Parts {
            z: Kept::Zero,
            za: Kept::Worthless,
            ..Parts::all(Kept::Current)
        })
    }

    /// That of an idle thread, which has no state.
    pub(super) const fn of_idle() -> Self {
        Self::at_first(Parts {
            z: Kept::Zero,
            ..Parts::all(Kept::Worthless)
        })
    }

    /// That of a vCPU whose registers userspace has set.
    pub(super) fn of_vcpu(vcpu: usize, config: &Config) -> Self {
        let has_sve = config.vcpu_has_sve(vcpu);
        Self {
            foreign: false,
            fp_type: match has_sve {
                true => crate::fp_type_FP_STATE_SVE as u8,
                false => crate::fp_type_FP_STATE_FPSIMD as u8,
            },
            storage: [has_sve, false],
            ..Self::at_first(Parts {
                z: if has_sve { Kept::Current } else { Kept::Zero },
                za: Kept::Worthless,
                ..Parts::all(Kept::Current)
            })
        }
    }
}

impl Config {
    /// Whether a vCPU has SVE.
    pub(super) const fn vcpu_has_sve(&self, vcpu: usize) -> bool {
        self.sve && vcpu == 0
    }

    /// `ZCR_ELx.LEN` for the host's longest vector.
    pub(super) fn longest(&self) -> u8 {
        super::super::host::host_zcr() as u8 * u8::from(self.sve)
    }

    /// Where all starts: nobody runs.
    pub(super) fn initial(&self) -> State {
        let longest = self.longest();
        let cptr = Executor::new(*self).hosts_cptr();
        let cpu = |cpu| Cpu {
            registers: Parts::all(Label::Worthless),
            svcr: 0,
            zcr: match self.mode {
                Mode::Vhe => [0, longest],
                Mode::Nvhe | Mode::Hvhe => [longest; 2],
            },
            cptr,
            user_access: [false; 2],
            last: None,
            owner: crate::bindings::kvm_host_data_FP_STATE_FREE as u8,
            loaded: None,
            current: idle(cpu),
        };
        let mut threads = [Memory::of_task(); THREADS];
        threads[TASKS..].fill(Memory::of_idle());
        State {
            cpus: [0, 1].map(cpu),
            threads,
            tasks: [Task {
                place: Place::Kernel { syscall: false },
                due: Due {
                    v: Kept::Current,
                    z: Kept::Zero,
                    svcr: 0,
                },
            }; TASKS],
            vcpus: [0, 1].map(|vcpu| Memory::of_vcpu(vcpu, self)),
            violation: None,
        }
    }
}
