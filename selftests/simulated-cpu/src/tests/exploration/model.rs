// SPDX-License-Identifier: GPL-2.0
//! What can happen next, and what comes of it, for stateright.

use super::executor::Executor;
use super::labels::{Kept, Parts, Party, TASKS};
use super::properties;
use super::state::{idle, Config, Due, Memory, Place, State, CPUS};
use super::step::{after, Outcome, Step, Use, View};
use crate::{SVCR_SM, SVCR_ZA};
use stateright::{Model, Property};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::RwLock;

/// What always holds.
pub(super) const PROPERTY: &str = "each finds what is its own";

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// On a CPU: what the running task does in userspace.
    User(usize, Step),
    /// It calls the kernel, and a VMM may go on to KVM_RUN.
    SystemCall(usize),
    /// An exception brings it to the kernel.
    Exception(usize),
    /// It goes back to userspace.
    Return(usize),
    /// A softirq uses FP.
    Softirq(usize),
    /// The idle CPU sleeps.
    CpuPm(usize),
    /// KVM_RUN loads the vCPU, or the preempt notifier does. Whatever its guest did before, it may
    /// have used FP or not: that is not remembered from state to state.
    Load { cpu: usize, used_fp: bool },
    /// KVM_RUN puts the vCPU.
    Put(usize),
    /// The guest runs.
    Guest(usize, Use),
    /// The CPU goes on with another thread, whatever ran.
    Switch(usize, u8),
    /// A tracer writes V registers of a task that waits in the kernel.
    Ptrace(usize),
    /// The VMM destroys its vCPU, and makes one that gets the same memory.
    Recreate(usize),
}

/// A step, as far as it is known for certain what comes of it.
type Known = HashMap<(Step, usize, Option<u8>, View), Result<Outcome, String>>;

/// The model of a machine.
pub(super) struct Exploration {
    config: Config,
    /// CPUs are not told apart.
    pub(super) by_symmetry: bool,
    /// The code does the same whenever it finds the same.
    known: RwLock<Known>,
}

thread_local! {
    static EXECUTOR: RefCell<Option<(usize, Executor)>> = const { RefCell::new(None) };
}

