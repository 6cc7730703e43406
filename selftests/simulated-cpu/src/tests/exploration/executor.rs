// SPDX-License-Identifier: GPL-2.0
//! Runs the code for a step: that of KVM as it is, and the FP core's.
//!
//! What is known of a CPU and of memory is made into registers and structures,
//! and after the step it is found out again whose values are where.

use super::super::host::Host;
use super::super::machine::{Cpus, Features};
use super::super::world_switch::{all_features, plain, trap, FP_ASIMD, IRQ, SVE};
use super::super::{names, or_panic};
use super::labels::{from_sve_state, storage_of, Kept, Label, Parts, Party, Values};
use super::state::{Bound, Config, Cpu as CpuState, Memory, THREADS};
use super::step::{is_new, Outcome, Step, Use, View};
use crate::arm64::registers::{CPTR_EL2, FPCR, FPMR, FPSR, ZCR_EL1, ZCR_EL2};
use crate::{
    bindings, cpu_fp_state, fp_core, Cpu, FpRegisters, Mode, STREAMING_VECTOR_LENGTH, SVCR_SM,
    SVCR_ZA,
};
use std::ptr;

/// The guest's vector length, as it sets it: the longest that it can.
const GUESTS_ZCR: u64 = 2;

/// A CPU, with whatever is the same at all times.
pub(super) struct Executor {
    config: Config,
    host: Host,
    loaded: Option<u8>,
}

impl Executor {
    pub(super) fn new(config: Config) -> Self {
        let has = |sve, fpmr| Features {
            sve,
            fpmr,
            ..Features::default()
        };
        let cpus = Cpus {
            have: has(config.sve, config.fpmr),
            mpam: false,
            ..all_features(config.mode, config.pkvm)
        };
        let guests = [has(config.sve, config.fpmr), has(false, false)].map(plain);
        let mut host = Host::with_guests(cpus, &guests);
        if config.sme {
            host.cpu().add_capability(bindings::ARM64_SME);
        }
        fp_core::reset_threads(THREADS);
        Self {
            config,
            host,
            loaded: None,
        }
    }

    /// What the host finds in `CPTR_EL2` once a guest has run, but for userspace's
    /// part of it.
    pub(super) fn hosts_cptr(mut self) -> u64 {
        self.host.load(0);
        self.host.enter(0, &mut |_, _| IRQ);
        self.host.put(0);
        u64::from(self.host.cpu().get::<CPTR_EL2>()) & !fp_core::USER_ACCESS
    }

    /// Performs a step. An error says what went wrong, after which nothing can be
    /// done any more.
    pub(super) fn perform(
        &mut self,
        step: Step,
        cpu_number: usize,
        vcpu: Option<u8>,
        before: &View,
    ) -> Result<Outcome, String> {
        let is_done = or_panic(|| {
            self.be_loaded(before.cpu.loaded);
            self.set(before, cpu_number);
            self.step(step, vcpu)
        })?;
        let written = step.writes(&before.cpu, vcpu).filter(|_| is_done);
        let mut view = *before;
        view.cpu = self.cpu(written)?;
        for (party, _) in before.iter() {
            let memory = view.get_mut(party).expect("it was there before");
            *memory = self.memory(party, is_new(written, party));
        }
        Ok(Outcome { view, written })
    }

    /// Brings the world switch where the vCPU is loaded, and no other.
    fn be_loaded(&mut self, vcpu: Option<u8>) {
        if self.loaded == vcpu {
            return;
        }
        if let Some(vcpu) = self.loaded.take() {
            self.host.put_switch(vcpu.into());
        }
        if let Some(vcpu) = vcpu {
            self.host.load_switch(vcpu.into());
        }
        self.loaded = vcpu;
    }

