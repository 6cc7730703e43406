// SPDX-License-Identifier: GPL-2.0

//! The VMMs and host tasks that run now: whom others can disturb.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A host task.
    HostTask,
    /// A VMM.
    Vmm {
        /// Whether its allocations may be made to fail.
        faulty: bool,
        /// Whether SIGUSR1 only interrupts it.
        interruptible: bool,
    },
}

impl Kind {
    /// Whether it is a VMM.
    pub fn is_vmm(self) -> bool {
        matches!(self, Self::Vmm { .. })
    }

    /// Whether its allocations may be made to fail.
    pub fn is_faulty(self) -> bool {
        matches!(self, Self::Vmm { faulty: true, .. })
    }

    /// Whether SIGUSR1 only interrupts it.
    pub fn is_interruptible(self) -> bool {
        matches!(
            self,
            Self::Vmm {
                interruptible: true,
                ..
            }
        )
    }
}

/// A process.
#[derive(Debug)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// What it is.
    pub kind: Kind,
    state: Mutex<State>,
}

/// What is known of it. Who has it locked may use the pid: it is not waited for
/// meanwhile.
#[derive(Debug, Default)]
pub struct State {
    ended: bool,
    /// It was killed.
    pub killed: bool,
}

/// All that run.
#[derive(Debug, Default)]
pub struct Processes(Mutex<Vec<Arc<Process>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in them is consistent at any time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    /// Adds one that has been started.
    pub fn add(&self, pid: u32, kind: Kind) -> Arc<Process> {
        let process = Arc::new(Process {
            pid: pid as i32,
            kind,
            state: Mutex::default(),
        });
        lock(&self.0).push(Arc::clone(&process));
        process
    }

    /// Takes one out that has ended, before it is waited for. Returns whether it was
    /// killed. Nobody uses its pid from here on.
    pub fn remove(&self, process: &Arc<Process>) -> bool {
        lock(&self.0).retain(|other| !Arc::ptr_eq(other, process));
        let mut state = lock(&process.state);
        state.ended = true;
        state.killed
    }

    /// One of those that `fit`, chosen at random. `None` if there is none.
    pub fn choose(
        &self,
        numbers: &mut ChaCha8Rng,
        fit: impl Fn(Kind) -> bool,
    ) -> Option<Arc<Process>> {
        let all = lock(&self.0);
        let fitting: Vec<_> = all.iter().filter(|process| fit(process.kind)).collect();
        fitting.choose(numbers).map(|process| Arc::clone(process))
    }

    /// Does something with one of those that `fit`, chosen at random. `None` if there
    /// is none.
    pub fn with_one<T>(
        &self,
        numbers: &mut ChaCha8Rng,
        fit: impl Fn(Kind) -> bool,
        act: impl FnOnce(&Process, &mut State) -> T,
    ) -> Option<T> {
        self.choose(numbers, fit)?.while_it_runs(act)
    }
}

impl Process {
    /// Does something with it. `None` if it has ended.
    pub fn while_it_runs<T>(&self, act: impl FnOnce(&Self, &mut State) -> T) -> Option<T> {
        let mut state = lock(&self.state);
        (!state.ended).then(|| act(self, &mut state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::numbers;

    #[test]
    fn only_those_that_fit_and_still_run_are_chosen() {
        let processes = Processes::default();
        let mut numbers = numbers(1, 0);
        let mut pid =
            |processes: &Processes| processes.with_one(&mut numbers, Kind::is_faulty, |p, _| p.pid);
        assert_eq!(pid(&processes), None);
        let vmm = |faulty| Kind::Vmm {
            faulty,
            interruptible: true,
        };
        let first = processes.add(10, vmm(false));
        let second = processes.add(11, vmm(true));
        processes.add(12, Kind::HostTask);
        assert_eq!(pid(&processes), Some(11));
        assert_eq!(second.while_it_runs(|process, _| process.pid), Some(11));
        assert!(!processes.remove(&second));
        assert_eq!(second.while_it_runs(|process, _| process.pid), None);
        assert_eq!(pid(&processes), None);
        assert!(!processes.remove(&first));
    }

    #[test]
    fn who_was_killed_is_remembered() {
        let processes = Processes::default();
        let process = processes.add(10, Kind::HostTask);
        let mut numbers = numbers(1, 0);
        processes.with_one(&mut numbers, |_| true, |_, state| state.killed = true);
        assert!(processes.remove(&process));
    }
}