impl Exploration {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            by_symmetry: true,
            known: RwLock::default(),
        }
    }

    /// Steps of which the code was run.
    pub(super) fn steps(&self) -> usize {
        self.known.read().expect("no panic").len()
    }

    /// What comes of a step, by the code.
    fn perform(
        &self,
        step: Step,
        cpu: usize,
        vcpu: Option<u8>,
        view: View,
    ) -> Result<Outcome, String> {
        let key = (step, cpu, vcpu, view);
        if let Some(outcome) = self.known.read().expect("no panic").get(&key) {
            return outcome.clone();
        }
        let model = std::ptr::from_ref(self).addr();
        let outcome = EXECUTOR.with_borrow_mut(|executor| {
            let (_, of_this) = match executor {
                Some(executor) if executor.0 == model => executor,
                _ => executor.insert((model, Executor::new(self.config))),
            };
            let outcome = of_this.perform(step, cpu, vcpu, &view);
            if outcome.is_err() {
                *executor = None;
            }
            outcome
        });
        let mut known = self.known.write().expect("no panic");
        known.insert(key, outcome.clone());
        outcome
    }

    /// Performs a step on a CPU, and tells all others what has become of their
    /// copies.
    fn step(&self, state: &mut State, cpu: usize, step: Step) -> Result<(), String> {
        let current = state.cpus[cpu].current;
        let vcpu = (usize::from(current) < TASKS).then_some(current);
        let view = View::new(state.cpus[cpu], step, vcpu, |party| *memory(state, party));
        let Outcome { view, written } = self.perform(step, cpu, vcpu, view)?;
        state.cpus[cpu] = view.cpu;
        for (party, changed) in view.iter() {
            *memory_mut(state, party) = changed;
        }
        if let Some((party, parts)) = written {
            worthless_elsewhere(state, party, parts, Some(cpu));
        }
        Ok(())
    }

    fn act(&self, state: &mut State, action: Action) -> Result<(), String> {
        match action {
            Action::User(cpu, step) => {
                self.step(state, cpu, step)?;
                let due = &mut state.tasks[running(state, cpu)].due;
                *due = due_after(*due, step);
            }
            Action::SystemCall(cpu) => {
                self.step(state, cpu, Step::SyscallEnter)?;
                let has_sve = self.config.sve;
                let task = &mut state.tasks[running(state, cpu)];
                task.place = Place::Kernel { syscall: true };
                if u64::from(task.due.svcr) & SVCR_SM != 0 {
                    task.due.svcr &= !(SVCR_SM as u8);
                    task.due.v = Kept::Zero;
                }
                if has_sve || self.config.sme {
                    task.due.z = Kept::Zero;
                }
            }
            Action::Exception(cpu) => {
                state.tasks[running(state, cpu)].place = Place::Kernel { syscall: false };
            }
            Action::Return(cpu) => {
                let task = running(state, cpu);
                let syscall = state.tasks[task].place == Place::Kernel { syscall: true };
                self.step(state, cpu, Step::ReturnToUser { syscall })?;
                state.tasks[task].place = Place::User;
            }
            Action::Softirq(cpu) => self.step(state, cpu, Step::Softirq)?,
            Action::CpuPm(cpu) => self.step(state, cpu, Step::CpuPmEnter)?,
            Action::Load { cpu, used_fp } => {
                self.step(state, cpu, Step::Load { used_fp })?;
                state.tasks[running(state, cpu)].place = Place::Running;
            }
            Action::Put(cpu) => {
                self.step(state, cpu, Step::Put)?;
                state.tasks[running(state, cpu)].place = Place::Kernel { syscall: true };
            }
            Action::Guest(cpu, uses) => self.step(state, cpu, Step::Enter(uses))?,
            Action::Switch(cpu, next) => {
                if state.cpus[cpu].loaded.is_some() {
                    self.step(state, cpu, Step::Put)?;
                }
                self.step(state, cpu, Step::SwitchTo(next))?;
            }
            Action::Ptrace(task) => {
                let memory = &mut state.threads[task];
                // fpr_set()
                memory.cpu = None;
                memory.foreign = true;
                memory.parts.v = Kept::Current;
                memory.parts.status = Kept::Current;
                memory.parts.z = Kept::Zero;
                let due = &mut state.tasks[task].due;
                (due.v, due.z) = (Kept::Current, Kept::Zero);
                let parts = Parts {
                    v: true,
                    status: true,
                    ..Parts::all(false)
                };
                worthless_elsewhere(state, Party::Task(task as u8), parts, None);
            }
            Action::Recreate(vcpu) => {
                state.vcpus[vcpu] = Memory::of_vcpu(vcpu, &self.config);
                let party = Party::Vcpu(vcpu as u8);
                worthless_elsewhere(state, party, Parts::all(true), None);
            }
        }
        Ok(())
    }

    /// The threads that a CPU can go on with.
    fn runnable(state: &State, cpu: usize) -> impl Iterator<Item = u8> + '_ {
        let runs = |task: &u8| state.cpus.iter().any(|cpu| cpu.current == *task);
        let idle = idle(cpu);
        (0..TASKS as u8)
            .chain([idle])
            .filter(move |task| !runs(task))
    }

    /// The ways to load a vCPU: two where it makes a difference, see fpsimd::may_stay().
    fn loads(&self, cpu: usize, actions: &mut Vec<Action>) {
        let used_fp: &[bool] = match self.config.pkvm {
            true => &[false],
            false => &[false, true],
        };
        actions.extend(used_fp.iter().map(|&used_fp| Action::Load { cpu, used_fp }));
    }

    fn actions_of_cpu(&self, state: &State, cpu: usize, actions: &mut Vec<Action>) {
        let Config { sve, sme, .. } = self.config;
        let current = state.cpus[cpu].current;
        let mut may_switch = true;
        if current == idle(cpu) {
            actions.extend([Action::Softirq(cpu), Action::CpuPm(cpu)]);
        } else {
            let task = state.tasks[usize::from(current)];
            match task.place {
                Place::User => {
                    may_switch = false;
                    actions.push(Action::User(cpu, Step::UserFp));
                    if sve && task.due.svcr & SVCR_SM as u8 == 0 {
                        actions.push(Action::User(cpu, Step::UserSve));
                    }
                    if sme {
                        actions.push(Action::User(cpu, Step::UserSme));
                        if task.due.svcr != 0 {
                            actions.push(Action::User(cpu, Step::UserSmstop));
                        }
                    }
                    actions.extend([Action::SystemCall(cpu), Action::Exception(cpu)]);
                }
                Place::Kernel { syscall } => {
                    actions.extend([Action::Softirq(cpu), Action::Return(cpu)]);
                    if syscall {
                        self.loads(cpu, actions);
                        actions.push(Action::Recreate(current.into()));
                    }
                }
                Place::Running if state.cpus[cpu].loaded.is_none() => {
                    may_switch = false;
                    actions.push(Action::Softirq(cpu));
                    self.loads(cpu, actions);
                }
                Place::Running => {
                    actions.extend([Action::Softirq(cpu), Action::Put(cpu)]);
                    actions.push(Action::Guest(cpu, Use::Nothing));
                    actions.push(Action::Guest(cpu, Use::Fp));
                    if self.config.vcpu_has_sve(current.into()) {
                        actions.push(Action::Guest(cpu, Use::Sve));
                    }
                }
            }
        }
        if may_switch {
            let next = Self::runnable(state, cpu);
            actions.extend(next.map(|next| Action::Switch(cpu, next)));
        }
    }
}