    /// Returns false for a guest that was left before it could do anything.
    fn step(&mut self, step: Step, vcpu: Option<u8>) -> bool {
        let vcpu = vcpu.map(usize::from);
        match step {
            Step::UserFp | Step::UserSve | Step::UserSme | Step::UserSmstop => self.user(step),
            Step::SyscallEnter => fp_core::syscall_enter(self.host.cpu()),
            Step::ReturnToUser { syscall } => {
                fp_core::restore_current_state(self.host.cpu());
                if syscall {
                    fp_core::syscall_exit(self.host.cpu());
                }
            }
            Step::Softirq => {
                let cpu = self.host.cpu();
                fp_core::kernel_neon_begin(cpu);
                let worthless = Values::worthless();
                let length = cpu.vector_length_at_el2();
                cpu.fp_mut().set_v(&worthless.registers.v(), length);
                set_status(cpu, worthless.status);
            }
            Step::CpuPmEnter => fp_core::cpu_pm_enter(self.host.cpu()),
            Step::Load { used_fp } => {
                let vcpu = vcpu.expect("a vCPU");
                self.host.vcpus[vcpu].vcpu.arch.has_used_fp = used_fp;
                self.host.load_switch(vcpu);
                self.loaded = Some(vcpu as u8);
                self.host.load_fp(vcpu);
            }
            Step::Put => {
                let vcpu = vcpu.expect("a vCPU");
                self.host.put_fp(vcpu);
                self.host.put_switch(vcpu);
                self.loaded = None;
            }
            Step::Enter(uses) => return self.enter(vcpu.expect("a vCPU"), uses),
            Step::SwitchTo(next) => fp_core::switch_to(self.host.cpu(), next.into()),
        }
        true
    }

    /// The running task does something in userspace.
    fn user(&mut self, step: Step) {
        let task = self.current();
        let new = Values::of_party(task, true);
        let cpu = self.host.cpu();
        match step {
            Step::UserFp => {}
            Step::UserSve if cpu.user_can_use_sve() => {}
            Step::UserSve => fp_core::sve_access(cpu),
            Step::UserSme => {
                if !cpu.user_can_use_sme() {
                    fp_core::sme_access(cpu);
                }
                cpu.set_svcr(SVCR_SM | SVCR_ZA);
                *cpu.za_mut() = new.za;
            }
            _ => {
                cpu.set_svcr(0);
                return;
            }
        }
        write(cpu, new, step != Step::UserFp, self.config.fpmr);
    }

    /// Runs a guest, which must find what it has, and nothing else. Returns false if it was left
    /// for the kernel to save the host's registers.
    fn enter(&mut self, vcpu: usize, uses: Use) -> bool {
        let config = self.config;
        let has_sve = config.vcpu_has_sve(vcpu);
        let party = Party::Vcpu(vcpu as u8);
        let has_fpmr = has_fpmr(party, &config);
        let length = party.vector_length();
        let before = self.hosts();
        let mut is_done = false;
        let (code, wants_fp) = self.host.enter_once(vcpu, &mut |cpu, _| {
            let has = Values::of_party(party, is_done);
            assert!(!cpu.guest_can_use_sme(), "SME is open to a guest");
            assert_eq!(cpu.svcr(), 0, "SVCR in a guest");
            assert!(
                has_sve || !cpu.guest_can_use_sve(),
                "SVE is open to a guest without it"
            );
            if cpu.guest_can_use_fp() {
                assert!(cpu.fp().v() == has.registers.v(), "V registers of a guest");
                let status = status(cpu);
                assert_eq!(status[..2], has.status[..2], "FPSR and FPCR of a guest");
                if has_fpmr {
                    assert_eq!(status[2], has.status[2], "FPMR of a guest");
                }
            }
            if cpu.guest_can_use_sve() {
                assert_eq!(
                    cpu.vector_length_at_el1(),
                    length,
                    "vector length of a guest"
                );
                let [found, has] = [cpu.fp(), &has.registers].map(|r| Values::z(r, length));
                assert!(found == has, "Z registers of a guest");
            }
            let is_open = match uses {
                Use::Nothing => return IRQ,
                Use::Fp => cpu.guest_can_use_fp(),
                Use::Sve => cpu.guest_can_use_sve(),
            };
            if !is_open {
                return trap(cpu, if uses == Use::Fp { FP_ASIMD } else { SVE }, 0);
            }
            write(
                cpu,
                Values::of_party(party, true),
                uses == Use::Sve,
                has_fpmr,
            );
            is_done = true;
            IRQ
        });
        assert_eq!(
            code, IRQ,
            "the guest is left for something that it did not do"
        );
        // Nor can the host tell whether a guest of pKVM has used FP.
        assert!(
            before == self.hosts(),
            "the host's registers are others than before"
        );
        !wants_fp
    }

