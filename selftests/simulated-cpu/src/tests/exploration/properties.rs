// SPDX-License-Identifier: GPL-2.0
//! What must hold in each state.
//!
//! That a guest finds what is its own is checked while it runs, in `executor.rs`.

use super::labels::{Kept, Label, Parts, Party, TASKS};
use super::model::Exploration;
use super::state::{Config, Cpu, Due, Memory, Place, State};
use crate::{bindings, Mode, SVCR_SM, SVCR_ZA};
use stateright::Property;

/// Returns what is wrong, if anything is.
pub(super) fn violated(state: &State, config: &Config) -> Option<String> {
    for (number, cpu) in state.cpus.iter().enumerate() {
        if let Err(what) = check_cpu(state, cpu, config) {
            return Some(format!("CPU {number}: {what}"));
        }
    }
    for task in 0..TASKS {
        let runs = |cpu: &Cpu| usize::from(cpu.current) == task;
        if !state.cpus.iter().any(runs) {
            if let Err(what) = check_task_in_memory(state, task) {
                return Some(what);
            }
        }
    }
    for (vcpu, memory) in state.vcpus.iter().enumerate() {
        let is_loaded = |cpu: &Cpu| cpu.loaded == Some(vcpu as u8);
        let is_in_cpu = state
            .cpus
            .iter()
            .any(|cpu| is_loaded(cpu) && is_live(state, cpu));
        if !is_in_cpu && !is_vcpu_in_memory(memory) {
            return Some(format!(
                "vCPU {vcpu} is lost: in memory there is {:?}",
                memory.parts
            ));
        }
    }
    None
}

/// Whether the registers have the state of the vCPU that is loaded.
fn is_live(state: &State, cpu: &Cpu) -> bool {
    let guest = bindings::kvm_host_data_FP_STATE_GUEST_OWNED as u8;
    let foreign = state.threads[usize::from(cpu.current)].foreign;
    cpu.loaded.is_some() && cpu.owner == guest && !foreign
}

fn check_cpu(state: &State, cpu: &Cpu, config: &Config) -> Result<(), String> {
    let thread = &state.threads[usize::from(cpu.current)];
    if !thread.foreign && cpu.last.is_none() {
        return Err("nothing is bound, and TIF_FOREIGN_FPSTATE is clear".into());
    }
    let Some(task) = state.tasks.get(usize::from(cpu.current)) else {
        return Ok(());
    };
    let number = cpu.current;
    let is_bound = cpu.last.map(|last| last.party) == Some(Party::Task(number));
    match task.place {
        Place::User => check_user(cpu, thread, &task.due, config),
        _ if is_bound && !thread.foreign => check_registers(cpu, number, thread, &task.due)
            .map_err(|what| format!("task {number} in the kernel: {what}")),
        Place::Running if is_live(state, cpu) => {
            let vcpu = Party::Vcpu(number);
            let registers = &cpu.registers;
            let is_there = registers.v == Label::Of(vcpu) && registers.status == Label::Of(vcpu);
            let z = !config.vcpu_has_sve(number.into()) || registers.z == Label::Of(vcpu);
            if !is_there || !z {
                return Err(format!(
                    "vCPU {number} is lost: the registers have {registers:?}"
                ));
            }
            check_task_in_memory(state, number.into())
        }
        _ => check_task_in_memory(state, number.into()),
    }
}

/// Userspace finds its own.
fn check_user(cpu: &Cpu, thread: &Memory, due: &Due, config: &Config) -> Result<(), String> {
    let task = cpu.current;
    let what = |what: &str| Err(format!("task {task} in userspace: {what}"));
    if thread.foreign {
        return what("TIF_FOREIGN_FPSTATE is set");
    }
    for (name, unit) in ["SVE", "SME"].into_iter().zip([0, 1]) {
        if cpu.user_access[unit] != thread.flags[unit] {
            return what(&format!("whether {name} traps is not what TIF_{name} says"));
        }
    }
    let length = (Party::Task(task).vector_length() / 16 - 1) as u8;
    if thread.flags[0] {
        let [el1, el2] = cpu.zcr;
        let is_right = match config.mode {
            Mode::Vhe => el2 == length,
            Mode::Nvhe | Mode::Hvhe => el1 == length && el2 >= length,
        };
        if !is_right {
            return what("the vector length is another");
        }
    }
    check_registers(cpu, task, thread, due)
        .map_err(|what| format!("task {task} in userspace: {what}"))
}