/// The task that runs on a CPU.
fn running(state: &State, cpu: usize) -> usize {
    state.cpus[cpu].current.into()
}

fn memory(state: &State, party: Party) -> &Memory {
    match party {
        Party::Task(task) => &state.threads[usize::from(task)],
        Party::Vcpu(vcpu) => &state.vcpus[usize::from(vcpu)],
    }
}

fn memory_mut(state: &mut State, party: Party) -> &mut Memory {
    match party {
        Party::Task(task) => &mut state.threads[usize::from(task)],
        Party::Vcpu(vcpu) => &mut state.vcpus[usize::from(vcpu)],
    }
}

/// A party has written new values: what other CPUs have of it is worth nothing any
/// more.
fn worthless_elsewhere(state: &mut State, party: Party, parts: Parts<bool>, by: Option<usize>) {
    for (number, cpu) in state.cpus.iter_mut().enumerate() {
        if by != Some(number) {
            cpu.registers = cpu
                .registers
                .map2(parts, |label, is_written| after(label, party, is_written));
        }
    }
}

/// What a task has to find after it did something in userspace.
fn due_after(due: Due, step: Step) -> Due {
    let [sm, za] = [SVCR_SM, SVCR_ZA].map(|bit| bit as u8);
    match step {
        Step::UserFp => Due {
            v: Kept::Current,
            ..due
        },
        Step::UserSve => Due {
            v: Kept::Current,
            z: Kept::Current,
            ..due
        },
        Step::UserSme => Due {
            v: Kept::Current,
            z: Kept::Current,
            svcr: sm | za,
        },
        Step::UserSmstop if due.svcr & sm != 0 => Due {
            v: Kept::Zero,
            z: Kept::Zero,
            svcr: 0,
        },
        Step::UserSmstop => Due { svcr: 0, ..due },
        _ => due,
    }
}

impl Model for Exploration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.config.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.violation.is_some() {
            return;
        }
        for cpu in 0..CPUS {
            self.actions_of_cpu(state, cpu, actions);
        }
        for task in 0..TASKS {
            let runs = state
                .cpus
                .iter()
                .any(|cpu| usize::from(cpu.current) == task);
            if !runs && matches!(state.tasks[task].place, Place::Kernel { .. }) {
                actions.push(Action::Ptrace(task));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let violation = match self.act(&mut next, action) {
            Ok(()) => properties::violated(&next, &self.config),
            Err(what) => Some(what),
        };
        next.violation = violation;
        next.forget(&self.config);
        if self.by_symmetry {
            let swapped = next.with_cpus_swapped();
            if swapped < next {
                return Some(swapped);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![Property::always(PROPERTY, |_, state: &State| {
            state.violation.is_none()
        })];
        all.extend(properties::reached(&self.config));
        all
    }
}
