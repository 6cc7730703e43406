// SPDX-License-Identifier: GPL-2.0
//! The host and two vCPUs take turns in a CPU under VHE: each finds what it
//! had, and nobody anything else.
//!
//! Where `as_in_c.rs` asks for the steps, this asks for their result, whatever
//! the steps are.

use super::functions::*;
use super::guest_view::{in_cpu, InCpu, What, When};
use super::host::Host;
use super::machine::{self, mark, pstate, Cpus, Features, Guest, Level, Vcpu};
use super::names;
use super::runner;
use crate::Mode;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Whether the host does not use a register: all of EL1 and EL0 but for what acts
/// on EL2 as well, and those of EL2 that only matter to a guest.
fn is_not_the_hosts(name: &str) -> bool {
    const OTHERS: [&str; 17] = [
        "DACR32_EL2",
        "DBGVCR32_EL2",
        "IFSR32_EL2",
        "MPAM1_EL1",
        "NVHCR_EL2",
        "PAR_EL1",
        // It shows PMCNTENSET_EL0.
        "PMCNTENCLR_EL0",
        "SPSR_abt",
        "SPSR_fiq",
        "SPSR_irq",
        "SPSR_und",
        "TPIDR_EL1",
        "VDISR_EL2",
        "VMPIDR_EL2",
        "VPIDR_EL2",
        // What an exception to EL2 overwrites.
        "ELR_EL2",
        "SPSR_EL2",
    ];
    let mut el1 = Features::from_bits(!0).el1_registers();
    OTHERS.contains(&name) || el1.any(|(register, _)| register == name)
}

/// Those of the host that a guest has the use of, and since when.
fn lent(name: &str) -> Option<When> {
    match name {
        "TPIDR_EL0" | "TPIDRRO_EL0" => Some(When::Loaded),
        "MDSCR_EL1" | "POR_EL0" => Some(When::Running),
        _ => None,
    }
}

/// A vCPU's time on the CPU.
#[derive(Clone, Copy, Debug)]
struct Turn {
    vcpu: usize,
    /// Where KVM moves it before, if it has a virtual EL2.
    level: Level,
    pstate: u64,
    /// How often the guest is entered.
    entries: usize,
}

fn turn() -> impl Strategy<Value = Turn> {
    (
        0..2usize,
        prop::sample::select(Level::nested()),
        pstate(),
        0..3usize,
    )
        .prop_map(|(vcpu, level, pstate, entries)| Turn {
            vcpu,
            level,
            pstate,
            entries,
        })
}

/// What each has, as it would say itself.
struct Game {
    host: Host,
    hosts: BTreeMap<&'static str, u64>,
    guests: [BTreeMap<&'static str, u64>; 2],
    /// Number of changes, so that no value comes twice.
    changes: usize,
}

impl Game {
    fn new(cpus: Cpus, guests: [Guest; 2]) -> Self {
        let vcpus = ["first", "second"].into_iter().zip(guests);
        let vcpus = vcpus.map(|(name, guest)| Vcpu::new(name, &cpus, guest));
        let mut host = Host::new(cpus, vcpus.collect());
        let value = |name: &&'static str| (*name, names::get(host.cpu(), name));
        let hosts = names::REGISTERS.iter().map(value).collect();
        let mut game = Self {
            host,
            hosts,
            guests: Default::default(),
            changes: 0,
        };
        for vcpu in 0..2 {
            game.guests[vcpu] = Vcpu::names().map(|name| (name, 0)).collect();
            game.change_in_memory(vcpu);
        }
        game
    }

    fn value(&mut self, owner: &str, name: &str) -> u64 {
        self.changes += 1;
        mark(&format!("{owner} {}", self.changes), name)
    }

    /// The host changes its registers, but for those that are lent.
    fn change_hosts(&mut self, loaded: bool) {
        for name in names::REGISTERS {
            if is_not_the_hosts(name) || *name == "HCR_EL2" {
                continue;
            }
            if loaded && lent(name) == Some(When::Loaded) {
                continue;
            }
            let value = self.value("host", name);
            names::set(self.host.cpu(), name, value);
            self.hosts.insert(name, value);
        }
    }

    /// The guest's registers change where they are kept, by emulation or by
    /// userspace.
    fn change_in_memory(&mut self, vcpu: usize) {
        for name in self.guests[vcpu].keys().copied().collect::<Vec<_>>() {
            let value = self.value("guest in memory", name);
            let value = self.host.vcpus[vcpu].sanitised(name, value);
            *self.host.vcpus[vcpu].kept(name) = value;
            self.guests[vcpu].insert(name, value);
        }
    }

