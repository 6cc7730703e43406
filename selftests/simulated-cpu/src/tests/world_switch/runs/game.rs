// SPDX-License-Identifier: GPL-2.0
//! A host with two guests, and what each would say that it has.

use super::super::super::guest_view::{in_cpu, InCpu, What};
use super::super::super::host::Host;
use super::super::super::machine::{self, Cpus, DebugOwner, Kept, Level, Vcpu};
use super::super::super::names;
use super::super::fp_state::FpState;
use super::super::{trap, FP_ASIMD, HVC64, IRQ, SVE};
use super::hosts::Hosts;
use super::{Action, Turn};
use crate::arm64::registers::{ELR_EL2, FPMR, SPSR_EL2, ZCR_EL1, ZCR_EL2};
use crate::{bindings, fp_core, Mode};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The registers of a vCPU.
static OF_VCPU: LazyLock<Vec<(&str, Kept)>> =
    LazyLock::new(|| Vcpu::names().map(|name| (name, Kept::of(name))).collect());

/// Where a register is in [`OF_VCPU`].
fn number(name: &str) -> usize {
    static NUMBERS: LazyLock<BTreeMap<&str, usize>> = LazyLock::new(|| {
        let numbered = OF_VCPU.iter().enumerate();
        numbered
            .map(|(number, (name, _))| (*name, number))
            .collect()
    });
    NUMBERS[name]
}

/// A register of a guest that is in the CPU.
struct Row {
    /// In [`OF_VCPU`].
    register: usize,
    /// In [`names::REGISTERS`].
    cpu: usize,
    what: What,
    /// All of it, for messages.
    named: InCpu,
}

/// What a guest would say that it has.
struct Model {
    /// As [`OF_VCPU`].
    registers: Vec<u64>,
    fp: FpState,
    zcr: u64,
}

pub(super) struct Game {
    host: Host,
    kinds: Hosts,
    /// As [`names::REGISTERS`].
    hosts: Vec<u64>,
    host_fp: FpState,
    guests: [Model; 2],
    /// Number of changes, so that no value comes twice.
    changes: u64,
}

