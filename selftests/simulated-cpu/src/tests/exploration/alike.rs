// SPDX-License-Identifier: GPL-2.0
//! States that nobody can tell apart are one.
//!
//! What is forgotten here is written before anybody reads it, whatever comes next;
//! where it were not, by a mistake, forgetting it makes a violation of it.

use super::labels::{Kept, Label, Parts, Party};
use super::state::{idle, Config, Cpu, State};
use crate::{bindings, fp_type_FP_STATE_SVE, Mode};

impl State {
    /// Forgets what makes no difference.
    pub(super) fn forget(&mut self, config: &Config) {
        for number in 0..self.cpus.len() {
            // What was bound is looked at by the task alone whose it is, if that
            // has been nowhere else since: fpsimd_thread_switch().
            if let Some(Party::Task(task)) = self.cpus[number].last.map(|last| last.party) {
                if self.threads[usize::from(task)].cpu != Some(number as u8) {
                    self.cpus[number].last = None;
                }
            }
        }
        for (task, thread) in self.threads.iter_mut().enumerate() {
            // The same from the other end.
            let party = Party::Task(task as u8);
            let is_bound = |cpu: u8| {
                let last = self.cpus[usize::from(cpu)].last;
                last.map(|last| last.party) == Some(party)
            };
            thread.cpu = thread.cpu.filter(|cpu| is_bound(*cpu));
        }
        for thread in &mut self.threads {
            // What was allocated, and has no contents now, is 0 when it is used
            // again: sve_alloc(). A task with TIF_SME does not trap, and needs it.
            let [tif_sve, tif_sme] = thread.flags;
            let is_sve = u32::from(thread.fp_type) == fp_type_FP_STATE_SVE;
            thread.storage = [tif_sve || tif_sme || is_sve, tif_sme];
        }
        for (vcpu, memory) in self.vcpus.iter_mut().enumerate() {
            // Looked at by load, of which there is one for either, and where the guest may own the
            // registers.
            let guest = bindings::kvm_host_data_FP_STATE_GUEST_OWNED as u8;
            let mut cpus = self.cpus.iter();
            let owns = cpus.any(|cpu| cpu.loaded == Some(vcpu as u8) && cpu.owner == guest);
            memory.has_used_fp &= owns;
        }
        for number in 0..self.cpus.len() {
            let cpu = &mut self.cpus[number];
            if let Some(last) = &mut cpu.last {
                if let Party::Task(task) = last.party {
                    let storage = self.threads[usize::from(task)].storage;
                    [last.has_sve_storage, last.has_za_storage] = storage;
                }
            }
            let thread = &mut self.threads[usize::from(cpu.current)];
            cpu.forget(config);
            let is_own = cpu.last.map(|last| last.party) == Some(Party::Task(cpu.current));
            if is_own && !thread.foreign {
                // Only the registers count now.
                thread.parts = Parts::all(Kept::Worthless);
            }
        }
    }
}

impl State {
    /// The same with the CPUs by each other's names.
    pub(super) fn with_cpus_swapped(&self) -> Self {
        let mut swapped = self.clone();
        swapped.cpus.swap(0, 1);
        swapped.threads.swap(idle(0).into(), idle(1).into());
        for (number, cpu) in swapped.cpus.iter_mut().enumerate() {
            if cpu.current == idle(1 - number) {
                cpu.current = idle(number);
            }
        }
        for thread in &mut swapped.threads {
            thread.cpu = thread.cpu.map(|cpu| 1 - cpu);
        }
        swapped
    }
}

impl Cpu {
    fn forget(&mut self, config: &Config) {
        // The registers are somebody's only as what was bound.
        let party = self.last.map(|last| last.party);
        let is_somebodys = |label| match label {
            Label::Of(p) => party == Some(p),
            Label::Zero => party.is_some(),
            Label::Worthless => false,
        };
        let keep = |label| match is_somebodys(label) {
            true => label,
            false => Label::Worthless,
        };
        let Parts { v, z, status, za } = self.registers;
        self.registers = Parts {
            v: keep(v),
            z: keep(z),
            status: keep(status),
            za: keep(za),
        };
        // The next state that is bound brings these with it: task_fpsimd_load(),
        // fpsimd_bind_task_to_cpu(), do_sve_acc(); or EL2 does, for a guest.
        if party.is_none() {
            self.user_access = [false; 2];
            let at = usize::from(config.mode == Mode::Vhe);
            self.zcr[at] = config.longest();
        }
    }
}
