// SPDX-License-Identifier: GPL-2.0
//! Guests and the host take turns in a CPU, in whole runs: at each entry the
//! guest finds exactly its registers, and after each run the host its own.

use super::super::guest_view::{in_cpu, InCpu, What};
use super::super::host::Host;
use super::super::machine::{self, mark, Cpus, DebugOwner, Level};
use super::super::{names, runner_of};
use super::fp_state::FpState;
use super::{trap, FP_ASIMD, HVC64, IRQ, SVE};
use crate::{bindings, Mode};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a guest does between two exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Changes the registers that it has.
    Change,
    /// Uses FP, or SVE, and changes those.
    Fp,
    Sve,
    /// Executes something that EL2 handles: a memory copy on another CPU.
    Mops,
}

/// A vCPU's time on the CPU.
#[derive(Clone, Debug)]
struct Turn {
    vcpu: usize,
    level: Level,
    /// What the guest does in each run.
    runs: Vec<Vec<Action>>,
    /// A softirq uses FP after the runs whose number is here.
    softirqs: Vec<bool>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let action = prop::sample::select(vec![Action::Change, Action::Fp, Action::Sve, Action::Mops]);
    (
        0..2usize,
        prop::sample::select(Level::nested()),
        vec(vec(action, 0..5), 1..4),
        vec(any::<bool>(), 4),
    )
        .prop_map(|(vcpu, level, runs, softirqs)| Turn {
            vcpu,
            level,
            runs,
            softirqs,
        })
}

/// Registers that do not have to be the host's after a run: of EL2, and only
/// about guests, or about the exit.
const NOT_THE_HOSTS: [&str; 24] = [
    "ELR_EL2",
    "SPSR_EL2",
    "ESR_EL2",
    "FAR_EL2",
    "HPFAR_EL2",
    "VBAR_EL2",
    "HSTR_EL2",
    "PMSELR_EL0",
    "MPAM2_EL2",
    "MPAMHCR_EL2",
    "VSESR_EL2",
    "VNCR_EL2",
    "VTCR_EL2",
    "VTTBR_EL2",
    "VDISR_EL2",
    "VPIDR_EL2",
    "VMPIDR_EL2",
    "FPEXC32_EL2",
    "DACR32_EL2",
    "IFSR32_EL2",
    "DBGVCR32_EL2",
    // Compared as a whole.
    "FPSR",
    "FPCR",
    "FPMR",
];

/// Registers that the kernel has no use for under VHE.
const UNUSED_UNDER_VHE: [&str; 10] = [
    "NVHCR_EL2",
    "PAR_EL1",
    "SPSR_abt",
    "SPSR_fiq",
    "SPSR_irq",
    "SPSR_und",
    "SP_EL1",
    "TPIDR_EL1",
    "TFSRE0_EL1",
    "CPTR_EL2",
];

/// Whether the host has a register for itself, while a vCPU is loaded.
fn is_hosts(mode: Mode, name: &str, is_loaded: bool) -> bool {
    if NOT_THE_HOSTS.contains(&name) || name.starts_with("ZCR_EL") {
        return false;
    }
    // The mode's own, which the other tests are about.
    if machine::NOT_FILLED.contains(&name) {
        return false;
    }
    if ["TPIDR_EL0", "TPIDRRO_EL0", "TFSRE0_EL1"].contains(&name) && is_loaded {
        return false;
    }
    if mode == Mode::Vhe {
        // All of EL1 is the guest's, but for what acts on EL2 as well.
        let of_el1 = name.ends_with("_EL1") && name != "MDSCR_EL1" && name != "MIDR_EL1";
        let is_shared = ["MPIDR_EL1", "MPAM0_EL1"].contains(&name) || name.starts_with("ID_");
        if (of_el1 && !is_shared) || UNUSED_UNDER_VHE.contains(&name) {
            return false;
        }
        // The traps that stay.
        let stays = name.starts_with("HF")
            || name.starts_with("HDF")
            || name.starts_with("HAF")
            || name.starts_with("ICH_HF")
            || ["HCRX_EL2", "PMUSERENR_EL0"].contains(&name);
        return !(is_loaded && stays);
    }
    // Those of AArch32 modes the kernel cannot reach.
    !name.starts_with("SPSR_") || name.ends_with("_EL1")
}

/// What a guest would say that it has.
struct Model {
    registers: BTreeMap<&'static str, u64>,
    fp: FpState,
    zcr: u64,
}