    /// Under pKVM, all that the host can find in FP registers.
    fn hosts(&mut self) -> Option<(Vec<u8>, [u64; 3])> {
        if !self.config.pkvm {
            return None;
        }
        let cpu = self.host.cpu();
        Some((cpu.fp().sve(cpu.kernels_vector_length()), status(cpu)))
    }

    fn current(&self) -> Party {
        Party::Task(fp_core::current_number() as u8)
    }

    /// Puts all that is known into the CPU and into memory.
    fn set(&mut self, view: &View, cpu_number: usize) {
        for (party, memory) in view.iter() {
            self.set_memory(party, &memory);
        }
        let state = &view.cpu;
        fp_core::set_current(state.current.into(), cpu_number);
        let last = state.last.map(|bound| self.bound(&bound));
        fp_core::set_last_state(last);
        *self.host.owner_for_kernel() = state.owner.into();

        let config = self.config;
        let cpu = self.host.cpu();
        cpu.set_svcr(state.svcr.into());
        *cpu.fp_mut() = registers(
            [state.registers.v, state.registers.z]
                .map(|label| (label != Label::Zero).then(|| &values_of(label).registers)),
        );
        set_status(cpu, values_of(state.registers.status).status);
        *cpu.za_mut() = values_of(state.registers.za).za;
        if config.sve {
            cpu.set(ZCR_EL2::from(u64::from(state.zcr[1])));
            if config.mode != Mode::Vhe {
                cpu.set(ZCR_EL1::from(u64::from(state.zcr[0])));
            }
        }
        cpu.set(CPTR_EL2::from_raw(state.cptr));
        let [sve, sme] = state.user_access;
        cpu.set_user_access(sve, sme);
    }

    /// What is known of the CPU.
    fn cpu(&mut self, written: Option<(Party, Parts<bool>)>) -> Result<CpuState, String> {
        let last = match fp_core::last_state() {
            None => None,
            Some(last) => Some(self.find_bound(&last)?),
        };
        let owner = *self.host.owner_for_kernel() as u8;
        let loaded = self.loaded;
        let config = self.config;
        let cpu = self.host.cpu();
        let status = status(cpu);
        let of = |party, part: fn(Parts<bool>) -> bool| {
            Values::of_party(party, part(is_new(written, party)))
        };
        let or_zero = |is_zero: bool, label: Label| if is_zero { Label::Zero } else { label };
        let fp = cpu.fp();
        let v = fp.v();
        // What is beyond the vector length in force, nobody can look at.
        let z = Values::z(fp, cpu.kernels_vector_length());
        let registers = Parts {
            v: or_zero(
                v.iter().all(|byte| *byte == 0),
                whose(|party| of(party, |new| new.v).registers.v() == v),
            ),
            z: or_zero(
                z.iter().all(|byte| *byte == 0),
                whose(|party| {
                    let length = match cpu.svcr() & SVCR_SM {
                        0 => party.vector_length(),
                        _ => STREAMING_VECTOR_LENGTH,
                    };
                    Values::z(fp, length) == Values::z(&of(party, |new| new.z).registers, length)
                }),
            ),
            status: whose(|party| {
                let compared = if has_fpmr(party, &config) { 3 } else { 2 };
                of(party, |new| new.status).status[..compared] == status[..compared]
            }),
            za: whose(|party| of(party, |new| new.za).za == cpu.za()),
        };
        let svcr = cpu.svcr() as u8;
        let zcr = |value: u64| (value & 0xf) as u8;
        Ok(CpuState {
            registers: Parts {
                // Nobody can look at it.
                za: match svcr & SVCR_ZA as u8 {
                    0 => Label::Worthless,
                    _ => registers.za,
                },
                ..registers
            },
            svcr,
            zcr: match (config.sve, config.mode) {
                (false, _) => [0; 2],
                (_, Mode::Vhe) => [0, zcr(cpu.get::<ZCR_EL2>().into())],
                _ => [
                    zcr(cpu.get::<ZCR_EL1>().into()),
                    zcr(cpu.get::<ZCR_EL2>().into()),
                ],
            },
            cptr: u64::from(cpu.get::<CPTR_EL2>()) & !fp_core::USER_ACCESS,
            user_access: [
                config.sve && cpu.user_can_use_sve(),
                config.sme && cpu.user_can_use_sme(),
            ],
            last,
            owner,
            loaded,
            current: fp_core::current_number() as u8,
        })
    }

