// SPDX-License-Identifier: GPL-2.0
//! The registers that only EL0 uses, without VHE: the host's EL0 and two guests
//! take turns in them.

use super::functions::*;
use super::host::Host;
use super::machine::{self, mark, Cpus, Guest, Vcpu};
use super::names;
use super::runner;
use super::world_switch::{IRQ, TRAP};
use crate::{Access, Mode};
use proptest::collection::vec;
use proptest::prelude::*;

/// A value of each of [`Game::registers`].
type Values = [u64; 3];

const REGISTERS: [&str; 3] = ["TPIDR_EL0", "TPIDRRO_EL0", "TFSRE0_EL1"];

/// A vCPU's time on the CPU.
#[derive(Clone, Debug)]
struct Turn {
    vcpu: usize,
    /// For each entry, whether its exit is one that the host emulates.
    entries: Vec<bool>,
}

fn turn() -> impl Strategy<Value = Turn> {
    (0..2usize, vec(any::<bool>(), 0..4)).prop_map(|(vcpu, entries)| Turn { vcpu, entries })
}

/// What each has, as it would say itself.
struct Game {
    host: Host,
    hosts: Values,
    guests: [Values; 2],
    /// Number of changes, so that no value comes twice.
    changes: usize,
}

impl Game {
    fn new(cpus: Cpus, guests: [Guest; 2]) -> Self {
        let mut vcpus = Vec::new();
        // The host's, and EL2's own, if it has some.
        for owner in ["host's", "EL2's"] {
            for (name, guest) in ["first", "second"].into_iter().zip(guests) {
                vcpus.push(Vcpu::new(&format!("{owner} {name}"), &cpus, guest));
            }
        }
        let mut game = Self {
            host: Host::new(cpus, vcpus),
            hosts: [0; 3],
            guests: [[0; 3]; 2],
            changes: 0,
        };
        for vcpu in 0..2 {
            game.guests[vcpu] = game.in_memory(vcpu);
        }
        game
    }

    fn new_values(&mut self, owner: &str) -> Values {
        self.changes += 1;
        REGISTERS.map(|name| mark(&format!("{owner} {}", self.changes), name))
    }

    /// Whether a guest has each register for itself.
    fn has(&self, vcpu: usize) -> [bool; 3] {
        [true, true, self.host.vcpus[vcpu].features.mte]
    }

    fn in_cpu(&mut self) -> Values {
        REGISTERS.map(|name| names::get(self.host.cpu(), name))
    }

    fn in_memory(&mut self, vcpu: usize) -> Values {
        REGISTERS.map(|name| *self.host.vcpus[vcpu].kept(name))
    }

    /// Of `values` those that a guest has for itself, of the host's the others.
    fn guests_or_hosts(&self, vcpu: usize, values: Values) -> Values {
        let has = self.has(vcpu);
        std::array::from_fn(|n| if has[n] { values[n] } else { self.hosts[n] })
    }

    fn check_cpu(&mut self, expected: Values, when: &str) {
        let found = self.in_cpu();
        for (name, (found, expected)) in REGISTERS.iter().zip(found.into_iter().zip(expected)) {
            assert_eq!(found, expected, "{name}, {when}");
        }
    }

    /// The kernel runs, and has loaded a vCPU.
    fn check_kernel(&mut self, vcpu: usize, when: &str) {
        let expected = match self.host.vcpus[vcpu].is_protected {
            true => self.hosts,
            false => self.guests_or_hosts(vcpu, self.guests[vcpu]),
        };
        self.check_cpu(expected, when);
    }

    /// The vCPU that EL2 runs.
    fn runs(&self, vcpu: usize) -> usize {
        if self.host.cpus.pkvm {
            vcpu + 2
        } else {
            vcpu
        }
    }

    /// Calls one of the kernel's functions, which touches nothing of a
    /// protected guest's, nor for it.
    fn kernel(&mut self, vcpu: usize, function: Function) {
        let before = self.in_memory(vcpu);
        self.host.call(vcpu, function);
        if self.host.vcpus[vcpu].is_protected {
            let ours = |access: &&Access| {
                let (Access::Read { name, .. } | Access::Write { name, .. }) = access else {
                    return false;
                };
                *name != "TPIDR_EL1"
            };
            let accesses: Vec<_> = self
                .host
                .cpu()
                .trace()
                .iter()
                .filter(ours)
                .cloned()
                .collect();
            assert_eq!(accesses, [], "{} for a protected guest", function.name);
            assert_eq!(self.in_memory(vcpu), before, "{}", function.name);
        }
    }