struct Game {
    host: Host,
    hosts: BTreeMap<&'static str, u64>,
    host_fp: FpState,
    guests: [Model; 2],
    /// Number of changes, so that no value comes twice.
    changes: usize,
}

impl Game {
    fn new(cpus: Cpus, guests: [machine::Guest; 2]) -> Self {
        let mut host = Host::with_guests(cpus, &guests);
        for capability in [
            bindings::ARM64_HAS_FGT,
            bindings::ARM64_HAS_FGT2,
            bindings::ARM64_HAS_HCX,
            bindings::ARM64_HAS_PMUV3,
            bindings::ARM64_HAS_GICV5_CPUIF,
        ] {
            host.cpu().add_capability(capability);
        }
        let model = |_| Model {
            registers: BTreeMap::new(),
            fp: FpState::of("nobody"),
            zcr: 0,
        };
        let mut game = Self {
            hosts: BTreeMap::new(),
            host_fp: FpState::of("host"),
            guests: [0, 1].map(model),
            host,
            changes: 0,
        };
        for vcpu in 0..2 {
            game.change_in_memory(vcpu);
        }
        game
    }

    fn owner(&mut self, who: &str) -> String {
        self.changes += 1;
        format!("{who} {}", self.changes)
    }

    /// Userspace gives a vCPU other registers.
    fn change_in_memory(&mut self, vcpu: usize) {
        let owner = self.owner("guest in memory");
        for name in machine::Vcpu::names() {
            let guest = &mut self.host.vcpus[vcpu];
            let value = guest.sanitised(name, mark(&owner, name));
            *guest.kept(name) = value;
            self.guests[vcpu].registers.insert(name, value);
        }
        let fp = FpState::of(&owner);
        self.host.set_fp_in_memory(vcpu, &fp);
        if self.host.cpus.pkvm {
            // Z registers of such a guest are with EL2.
            let runs = self.host.runs(vcpu);
            self.host.vcpus[runs].sve_state = self.host.vcpus[vcpu].sve_state.clone();
            self.host.vcpus[vcpu].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
        }
        let guest = &mut self.guests[vcpu];
        guest.registers.insert("FPMR", fp.fpmr());
        guest.fp = fp;
        // Vector lengths, as a guest sets them, and no traps for an L2.
        let zcr = mark(&owner, "ZCR") & 3;
        for (name, value) in [("ZCR_EL1", zcr), ("ZCR_EL2", zcr), ("CPTR_EL2", !0)] {
            let vcpu = &mut self.host.vcpus[vcpu];
            *vcpu.kept(name) = value;
            guest.registers.insert(name, value);
        }
        guest.zcr = zcr;
    }

    /// The host changes its registers, but for those that are lent.
    fn change_hosts(&mut self, is_loaded: bool) {
        let owner = self.owner("host");
        for name in names::REGISTERS {
            if is_hosts(self.host.cpus.mode, name, is_loaded) {
                // What the hypervisor finds its own by.
                // Or what never changes.
                let stays = ["TPIDR_EL1", "TPIDR_EL2"].contains(name) || name.starts_with("ID_");
                if !stays {
                    names::set(self.host.cpu(), name, mark(&owner, name));
                }
                let value = names::get(self.host.cpu(), name);
                self.hosts.insert(name, value);
            }
        }
    }

    fn check_hosts(&mut self, is_loaded: bool, when: &str) {
        let mode = self.host.cpus.mode;
        for name in names::REGISTERS {
            if is_hosts(mode, name, is_loaded) {
                let found = names::get(self.host.cpu(), name);
                assert_eq!(found, self.hosts[name], "the host's {name}, {when}");
            }
        }
    }

    /// Which of a guest's registers are where, while it runs.
    fn view(&self, vcpu: usize) -> Vec<InCpu> {
        let guest = &self.host.vcpus[self.host.runs(vcpu)];
        // Without VHE, only while somebody uses the debug registers.
        let is_debugged = guest.guest.debug_owner != DebugOwner::Free;
        let all = is_debugged || self.host.cpus.mode == Mode::Vhe;
        let mut view = in_cpu(guest, &self.host.cpus);
        view.retain(|row| all || row.register != "DBGVCR32_EL2");
        view
    }