    fn vcpu_mut(&mut self, vcpu: u8) -> &mut super::super::machine::Vcpu {
        let runs = self.host.runs(vcpu.into());
        &mut self.host.vcpus[runs]
    }

    fn set_memory(&mut self, party: Party, memory: &Memory) {
        let worthless = Values::worthless();
        let values = |kept| match kept {
            Kept::Current => Values::of_party(party, false),
            _ => worthless,
        };
        let registers = registers(
            [memory.parts.v, memory.parts.z]
                .map(|kept| (kept != Kept::Zero).then(|| &values(kept).registers)),
        );
        let status = values(memory.parts.status).status;
        let is_sve = u32::from(memory.fp_type) == fp_core::fp_type_FP_STATE_SVE;
        let v = match is_sve {
            true => worthless.registers.v(),
            false => registers.v(),
        };
        let mut fpsimd = crate::user_fpsimd_state::default();
        fpsimd.set_v(&v);
        [fpsimd.fpsr, fpsimd.fpcr] = [status[0], status[1]].map(|value| value as u32);
        let storage = |length: usize| {
            let mut storage = match is_sve {
                true => registers.sve(length),
                false => Vec::new(),
            };
            storage.resize(storage_of(party), 0xa5);
            storage
        };
        match party {
            Party::Task(task) => {
                let thread = fp_core::thread(task.into());
                thread.foreign = memory.foreign;
                [thread.tif_sve, thread.tif_sme] = memory.flags;
                thread.cpu = memory.cpu.map(usize::from);
                thread.svcr = memory.svcr.into();
                thread.fp_type = memory.fp_type.into();
                thread.fpsimd = fpsimd;
                thread.fpmr = status[2];
                thread.sve_vl = party.vector_length();
                let length = thread.vector_length();
                thread.sve = match memory.storage[0] {
                    true => storage(length),
                    false => Vec::new(),
                };
                thread.za = match memory.storage[1] {
                    true => vec![values(memory.parts.za).za],
                    false => Vec::new(),
                };
            }
            Party::Vcpu(number) => {
                let has_sve = self.config.vcpu_has_sve(number.into());
                let vcpu = self.vcpu_mut(number);
                *vcpu.kept("FPMR") = status[2];
                *vcpu.kept("SVCR") = memory.svcr.into();
                *vcpu.kept("ZCR_EL1") = GUESTS_ZCR;
                vcpu.vcpu.arch.ctxt.fp_regs = fpsimd;
                vcpu.vcpu.arch.fp_type = memory.fp_type.into();
                vcpu.vcpu.arch.sflags &= bindings::SYSREGS_ON_CPU;
                vcpu.vcpu.arch.sflags |= memory.sflags;
                vcpu.vcpu.arch.has_used_fp = memory.has_used_fp;
                if has_sve {
                    vcpu.sve_state = storage(party.vector_length());
                    vcpu.vcpu.arch.sve_state = vcpu.sve_state.as_mut_ptr().cast();
                }
            }
        }
    }