/// A value for each number, and another one for each (SplitMix64).
fn value_of(number: u64) -> u64 {
    let mut value = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Game {
    pub(super) fn new(cpus: Cpus, guests: [machine::Guest; 2]) -> Self {
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
            registers: vec![0; OF_VCPU.len()],
            fp: FpState::of("nobody"),
            zcr: 0,
        };
        let mut game = Self {
            kinds: Hosts::of(cpus.mode),
            hosts: vec![0; names::REGISTERS.len()],
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

    /// A value that was never there before.
    fn value(&mut self) -> u64 {
        self.changes += 1;
        value_of(self.changes)
    }

    /// Userspace gives a vCPU other registers.
    fn change_in_memory(&mut self, vcpu: usize) {
        for (number, (_, kept)) in OF_VCPU.iter().enumerate() {
            let value = self.value();
            let guest = &mut self.host.vcpus[vcpu];
            let value = guest.sanitised_at(*kept, value);
            *guest.kept_at(*kept) = value;
            self.guests[vcpu].registers[number] = value;
        }
        let fp = FpState::of_seed(self.value());
        self.host.set_fp_in_memory(vcpu, &fp);
        if self.host.cpus.pkvm {
            // Z registers of such a guest are with EL2.
            let runs = self.host.runs(vcpu);
            self.host.vcpus[runs].sve_state = self.host.vcpus[vcpu].sve_state.clone();
            self.host.vcpus[vcpu].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
        }
        let zcr = self.value() & 3;
        let guest = &mut self.guests[vcpu];
        guest.registers[number("FPMR")] = fp.fpmr();
        guest.fp = fp;
        // Vector lengths, as a guest sets them, and no traps for an L2.
        for (name, value) in [("ZCR_EL1", zcr), ("ZCR_EL2", zcr), ("CPTR_EL2", !0)] {
            *self.host.vcpus[vcpu].kept(name) = value;
            guest.registers[number(name)] = value;
        }
        guest.zcr = zcr;
    }

    /// The host changes its registers, but for those that are lent.
    fn change_hosts(&mut self, is_loaded: bool) {
        let seed = self.value();
        let cpu = self.host.cpu();
        for (register, changes) in self.kinds.registers(is_loaded) {
            if *changes {
                names::SET[*register](cpu, seed ^ value_of(*register as u64));
            }
            self.hosts[*register] = names::GET[*register](cpu);
        }
    }

    fn check_hosts(&mut self, is_loaded: bool, when: &str) {
        let cpu = self.host.cpu();
        for (register, _) in self.kinds.registers(is_loaded) {
            let found = names::GET[*register](cpu);
            let name = names::REGISTERS[*register];
            assert_eq!(found, self.hosts[*register], "the host's {name}, {when}");
        }
    }

    /// Which of a guest's registers are where, while it runs.
    fn view(&self, vcpu: usize) -> Vec<Row> {
        let guest = &self.host.vcpus[self.host.runs(vcpu)];
        // Without VHE, only while somebody uses the debug registers.
        let is_debugged = guest.guest.debug_owner != DebugOwner::Free;
        let all = is_debugged || self.host.cpus.mode == Mode::Vhe;
        let mut view = in_cpu(guest, &self.host.cpus);
        view.retain(|row| all || row.register != "DBGVCR32_EL2");
        let row = |named: InCpu| Row {
            register: number(named.register),
            cpu: names::number(named.cpu),
            what: named.what,
            named,
        };
        view.into_iter().map(row).collect()
    }

    /// Runs a guest that does this, as far as EL2 lets it without the kernel.
    fn run(&mut self, vcpu: usize, view: &[Row], actions: &[Action]) {
        let seed = self.value();
        let runs = self.host.runs(vcpu);
        let (has, guest) = {
            let vcpu = &self.host.vcpus[runs];
            (vcpu.features, vcpu.guest)
        };
        let (mode, pkvm) = (self.host.cpus.mode, self.host.cpus.pkvm);
        let longest = self.host.vcpus[runs].vcpu.arch.sve_max_vl as usize;
        let new_value = |(number, row): (usize, &Row)| {
            let value = seed ^ value_of(number as u64);
            self.host.vcpus[runs].sanitised_at(OF_VCPU[row.register].1, value)
        };
        let new: Vec<u64> = match actions.contains(&Action::Change) {
            true => view.iter().enumerate().map(new_value).collect(),
            false => Vec::new(),
        };
        let new_fp = match actions
            .iter()
            .any(|a| matches!(a, Action::Fp | Action::Sve))
        {
            true => Some(FpState::of_seed(seed)),
            false => None,
        };
        let fpmr = number("FPMR");
        let Model {
            registers, fp, zcr, ..
        } = &mut self.guests[vcpu];
        let has_own_zcr_el1 = matches!(guest.level, Level::El1);
        let mut actions = actions.iter().copied();
        // The class of its trap, and how often EL2 may leave the guest for the kernel to save the
        // host's registers.
        let mut waits = None;
        let mut may_leave = u32::from(mode != Mode::Vhe && !pkvm);
        let at_el1 = if guest.aarch32 { 0x1d3 } else { 0x3c5 };
        self.host.enter(vcpu, &mut |cpu, _| {
            // It finds what it had.
            for row in view {
                let has = registers[row.register];
                let found = names::GET[row.cpu](cpu);
                let (found, expected) = match row.what {
                    What::All => (found, has),
                    What::Bits(bits) => (found & bits, has & bits),
                    What::Effect(effect) => (found, effect(has)),
                };
                // Where it goes on is for the test of memory copies.
                if row.named.register != "pc" {
                    assert_eq!(found, expected, "{:?} {guest:?} {mode:?}", row.named);
                }
            }
            if cpu.guest_can_use_fp() {
                let found = FpState::in_cpu(cpu);
                if has.sve {
                    assert!(found.sve(longest) == fp.sve(longest), "{guest:?} {mode:?}");
                    if has_own_zcr_el1 {
                        assert_eq!(u64::from(cpu.get::<ZCR_EL1>()), *zcr);
                    }
                } else {
                    assert!(found.v() == fp.v(), "{guest:?} {mode:?}");
                }
                if has.fpmr {
                    assert_eq!(found.fpmr(), fp.fpmr(), "{guest:?} {mode:?}");
                }
            } else if let Some(class) = waits {
                assert!(
                    may_leave > 0,
                    "it was handled, so FP is open: {guest:?} {mode:?}"
                );
                may_leave -= 1;
                return trap(cpu, class, 0);
            }
            waits = None;

            for action in actions.by_ref() {
                cpu.set(SPSR_EL2::from(at_el1));
                match action {
                    Action::Change => {
                        for (row, value) in view.iter().zip(&new) {
                            // The host's, who debugs the guest: it is not told.
                            if pkvm && row.named.register == "external_mdscr_el1" {
                                continue;
                            }
                            let before = registers[row.register];
                            let (in_cpu, has) = match row.what {
                                What::All => (*value, *value),
                                What::Bits(bits) => {
                                    (value & bits, (before & !bits) | (value & bits))
                                }
                                What::Effect(_) => continue,
                            };
                            names::SET[row.cpu](cpu, in_cpu);
                            registers[row.register] = has;
                        }
                    }
                    Action::Sve if !has.sve => (),
                    Action::Fp | Action::Sve => {
                        if !cpu.guest_can_use_fp() {
                            let class = if action == Action::Fp { FP_ASIMD } else { SVE };
                            let is_handled = guest.level == Level::El1
                                && !(action == Action::Sve && guest.is_protected);
                            waits = is_handled.then_some(class);
                            return trap(cpu, class, 0);
                        }
                        let others: u64 = cpu.get::<FPMR>().into();
                        let new_fp = new_fp.as_ref().expect("the guest uses FP");
                        new_fp.put(cpu);
                        fp.clone_from(new_fp);
                        if has.fpmr {
                            registers[fpmr] = new_fp.fpmr();
                        } else {
                            cpu.set(FPMR::from(others));
                        }
                    }
                    Action::Mops => return trap(cpu, 0x27, (1 << 10) | (2 << 5) | 3),
                }
            }
            cpu.set(SPSR_EL2::from(at_el1));
            // Either, as it happens.
            match u64::from(cpu.get::<ELR_EL2>()) & 1 {
                0 => trap(cpu, HVC64, 0),
                _ => IRQ,
            }
        });
    }

    /// Has a vCPU loaded, run, and put.
    pub(super) fn play(&mut self, turn: &Turn) {
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

        self.host_fp = FpState::of_seed(self.value());
        let host_fp = self.host_fp.clone();
        self.host.give_fp_to_host(&host_fp);
        let zcr = self.zcr();
        self.change_hosts(false);
        self.host.load(vcpu);
        self.check_hosts(true, "the vCPU was loaded");
        if *self.host.owner_for_kernel() == bindings::kvm_host_data_FP_STATE_FREE {
            // The kernel has saved its state, and what is left is worth nothing.
            FpState::of_seed(self.value()).put(self.host.cpu());
        }
        let view = self.view(vcpu);
        for run in &turn.runs {
            self.change_hosts(true);
            self.run(vcpu, &view, &run.actions);
            self.check_hosts(true, "the guest was left");
            if pkvm {
                // EL2 has the guest's registers now.
                self.host.vcpus[vcpu].vcpu.arch.iflags &= !bindings::PKVM_HOST_STATE_DIRTY;
                self.check_host_fp(zcr, "the guest was left");
            } else if run.softirq {
                self.host.kernel_uses_fp();
            }
        }
        if pkvm && !self.host.vcpus[runs].is_protected {
            self.host.sync_registers(vcpu, runs);
        }
        self.host.put(vcpu);
        self.check_hosts(false, "the vCPU was put");
        self.check_task_fp();
        self.check_in_memory(vcpu, turn);
    }

    /// What a guest has is in memory when its vCPU was put.
    fn check_in_memory(&mut self, vcpu: usize, turn: &Turn) {
        let pkvm = self.host.cpus.pkvm;
        let runs = self.host.runs(vcpu);
        let longest = self.host.vcpus[runs].vcpu.arch.sve_max_vl as usize;
        if self.host.vcpus[runs].features.sve {
            let fp = &self.guests[vcpu].fp;
            assert!(self.host.vcpus[runs].sve_state == fp.sve(longest).0);
        }
        if pkvm {
            return;
        }
        for ((name, kept), value) in OF_VCPU.iter().zip(&self.guests[vcpu].registers) {
            let found = *self.host.vcpus[vcpu].kept_at(*kept);
            let is_lengths = name.starts_with("ZCR_");
            let is_in_hcr = ["HCR_EL2", "NVHCR_EL2", "pc", "FPEXC32_EL2"].contains(name);
            // The FP core saves it for whoever has the registers.
            let is_nothing = *name == "FPMR" && !self.host.vcpus[vcpu].features.fpmr;
            if !is_lengths && !is_in_hcr && !is_nothing {
                assert_eq!(found, *value, "{name} in memory, {turn:?}");
            }
        }
    }

    fn zcr(&mut self) -> [u64; 2] {
        let cpu = self.host.cpu();
        [cpu.get::<ZCR_EL1>().into(), cpu.get::<ZCR_EL2>().into()]
    }

    /// The task that ran the vCPU finds its FP state when it goes back to userspace, wherever that
    /// was.
    fn check_task_fp(&mut self) {
        let Cpus { have, mode, .. } = self.host.cpus;
        let cpu = self.host.cpu();
        fp_core::restore_current_state(cpu);
        let found = FpState::in_cpu(cpu);
        assert!(found.v() == self.host_fp.v(), "the task's V registers");
        if have.sve {
            let length = cpu.kernels_vector_length();
            assert!(
                found.sve(length) == self.host_fp.sve(length),
                "the task's Z registers"
            );
            // Without VHE, CPACR_EL1 is among the registers that are compared.
            let is_open = mode != Mode::Vhe || cpu.user_can_use_sve();
            assert!(is_open, "SVE traps, which the task uses");
        }
        if have.fpmr {
            assert_eq!(found.fpmr(), self.host_fp.fpmr(), "the task's FPMR");
        }
    }

    /// Under pKVM the host's FP state stays in the CPU.
    fn check_host_fp(&mut self, zcr: [u64; 2], when: &str) {
        let found = FpState::in_cpu(self.host.cpu());
        assert!(found.v() == self.host_fp.v(), "{when}");
        assert_eq!(found.fpmr(), self.host_fp.fpmr(), "{when}");
        if self.host.cpus.have.sve {
            assert_eq!(self.zcr(), zcr, "{when}");
            assert!(found.sve(64) == self.host_fp.sve(64), "{when}");
        }
    }
}