    /// Runs a guest that does this, as far as EL2 lets it without the kernel.
    fn run(&mut self, vcpu: usize, actions: &[Action]) {
        let owner = self.owner("guest");
        let view = self.view(vcpu);
        let runs = self.host.runs(vcpu);
        let (has, guest) = {
            let vcpu = &self.host.vcpus[runs];
            (vcpu.features, vcpu.guest)
        };
        let (mode, pkvm) = (self.host.cpus.mode, self.host.cpus.pkvm);
        let longest = self.host.vcpus[runs].vcpu.arch.sve_max_vl as usize;
        let mut masked = BTreeMap::new();
        for row in &view {
            let value = mark(&owner, row.register);
            let value = self.host.vcpus[runs].sanitised(row.register, value);
            masked.insert(row.register, value);
        }
        let changed_fp = FpState::of(&owner);
        let Model {
            registers, fp, zcr, ..
        } = &mut self.guests[vcpu];
        let zcr_name = match guest.level {
            Level::VirtualEl2 { .. } => "ZCR_EL2",
            Level::El1 | Level::L2 { .. } => "ZCR_EL1",
        };
        let mut actions = actions.iter().copied();
        let mut waits = false;
        let at_el1 = if guest.aarch32 { 0x1d3 } else { 0x3c5 };
        self.host.enter(vcpu, &mut |cpu, _| {
            // It finds what it had.
            for row in &view {
                let has = registers[row.register];
                let found = names::get(cpu, row.cpu);
                let (found, expected) = match row.what {
                    What::All => (found, has),
                    What::Bits(bits) => (found & bits, has & bits),
                    What::Effect(effect) => (found, effect(has)),
                };
                // Where it goes on is for the test of memory copies.
                if row.register != "pc" {
                    assert_eq!(found, expected, "{row:?} {guest:?} {mode:?}");
                }
            }
            if cpu.guest_can_use_fp() {
                let found = FpState::in_cpu(cpu);
                if has.sve {
                    assert!(found.sve(longest) == fp.sve(longest), "{guest:?} {mode:?}");
                    if zcr_name == "ZCR_EL1" && guest.level == Level::El1 {
                        assert_eq!(names::get(cpu, "ZCR_EL1"), *zcr);
                    }
                } else {
                    assert!(found.v() == fp.v(), "{guest:?} {mode:?}");
                }
                if has.fpmr {
                    assert_eq!(found.fpmr(), fp.fpmr(), "{guest:?} {mode:?}");
                }
            } else {
                assert!(!waits, "it was handled, so FP is open: {guest:?} {mode:?}");
            }
            waits = false;

            for action in actions.by_ref() {
                names::set(cpu, "SPSR_EL2", at_el1);
                match action {
                    Action::Change => {
                        for row in &view {
                            // The host's, who debugs the guest: it is not told.
                            if pkvm && row.register == "external_mdscr_el1" {
                                continue;
                            }
                            let value = masked[row.register];
                            let before = registers[row.register];
                            let (in_cpu, has) = match row.what {
                                What::All => (value, value),
                                What::Bits(bits) => {
                                    (value & bits, (before & !bits) | (value & bits))
                                }
                                What::Effect(_) => continue,
                            };
                            names::set(cpu, row.cpu, in_cpu);
                            registers.insert(row.register, has);
                        }
                    }
                    Action::Sve if !has.sve => (),
                    Action::Fp | Action::Sve => {
                        if !cpu.guest_can_use_fp() {
                            waits = guest.level == Level::El1
                                && !(action == Action::Sve && guest.is_protected);
                            let class = if action == Action::Fp { FP_ASIMD } else { SVE };
                            return trap(cpu, class, 0);
                        }
                        let fpmr = names::get(cpu, "FPMR");
                        changed_fp.put(cpu);
                        *fp = changed_fp.clone();
                        if has.fpmr {
                            registers.insert("FPMR", changed_fp.fpmr());
                        } else {
                            names::set(cpu, "FPMR", fpmr);
                        }
                    }
                    Action::Mops => return trap(cpu, 0x27, (1 << 10) | (2 << 5) | 3),
                }
            }
            names::set(cpu, "SPSR_EL2", at_el1);
            // Either, as it happens.
            match names::get(cpu, "ELR_EL2") & 1 {
                0 => trap(cpu, HVC64, 0),
                _ => IRQ,
            }
        });
    }