/// The registers have what a task has to find.
fn check_registers(cpu: &Cpu, task: u8, thread: &Memory, due: &Due) -> Result<(), String> {
    let own = Label::Of(Party::Task(task));
    let expected = |kept| match kept {
        Kept::Zero => Label::Zero,
        _ => own,
    };
    let Parts { v, z, status, za } = cpu.registers;
    let sees_z = thread.flags[0] || due.svcr & SVCR_SM as u8 != 0;
    for (name, matters, found, expected) in [
        ("V registers", true, v, expected(due.v)),
        ("Z registers", sees_z, z, expected(due.z)),
        ("the status", true, status, own),
        ("ZA", due.svcr & SVCR_ZA as u8 != 0, za, own),
    ] {
        if matters && found != expected {
            return Err(format!("{name}: {found:?} instead of {expected:?}"));
        }
    }
    if cpu.svcr != due.svcr {
        return Err(format!("SVCR: {} instead of {}", cpu.svcr, due.svcr));
    }
    Ok(())
}

/// Memory has what a task has to find, whoever looks: itself, when it goes back to
/// userspace, or a tracer.
fn check_task_in_memory(state: &State, task: usize) -> Result<(), String> {
    assert!(task < TASKS);
    let memory = &state.threads[task];
    let due = &state.tasks[task].due;
    let Parts { v, z, status, za } = memory.parts;
    for (name, matters, found, expected) in [
        ("V registers", true, v, due.v),
        ("Z registers", true, z, due.z),
        ("the status", true, status, Kept::Current),
        ("ZA", due.svcr & SVCR_ZA as u8 != 0, za, Kept::Current),
    ] {
        if matters && found != expected {
            return Err(format!(
                "task {task} is lost: in memory {name} are {found:?} instead of {expected:?}"
            ));
        }
    }
    if memory.svcr != due.svcr {
        return Err(format!(
            "task {task} is lost: SVCR {} in memory",
            memory.svcr
        ));
    }
    Ok(())
}

fn is_vcpu_in_memory(memory: &Memory) -> bool {
    let Parts { v, z, status, .. } = memory.parts;
    let z_is_right = !memory.storage[0] || z == Kept::Current;
    v == Kept::Current && status == Kept::Current && z_is_right && memory.svcr == 0
}

/// What must be among the states, or the exploration says little.
pub(super) fn reached(config: &Config) -> Vec<Property<Exploration>> {
    fn some_cpu(state: &State, is: impl Fn(&Cpu, &Memory) -> bool) -> bool {
        let mut cpus = state.cpus.iter();
        cpus.any(|cpu| is(cpu, &state.threads[usize::from(cpu.current)]))
    }
    // Under pKVM EL2 takes the guest's state out at each exit.
    let of_guests = match config.pkvm {
        true => vec![],
        false => vec![
            Property::sometimes("both vCPUs are in registers", |_, state: &State| {
                state.cpus.iter().all(|cpu| is_live(state, cpu))
            }),
            Property::sometimes("the registers of a guest were taken", |_, state: &State| {
                let guest = bindings::kvm_host_data_FP_STATE_GUEST_OWNED as u8;
                some_cpu(state, |cpu, thread| cpu.owner == guest && thread.foreign)
            }),
        ],
    };
    let of_all = [
        Property::sometimes(
            "a vCPU is to be loaded on its other CPU",
            |_, state: &State| {
                let other = |cpu: usize| {
                    let task = usize::from(state.cpus[cpu].current);
                    task < TASKS
                        && state.tasks[task].place == Place::Running
                        && state.cpus[cpu].loaded.is_none()
                        && state.threads[task].cpu == Some(1 - cpu as u8)
                };
                other(0) || other(1)
            },
        ),
        Property::sometimes("a task goes on without a load", |_, state: &State| {
            some_cpu(state, |cpu, thread| {
                let is_bound = cpu.last.map(|last| last.party) == Some(Party::Task(cpu.current));
                is_bound && !thread.foreign
            })
        }),
    ];
    of_guests.into_iter().chain(of_all).collect()
}