    fn view(&self, vcpu: usize) -> Vec<InCpu> {
        in_cpu(&self.host.vcpus[vcpu], &self.host.cpus)
    }

    /// The guest changes its registers in the CPU.
    fn change_guests(&mut self, vcpu: usize) {
        for in_cpu in self.view(vcpu) {
            let name = in_cpu.register;
            let value = self.value("guest", name);
            let value = self.host.vcpus[vcpu].sanitised(name, value);
            let before = self.guests[vcpu][name];
            let (cpu, guest) = match in_cpu.what {
                What::All => (value, value),
                What::Bits(bits) => {
                    let both = (before & !bits) | (value & bits);
                    (value & bits, both)
                }
                What::Effect(_) => continue,
            };
            names::set(self.host.cpu(), in_cpu.cpu, cpu);
            self.guests[vcpu].insert(name, guest);
        }
    }

    /// The host finds its own registers, but for those that are lent.
    fn check_hosts(&mut self, vcpu: usize, since: Option<When>) {
        let s1poe = self.host.vcpus[vcpu].features.s1poe;
        for (name, value) in &self.hosts {
            let is_lent = match lent(name) {
                None => false,
                Some(When::Loaded) => since.is_some(),
                Some(When::Running) => {
                    since == Some(When::Running) && (*name != "POR_EL0" || s1poe)
                }
            };
            if is_lent || is_not_the_hosts(name) {
                continue;
            }
            let found = names::get(self.host.cpu(), name);
            assert_eq!(found, *value, "the host's {name}, vCPU {vcpu} {since:?}");
        }
    }

    /// A guest that runs finds its own registers.
    fn check_guest(&mut self, vcpu: usize) {
        for in_cpu in self.view(vcpu) {
            let has = self.guests[vcpu][in_cpu.register];
            let found = names::get(self.host.cpu(), in_cpu.cpu);
            let (found, expected) = match in_cpu.what {
                What::All => (found, has),
                What::Bits(bits) => (found & bits, has & bits),
                What::Effect(effect) => (found, effect(has)),
            };
            assert_eq!(found, expected, "vCPU {vcpu}'s {in_cpu:?} in the CPU");
        }
    }

    /// What is not in the CPU is in memory.
    fn check_memory(&mut self, vcpu: usize, in_cpu: Option<When>) {
        let view = self.view(vcpu);
        let in_the_cpu = |name: &str| {
            view.iter().any(|row| {
                let there = Some(row.when) == in_cpu;
                row.register == name && there && !matches!(row.what, What::Effect(_))
            })
        };
        for (name, value) in &self.guests[vcpu] {
            if !in_the_cpu(name) {
                let found = *self.host.vcpus[vcpu].kept(name);
                assert_eq!(found, *value, "vCPU {vcpu}'s {name} in memory");
            }
        }
    }

    fn is_on_cpu(&self, vcpu: usize) -> bool {
        self.host.vcpus[vcpu].vcpu.arch.sflags & bindings::SYSREGS_ON_CPU != 0
    }

    fn play(&mut self, turn: Turn) {
        let vcpu = turn.vcpu;
        self.change_hosts(false);
        self.change_in_memory(vcpu);
        self.host.vcpus[vcpu].move_to(turn.level, turn.pstate);
        self.host.call(vcpu, LOAD);
        self.check_hosts(vcpu, Some(When::Loaded));
        assert!(self.is_on_cpu(vcpu) && !self.is_on_cpu(1 - vcpu));
        for _ in 0..turn.entries {
            self.change_hosts(true);
            self.host.call(vcpu, SAVE_HOST);
            self.host.call(vcpu, RESTORE_GUEST);
            self.check_hosts(vcpu, Some(When::Running));
            self.check_guest(vcpu);
            self.change_guests(vcpu);
            self.host.call(vcpu, SAVE_GUEST);
            self.host.call(vcpu, RESTORE_HOST);
            self.check_hosts(vcpu, Some(When::Loaded));
            self.check_memory(vcpu, Some(When::Loaded));
        }
        self.host.call(vcpu, PUT);
        self.check_hosts(vcpu, None);
        assert!(!self.is_on_cpu(vcpu));
        for vcpu in 0..2 {
            self.check_memory(vcpu, None);
        }
    }
}

#[test]
fn b24_b29_each_finds_what_it_had() {
    let games = (
        machine::cpus(&[Mode::Vhe]),
        [machine::guest(), machine::guest()],
        vec(turn(), 1..6),
    );
    let outcome = runner().run(&games, |(cpus, guests, turns)| {
        let mut game = Game::new(cpus, guests);
        for turn in turns {
            game.play(turn);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