    fn play(&mut self, turn: &Turn) {
        let vcpu = turn.vcpu;
        let pkvm = self.host.cpus.pkvm;
        let runs = self.host.runs(vcpu);
        self.change_in_memory(vcpu);
        let pstate = match (self.host.vcpus[runs].features.nv, turn.level) {
            (true, Level::VirtualEl2 { .. }) => 0x3c9,
            _ if self.host.vcpus[runs].guest.aarch32 => 0x1d3,
            _ => 0x3c5,
        };
        self.host.vcpus[vcpu].move_to(turn.level, pstate);
        self.host.vcpus[runs].move_to(turn.level, pstate);

        let owner = self.owner("host");
        self.host_fp = FpState::of(&owner);
        let host_fp = self.host_fp.clone();
        self.host.give_fp_to_host(&host_fp);
        let zcr = ["ZCR_EL1", "ZCR_EL2"].map(|name| names::get(self.host.cpu(), name));
        self.change_hosts(false);
        self.host.load(vcpu);
        self.check_hosts(true, "the vCPU was loaded");
        if !pkvm {
            // The kernel has saved its state, and what is left is worth nothing.
            FpState::of("left over").put(self.host.cpu());
        }
        for (actions, softirq) in turn.runs.iter().zip(&turn.softirqs) {
            self.change_hosts(true);
            self.run(vcpu, actions);
            self.check_hosts(true, "the guest was left");
            if pkvm {
                // EL2 has the guest's registers now.
                self.host.vcpus[vcpu].vcpu.arch.iflags &= !bindings::PKVM_HOST_STATE_DIRTY;
                self.check_host_fp(zcr, "the guest was left");
            } else if *softirq {
                self.host.kernel_uses_fp();
            }
        }
        if pkvm && !self.host.vcpus[runs].is_protected {
            self.host.sync_registers(vcpu, runs);
        }
        self.host.put(vcpu);
        self.check_hosts(false, "the vCPU was put");
        let longest = self.host.vcpus[runs].vcpu.arch.sve_max_vl as usize;
        if self.host.vcpus[runs].features.sve {
            let fp = &self.guests[vcpu].fp;
            assert!(self.host.vcpus[runs].sve_state == fp.sve(longest).0);
        }
        if !pkvm {
            for (name, value) in &self.guests[vcpu].registers {
                let found = *self.host.vcpus[vcpu].kept(name);
                let is_lengths = name.starts_with("ZCR_");
                let is_in_hcr = ["HCR_EL2", "NVHCR_EL2", "pc", "FPEXC32_EL2"].contains(name);
                // The FP core saves it for whoever has the registers.
                let is_nothing = *name == "FPMR" && !self.host.vcpus[vcpu].features.fpmr;
                if !is_lengths && !is_in_hcr && !is_nothing {
                    assert_eq!(found, *value, "{name} in memory, {turn:?}");
                }
            }
        }
    }

    /// Under pKVM the host's FP state stays in the CPU.
    fn check_host_fp(&mut self, zcr: [u64; 2], when: &str) {
        let found = FpState::in_cpu(self.host.cpu());
        assert!(found.v() == self.host_fp.v(), "{when}");
        assert_eq!(found.fpmr(), self.host_fp.fpmr(), "{when}");
        if self.host.cpus.have.sve {
            let lengths = ["ZCR_EL1", "ZCR_EL2"].map(|name| names::get(self.host.cpu(), name));
            assert_eq!(lengths, zcr, "{when}");
            assert!(found.sve(64) == self.host_fp.sve(64), "{when}");
        }
    }
}

/// Has turns taken on machines in these modes.
fn play(modes: &'static [Mode], pkvm: bool) {
    let games = (
        machine::cpus(modes),
        [machine::guest(), machine::guest()],
        vec(turn(), 1..4),
    );
    let outcome = runner_of(64).run(&games, |(cpus, guests, turns)| {
        let cpus = Cpus { pkvm, ..cpus };
        let guests = guests.map(|guest| machine::Guest {
            aarch32: guest.aarch32 && !(pkvm && guest.is_protected),
            ..guest
        });
        let mut game = Game::new(cpus, guests);
        for turn in &turns {
            game.play(turn);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn b01_b17_each_finds_what_it_had_in_whole_runs_under_vhe() {
    play(&[Mode::Vhe], false);
}

#[test]
fn b01_b17_each_finds_what_it_had_in_whole_runs_without_vhe() {
    play(&[Mode::Nvhe, Mode::Hvhe], false);
}

#[test]
fn b17_b22_each_finds_what_it_had_in_whole_runs_with_pkvm() {
    play(&[Mode::Nvhe, Mode::Hvhe], true);
}