    fn memory(&mut self, party: Party, new: Parts<bool>) -> Memory {
        match party {
            Party::Task(task) => {
                let thread = fp_core::thread(task.into()).clone();
                let status = [thread.fpsimd.fpsr, thread.fpsimd.fpcr].map(u64::from);
                let parts = self.kept(
                    party,
                    new,
                    &State {
                        fp_type: thread.fp_type,
                        fpsimd: &thread.fpsimd,
                        sve: &thread.sve,
                        length: thread.vector_length(),
                        status: [status[0], status[1], thread.fpmr],
                        za: thread.za.first().copied(),
                    },
                );
                Memory {
                    parts,
                    fp_type: thread.fp_type as u8,
                    svcr: thread.svcr as u8,
                    foreign: thread.foreign,
                    flags: [thread.tif_sve, thread.tif_sme],
                    cpu: thread.cpu.map(|cpu| cpu as u8),
                    storage: [!thread.sve.is_empty(), !thread.za.is_empty()],
                    sflags: 0,
                    has_used_fp: false,
                }
            }
            Party::Vcpu(number) => {
                let has_sve = self.config.vcpu_has_sve(number.into());
                let vcpu = self.vcpu_mut(number);
                let fpmr = *vcpu.kept("FPMR");
                let svcr = *vcpu.kept("SVCR") as u8;
                let fp_regs = vcpu.vcpu.arch.ctxt.fp_regs.clone();
                let fp_type = vcpu.vcpu.arch.fp_type;
                let sflags = vcpu.vcpu.arch.sflags & !bindings::SYSREGS_ON_CPU;
                let has_used_fp = vcpu.vcpu.arch.has_used_fp;
                let sve = vcpu.sve_state.clone();
                let status = [fp_regs.fpsr, fp_regs.fpcr].map(u64::from);
                let parts = self.kept(
                    party,
                    new,
                    &State {
                        // The hypervisor loads it by what the guest has.
                        fp_type: match has_sve {
                            true => fp_core::fp_type_FP_STATE_SVE,
                            false => fp_core::fp_type_FP_STATE_FPSIMD,
                        },
                        fpsimd: &fp_regs,
                        sve: &sve,
                        length: party.vector_length(),
                        status: [status[0], status[1], fpmr],
                        za: None,
                    },
                );
                Memory {
                    parts,
                    fp_type: fp_type as u8,
                    svcr,
                    foreign: false,
                    flags: [false; 2],
                    cpu: None,
                    storage: [has_sve, false],
                    sflags,
                    has_used_fp,
                }
            }
        }
    }

    /// What of a party's own is in its memory.
    fn kept(&self, party: Party, new: Parts<bool>, state: &State<'_>) -> Parts<Kept> {
        if matches!(party, Party::Task(task) if usize::from(task) >= super::labels::TASKS) {
            return Memory::of_idle().parts;
        }
        let is_sve = state.fp_type == fp_core::fp_type_FP_STATE_SVE;
        let registers = match is_sve {
            true => from_sve_state(state.sve, state.length),
            false => {
                let mut registers = FpRegisters::filled(1);
                registers.set_v(&state.fpsimd.v(), 16);
                registers
            }
        };
        let of = |is_new| Values::of_party(party, is_new);
        let kept = |is_current: bool, is_zero: bool| match (is_zero, is_current) {
            (true, _) => Kept::Zero,
            (_, true) => Kept::Current,
            _ => Kept::Worthless,
        };
        let v = registers.v();
        let z = Values::z(&registers, state.length);
        let compared = if has_fpmr(party, &self.config) { 3 } else { 2 };
        Parts {
            v: kept(
                v == of(new.v).registers.v(),
                v.iter().all(|byte| *byte == 0),
            ),
            z: match is_sve {
                true => kept(
                    z == Values::z(&of(new.z).registers, state.length),
                    z.iter().all(|byte| *byte == 0),
                ),
                false => Kept::Zero,
            },
            status: kept(
                state.status[..compared] == of(new.status).status[..compared],
                false,
            ),
            za: kept(state.za == Some(of(new.za).za), false),
        }
    }

    /// The addresses that a party's state has.
    fn addresses(&mut self, party: Party) -> cpu_fp_state {
        match party {
            Party::Task(task) => fp_core::thread(task.into()).to_bind(),
            Party::Vcpu(number) => {
                let vcpu = self.vcpu_mut(number);
                let (svcr, fpmr) = (
                    ptr::from_mut(vcpu.kept("SVCR")),
                    ptr::from_mut(vcpu.kept("FPMR")),
                );
                let arch = &mut vcpu.vcpu.arch;
                cpu_fp_state {
                    st: &raw mut arch.ctxt.fp_regs,
                    sve_state: arch.sve_state,
                    sme_state: ptr::null_mut(),
                    svcr,
                    fpmr,
                    sve_vl: 0,
                    sme_vl: 0,
                    fp_type: &raw mut arch.fp_type,
                    to_save: 0,
                }
            }
        }
    }