    fn enter_and_exit(&mut self, vcpu: usize, emulated: bool) {
        let runs = self.runs(vcpu);
        if self.host.cpus.pkvm {
            self.host.flush(vcpu, runs);
        }
        for function in [NVHE_SAVE_HOST, NVHE_RESTORE_32BIT, NVHE_RESTORE_GUEST] {
            self.host.call(runs, function);
        }
        let expected = self.guests_or_hosts(vcpu, self.guests[vcpu]);
        self.check_cpu(expected, "the guest runs");

        let values = self.new_values("guest");
        for ((name, has), value) in REGISTERS.into_iter().zip(self.has(vcpu)).zip(values) {
            if has {
                names::set(self.host.cpu(), name, value);
            }
        }
        let has = self.has(vcpu);
        let guests = &mut self.guests[vcpu];
        *guests = std::array::from_fn(|n| if has[n] { values[n] } else { guests[n] });

        for function in [NVHE_SAVE_GUEST, NVHE_SAVE_32BIT, NVHE_RESTORE_HOST] {
            self.host.call(runs, function);
        }
        if !self.host.cpus.pkvm {
            return;
        }
        let code = if emulated { TRAP } else { IRQ };
        self.host.sync(vcpu, runs, code);
        if !self.host.vcpus[vcpu].is_protected {
            self.set_dirty(vcpu, emulated);
        }
    }

    fn set_dirty(&mut self, vcpu: usize, dirty: bool) {
        let iflags = &mut self.host.vcpus[vcpu].vcpu.arch.iflags;
        *iflags &= !bindings::PKVM_HOST_STATE_DIRTY;
        if dirty {
            *iflags |= bindings::PKVM_HOST_STATE_DIRTY;
        }
    }

    fn play(&mut self, turn: Turn) {
        let vcpu = turn.vcpu;
        // The host's EL0 runs, and changes its own and what the guests have in
        // memory.
        self.hosts = self.new_values("host");
        for (name, value) in REGISTERS.into_iter().zip(self.hosts) {
            names::set(self.host.cpu(), name, value);
        }
        for vcpu in 0..2 {
            self.guests[vcpu] = self.new_values("guest in memory");
            for (name, value) in REGISTERS.into_iter().zip(self.guests[vcpu]) {
                *self.host.vcpus[vcpu].kept(name) = value;
            }
            self.set_dirty(vcpu, true);
        }

        self.kernel(vcpu, NVHE_LOAD);
        self.check_kernel(vcpu, "the vCPU was loaded");
        for emulated in turn.entries {
            self.enter_and_exit(vcpu, emulated);
            self.check_kernel(vcpu, "the guest was left");
        }
        self.kernel(vcpu, NVHE_PUT);

        self.check_cpu(self.hosts, "the vCPU was put");
        for vcpu in 0..2 {
            assert_eq!(self.in_memory(vcpu), self.guests[vcpu], "of vCPU {vcpu}");
        }
    }
}

/// Has turns taken on machines of all kinds that `of_interest` takes.
fn play(of_interest: impl Fn(&Cpus, &[Guest; 2]) -> bool) {
    let games = (
        machine::cpus(&[Mode::Nvhe, Mode::Hvhe]),
        [machine::guest(), machine::guest()],
        vec(turn(), 1..6),
    );
    let games = games.prop_filter("another kind", |(cpus, guests, _)| {
        of_interest(cpus, guests)
    });
    let outcome = runner().run(&games, |(cpus, guests, turns)| {
        let mut game = Game::new(cpus, guests);
        for turn in turns {
            game.play(turn);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn b30_each_finds_its_own_where_there_is_no_pkvm() {
    play(|cpus, _| !cpus.pkvm);
}

#[test]
fn b30_each_finds_its_own_where_guests_trust_the_host() {
    play(|cpus, guests| cpus.pkvm && guests.iter().all(|guest| !guest.is_protected));
}

#[test]
fn b30_a_protected_guests_are_not_in_the_cpu_while_the_kernel_runs() {
    play(|cpus, guests| cpus.pkvm && guests.iter().any(|guest| guest.is_protected));
}