    fn bound(&mut self, bound: &Bound) -> cpu_fp_state {
        let addresses = self.addresses(bound.party);
        cpu_fp_state {
            sve_state: match bound.has_sve_storage {
                true => addresses.sve_state,
                false => ptr::null_mut(),
            },
            sme_state: match bound.has_za_storage {
                true => addresses.sme_state,
                false => ptr::null_mut(),
            },
            sve_vl: u32::from(bound.sve_vl) * 16,
            to_save: bound.to_save.into(),
            ..addresses
        }
    }

    fn find_bound(&mut self, last: &cpu_fp_state) -> Result<Bound, String> {
        let mut parties = Party::all();
        let party = parties.find(|party| self.addresses(*party).st == last.st);
        let party = party.ok_or("a state of nobody is bound to the CPU")?;
        let addresses = self.addresses(party);
        let is_right = last.svcr == addresses.svcr
            && last.fpmr == addresses.fpmr
            && last.fp_type == addresses.fp_type
            && (last.sme_state == addresses.sme_state || last.sme_state.is_null())
            && (last.sve_state == addresses.sve_state || last.sve_state.is_null());
        if !is_right {
            return Err(format!(
                "the state of {party:?} is bound with somebody else's parts"
            ));
        }
        Ok(Bound {
            party,
            has_sve_storage: !last.sve_state.is_null(),
            has_za_storage: !last.sme_state.is_null(),
            to_save: last.to_save as u8,
            sve_vl: (last.sve_vl / 16) as u8,
        })
    }
}

/// A state in memory.
struct State<'a> {
    fp_type: u32,
    fpsimd: &'a crate::user_fpsimd_state,
    sve: &'a [u8],
    length: usize,
    status: [u64; 3],
    za: Option<u64>,
}

fn has_fpmr(party: Party, config: &Config) -> bool {
    config.fpmr && party != Party::Vcpu(1)
}

/// The label of what is the party's that `is` is true of.
fn whose(is: impl Fn(Party) -> bool) -> Label {
    let party = Party::all().find(|party| is(*party));
    party.map_or(Label::Worthless, Label::Of)
}

fn values_of(label: Label) -> &'static Values {
    match label {
        Label::Of(party) => Values::of_party(party, false),
        _ => Values::worthless(),
    }
}

/// Registers with V registers, and what is beyond them, of these; of none: 0.
fn registers([v, z]: [Option<&FpRegisters>; 2]) -> FpRegisters {
    let mut registers = FpRegisters::filled(1);
    for (number, to) in registers.z.iter_mut().enumerate() {
        match v {
            Some(from) => to[..16].copy_from_slice(&from.z[number][..16]),
            None => to[..16].fill(0),
        }
        match z {
            Some(from) => to[16..].copy_from_slice(&from.z[number][16..]),
            None => to[16..].fill(0),
        }
    }
    match z {
        Some(from) => registers.p = from.p,
        None => registers.p.as_flattened_mut().fill(0),
    }
    registers
}

/// FPSR, FPCR and FPMR.
fn status(cpu: &Cpu) -> [u64; 3] {
    ["FPSR", "FPCR", "FPMR"].map(|name| names::get(cpu, name))
}

fn set_status(cpu: &mut Cpu, [fpsr, fpcr, fpmr]: [u64; 3]) {
    cpu.set(FPSR::from(fpsr));
    cpu.set(FPCR::from(fpcr));
    cpu.set(FPMR::from(fpmr));
}

/// Whoever runs writes registers.
fn write(cpu: &mut Cpu, new: &Values, with_z: bool, with_fpmr: bool) {
    let registers = cpu.fp_mut();
    for (to, from) in registers.z.iter_mut().zip(new.registers.z.iter()) {
        match with_z {
            true => to.copy_from_slice(from),
            // By an instruction of SVE, or of a task that has none: what is
            // beyond stays.
            false => to[..16].copy_from_slice(&from[..16]),
        }
    }
    if with_z {
        registers.p = new.registers.p;
    }
    let fpmr = if with_fpmr {
        new.status[2]
    } else {
        status(cpu)[2]
    };
    set_status(cpu, [new.status[0], new.status[1], fpmr]);
}
