// SPDX-License-Identifier: GPL-2.0
//! The same happens to a vCPU twice, once with the C and once with the Rust: the
//! host sees the same registers at all times, and so does the guest.

use super::super::functions::*;
use super::super::host::{Host, Image};
use super::super::machine::{self, mark, Cpus, DebugOwner, Guest, Vcpu};
use super::super::names;
use super::super::runner;
use super::super::world_switch::{IRQ, SERROR_PENDING, TRAP};
use super::{c, NR_LR};
use crate::arm64::registers::HCR_EL2;
use crate::{kvm_vcpu, Mode};
use proptest::collection::vec;
use proptest::prelude::*;

/// The host's vCPU, and EL2's.
const HOST: usize = 0;
const HYP: usize = 1;

/// In the CPU instead of in memory while the vCPU is loaded, see
/// [`deviations`](super::super::specification).
const IN_CPU_WHILE_LOADED: [&str; 3] = ["TPIDR_EL0", "TPIDRRO_EL0", "TFSRE0_EL1"];

/// What an exit can be for: `ARM_EXCEPTION_*`, without and with `ARM_EXIT_WITH_SERROR_BIT`.
const CODES: [u64; 6] = [
    IRQ,
    EL1_SERROR,
    TRAP,
    ILLEGAL,
    IRQ | SERROR_PENDING,
    TRAP | SERROR_PENDING,
];
const EL1_SERROR: u64 = 1;
const ILLEGAL: u64 = 3;

/// What EL2 has decided for a guest when it made its vCPU.
#[derive(Clone, Copy, Debug)]
struct Traps {
    /// `HCR_EL2.API`, `APK` and `ATA`.
    pointer_authentication: [bool; 2],
    tags: bool,
}

/// A run of the guest, from an entry to the exit.
#[derive(Clone, Debug)]
struct Run {
    /// Picks all values.
    seed: u64,
    /// What the host asks for.
    debug_owner: u32,
    used_lrs: u32,
    /// What is in the FP registers when the guest is left is the guest's.
    used_fp: bool,
    /// The exit code: of each that EL2 gives, with and without an SError.
    code: u64,
    /// The host changes registers before the next run, if it may.
    changes: bool,
}

/// What the host does between `vcpu_load()` and `vcpu_put()`.
type Loaded = Vec<Run>;

fn run() -> impl Strategy<Value = Run> {
    (
        any::<u64>(),
        0..5u32,
        prop_oneof![0..NR_LR + 1, any::<u32>()],
        prop::sample::select(CODES.to_vec()),
        any::<[bool; 2]>(),
    )
        .prop_map(|(seed, debug_owner, used_lrs, code, flags)| Run {
            seed,
            // Mostly none, and never one that C would not know what to do with.
            debug_owner: debug_owner.saturating_sub(2),
            used_lrs,
            used_fp: flags[0],
            code,
            changes: flags[1],
        })
}

fn traps() -> impl Strategy<Value = Traps> {
    any::<[bool; 3]>().prop_map(|flags| Traps {
        pointer_authentication: [flags[0], flags[1]],
        tags: flags[2],
    })
}

/// Gives each register that the host can see a value, and the rest of what it
/// hands to EL2.
fn change_registers(vcpu: &mut kvm_vcpu, owner: &str) {
    let pstate = mark(owner, "pstate") & !0x1f | 0x5;
    machine::fill_context(&mut vcpu.arch.ctxt, owner);
    let context = &mut vcpu.arch.ctxt;
    for (n, x) in context.regs.regs.iter_mut().enumerate() {
        *x = mark(owner, &format!("X{n}"));
    }
    context.regs.sp = mark(owner, "sp");
    context.regs.pstate = pstate;
    change_fp(&mut context.fp_regs, owner);
    vcpu.arch.hcr_el2 = mark(owner, "hcr_el2");
    vcpu.arch.mdcr_el2 = mark(owner, "mdcr_el2");
    vcpu.arch.vsesr_el2 = mark(owner, "vsesr_el2");
    vcpu.arch.external_mdscr_el1 = mark(owner, "external_mdscr_el1");
    vcpu.arch.pid = mark(owner, "pid") as i32;
    let dirty = vcpu.arch.iflags & bindings::PKVM_HOST_STATE_DIRTY;
    vcpu.arch.iflags = dirty | mark(owner, "iflags") as u8 & !bindings::PKVM_HOST_STATE_DIRTY;
    change_debug_registers(vcpu, owner);
    change_vgic(vcpu, owner, 16);
}

fn change_fp(fp: &mut crate::user_fpsimd_state, owner: &str) {
    for (n, v) in fp.vregs.iter_mut().enumerate() {
        *v = (u128::from(mark(owner, &format!("V{n}"))) << 64) | u128::from(mark(owner, "V"));
    }
    fp.fpsr = mark(owner, "fpsr") as u32;
    fp.fpcr = mark(owner, "fpcr") as u32;
}

/// The guest has its FP state in the CPU, and the host's has been saved.
fn use_fp(host: &mut Host, owner: &str) {
    let cpu = host.cpu();
    *cpu.fp_mut() = crate::FpRegisters::filled(mark(owner, "FP"));
    for name in ["FPSR", "FPCR", "FPMR", "ZCR_EL1"] {
        names::set(cpu, name, mark(owner, name));
    }
    names::set(cpu, "ZCR_EL2", mark(owner, "ZCR_EL2") & 0xf);
    let saved = crate::FpRegisters::filled(mark(owner, "host's FP"));
    host.sve_regs.copy_from_slice(&saved.sve(256));
    let data = host.data(Image::Hyp);
    data.fp_owner = c::FP_STATE_GUEST_OWNED;
    change_fp(&mut data.host_ctxt.fp_regs, &format!("host, {owner}"));
}

fn change_debug_registers(vcpu: &mut kvm_vcpu, owner: &str) {
    for (what, state) in [
        ("vcpu", &mut vcpu.arch.vcpu_debug_state),
        ("external", &mut vcpu.arch.external_debug_state),
    ] {
        for (kind, registers) in [
            ("bcr", &mut state.dbg_bcr),
            ("bvr", &mut state.dbg_bvr),
            ("wcr", &mut state.dbg_wcr),
            ("wvr", &mut state.dbg_wvr),
        ] {
            for (n, register) in registers.iter_mut().enumerate() {
                *register = mark(owner, &format!("{what} {kind}{n}"));
            }
        }
    }
}

fn change_vgic(vcpu: &mut kvm_vcpu, owner: &str, lrs: usize) {
    let vgic = &mut vcpu.arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
    vgic.vgic_hcr = mark(owner, "vgic_hcr") as u32;
    vgic.vgic_vmcr = mark(owner, "vgic_vmcr") as u32;
    for (n, lr) in vgic.vgic_lr.iter_mut().enumerate().take(lrs) {
        *lr = mark(owner, &format!("lr{n}"));
    }
}

/// Who does what the kernel and EL2 do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    C,
    Rust,
}

/// A host with one guest, whose code is in one language.
struct World {
    by: By,
    host: Host,
    is_protected: bool,
}

impl World {
    fn new(by: By, cpus: Cpus, guest: Guest, traps: Traps) -> Self {
        let vcpus = ["host's", "EL2's"].map(|name| Vcpu::new(name, &cpus, guest));
        let mut host = Host::new(cpus, vcpus.into());
        change_registers(&mut host.vcpus[HOST].vcpu, "at first");
        let [api, apk] = traps.pointer_authentication;
        host.vcpus[HYP].vcpu.arch.hcr_el2 = HCR_EL2::from(mark("EL2", "hcr_el2"))
            .with_rw(!guest.aarch32)
            .with_api(api)
            .with_apk(apk)
            .with_ata(traps.tags)
            .into();
        let is_protected = host.vcpus[HYP].is_protected;
        let mut world = Self {
            by,
            host,
            is_protected,
        };
        world.set_dirty(!is_protected);
        world
    }

    /// `PKVM_HOST_STATE_DIRTY`, which only says something of a guest that is
    /// not protected.
    fn set_dirty(&mut self, dirty: bool) {
        let iflags = &mut self.vcpu(HOST).arch.iflags;
        *iflags &= !bindings::PKVM_HOST_STATE_DIRTY;
        if dirty {
            *iflags |= bindings::PKVM_HOST_STATE_DIRTY;
        }
    }

    fn is_dirty(&mut self) -> bool {
        self.vcpu(HOST).arch.iflags & bindings::PKVM_HOST_STATE_DIRTY != 0
    }

    fn vcpu(&mut self, vcpu: usize) -> &mut kvm_vcpu {
        &mut self.host.vcpus[vcpu].vcpu
    }

    fn both(&mut self) -> (&mut kvm_vcpu, &mut kvm_vcpu) {
        let (host, hyp) = self.host.vcpus.split_at_mut(HYP);
        (&mut hyp[0].vcpu, &mut host[HOST].vcpu)
    }

    fn load(&mut self) {
        if self.by == By::Rust {
            self.host.call(HOST, NVHE_LOAD);
        }
    }

    fn put(&mut self) {
        if !self.is_protected && !self.is_dirty() {
            self.sync_registers();
        }
        if !self.is_protected {
            self.set_dirty(true);
        }
        if self.by == By::Rust {
            self.host.call(HOST, NVHE_PUT);
        }
    }

    fn switch(&mut self, functions: [Function; 3]) {
        for function in functions {
            match self.by {
                By::C => self.host.call_c(HYP, function),
                By::Rust => self.host.call(HYP, function),
            }
        }
    }

    fn enter(&mut self) {
        let is_protected = self.is_protected;
        match self.by {
            By::C => {
                let mut owner = 7;
                let (hyp, host) = self.both();
                c::flush_hyp_vcpu(hyp, host, is_protected, &mut owner, NR_LR);
                self.host.data(Image::Hyp).fp_owner = owner;
            }
            By::Rust => self.host.flush(HOST, HYP),
        }
        self.host.vcpus[HYP].guest.debug_owner = match self.vcpu(HYP).arch.debug_owner {
            0 => DebugOwner::Free,
            1 => DebugOwner::Host,
            2 => DebugOwner::Guest,
            owner => panic!("debug_owner is {owner}"),
        };
        self.switch([NVHE_SAVE_HOST, NVHE_RESTORE_32BIT, NVHE_RESTORE_GUEST]);
    }

    /// Leaves the guest, with a code as `__guest_enter()` returns it.
    fn exit(&mut self, code: u64) {
        self.switch([NVHE_SAVE_GUEST, NVHE_SAVE_32BIT, NVHE_RESTORE_HOST]);
        let is_protected = self.is_protected;
        match self.by {
            By::C => {
                self.sync_fp();
                let (hyp, host) = self.both();
                c::sync_hyp_vcpu(hyp, host, is_protected);
            }
            By::Rust => self.host.sync(HOST, HYP, code),
        }
        // handle_exit_pkvm_state(), which asks EL2 for the registers in C alone.
        if !is_protected {
            let is_about_registers =
                code & SERROR_PENDING != 0 || code == TRAP || code == EL1_SERROR;
            if is_about_registers && self.by == By::C {
                self.sync_registers();
            }
            self.set_dirty(is_about_registers);
        }
    }

    fn sync_fp(&mut self) {
        let has_sve = self.host.cpus.have.sve;
        let sve_regs = self.host.sve_regs.clone();
        let mut cpu = self.host.cpu().clone();
        let mut data = self.host.data(Image::Hyp).clone();
        let hyp = &mut self.host.vcpus[HYP];
        c::fpsimd_sve_sync(&mut cpu, hyp, &mut data, &sve_regs, has_sve);
        *self.host.cpu() = cpu;
        *self.host.data(Image::Hyp) = data;
    }

    fn sync_registers(&mut self) {
        match self.by {
            By::C => {
                let (hyp, host) = self.both();
                c::sync_hyp_vcpu_state(hyp, host);
            }
            By::Rust => self.host.sync_registers(HOST, HYP),
        }
    }
}

/// The registers of EL2's vCPU that C code at EL2 takes from memory before the
/// guest runs, beside those that `__sysreg_restore_state_nvhe()` moves: by
/// entry.S, and by what is below `__kvm_vcpu_run()`.
fn taken_from_memory(vcpu: &Vcpu) -> Vec<(&'static str, u64)> {
    let mut taken = Vec::new();
    let hcr = HCR_EL2::from(vcpu.vcpu.arch.hcr_el2);
    let mut take = |names: &[&'static str]| {
        let registers = &vcpu.vcpu.arch.ctxt.sys_regs;
        taken.extend(
            names
                .iter()
                .map(|name| (*name, registers[machine::place(name)])),
        );
    };
    // __vcpu_write_spsr(), enter_exception64(), __activate_traps(),
    // __debug_restore_state().
    take(&[
        "SPSR_EL1",
        "VBAR_EL1",
        "SCTLR_EL1",
        "ELR_EL1",
        "TCR_EL1",
        "MDCCINT_EL1",
        "MPIDR_EL1",
    ]);
    // ptrauth_switch_to_guest
    if bool::from(hcr.api()) || bool::from(hcr.apk()) {
        take(&[
            "APIAKEYLO_EL1",
            "APIAKEYHI_EL1",
            "APIBKEYLO_EL1",
            "APIBKEYHI_EL1",
            "APDAKEYLO_EL1",
            "APDAKEYHI_EL1",
            "APDBKEYLO_EL1",
            "APDBKEYHI_EL1",
            "APGAKEYLO_EL1",
            "APGAKEYHI_EL1",
        ]);
    }
    // mte_switch_to_guest
    if hcr.ata().into() {
        take(&["RGSR_EL1", "GCR_EL1"]);
    }
    // kvm_hyp_handle_fpsimd(), __hyp_sve_restore_guest()
    if vcpu.features.sve {
        take(&["ZCR_EL1"]);
    }
    if vcpu.features.fpmr {
        take(&["FPMR"]);
    }
    if vcpu.guest.aarch32 {
        take(&["FPEXC32_EL2"]);
    }
    taken
}

struct Game {
    worlds: [World; 2],
    /// Number of changes, so that no value comes twice.
    changes: usize,
}

impl Game {
    fn new(cpus: Cpus, guest: Guest, traps: Traps) -> Self {
        let mut worlds = [By::C, By::Rust].map(|by| World::new(by, cpus, guest, traps));
        // What is in TPIDR_EL1 for the host is the distance to its data.
        let [c, rust] = &mut worlds;
        for name in names::REGISTERS {
            names::set(c.host.cpu(), name, names::get(rust.host.cpu(), name));
        }
        Self { worlds, changes: 0 }
    }

    /// Does the same in both worlds, with a word for the values.
    fn in_both(&mut self, seed: u64, change: impl Fn(&mut World, &str)) {
        self.changes += 1;
        let owner = format!("{seed} {}", self.changes);
        for world in &mut self.worlds {
            change(world, &owner);
        }
    }

    /// What the host sees of the vCPU is the same.
    fn check_host(&mut self, loaded: bool, when: &str) {
        let [c, rust] = &mut self.worlds;
        let mut c = c.vcpu(HOST).clone();
        let rust = rust.vcpu(HOST).clone();
        for (name, place) in bindings::VCPU_SYSREGS {
            let place = place as usize;
            if loaded && IN_CPU_WHILE_LOADED.contains(&name) {
                c.arch.ctxt.sys_regs[place] = rust.arch.ctxt.sys_regs[place];
            }
            let (c, rust) = (c.arch.ctxt.sys_regs[place], rust.arch.ctxt.sys_regs[place]);
            assert_eq!(c, rust, "the host's {name}, {when}");
        }
        // What is not C's, and each world's own memory.
        c.kvm = rust.kvm;
        c.arch.sve_state = rust.arch.sve_state;
        c.arch.hw_mmu = rust.arch.hw_mmu;
        c.arch.hyp_features = rust.arch.hyp_features;
        c.arch.answers = rust.arch.answers.clone();
        assert_eq!(c, rust, "the host's vCPU, {when}");
        self.check_fp(when);
    }

    /// What is in the FP registers, and of a guest's in memory, is the same.
    fn check_fp(&mut self, when: &str) {
        let [c, rust] = &mut self.worlds;
        for name in ["FPSR", "FPCR", "FPMR", "ZCR_EL1", "ZCR_EL2"] {
            let [c, rust] = [&mut *c, &mut *rust].map(|world| names::get(world.host.cpu(), name));
            assert_eq!(c, rust, "{name}, {when}");
        }
        assert!(c.host.cpu().fp() == rust.host.cpu().fp(), "{when}");
        assert_eq!(c.host.vcpus[HYP].sve_state, rust.host.vcpus[HYP].sve_state);
    }

    /// What the guest finds is the same.
    fn check_guest(&mut self) {
        let [c, rust] = &mut self.worlds;
        // All of the CPU, but where EL2 finds its own data.
        for name in names::REGISTERS.iter().filter(|name| **name != "TPIDR_EL2") {
            let [c, rust] = [&mut *c, &mut *rust].map(|world| names::get(world.host.cpu(), name));
            assert_eq!(c, rust, "{name} when the guest is entered");
        }
        let [taken_by_c, taken] =
            [&*c, &*rust].map(|world| taken_from_memory(&world.host.vcpus[HYP]));
        assert_eq!(taken_by_c, taken, "what EL2 takes from memory");

        let owners = [&mut *c, &mut *rust].map(|world| world.host.data(Image::Hyp).fp_owner);
        assert_eq!(owners, [c::FP_STATE_HOST_OWNED; 2]);

        let is_aarch32 = rust.host.vcpus[HYP].guest.aarch32;
        let is_protected = rust.is_protected;
        let (c, rust) = (c.vcpu(HYP).clone(), rust.vcpu(HYP).clone());
        let (c, rust) = (c.arch, rust.arch);
        assert_eq!(c.ctxt.regs, rust.ctxt.regs);
        assert_eq!(c.ctxt.fp_regs, rust.ctxt.fp_regs);
        if is_aarch32 {
            let banked = |ctxt: &crate::kvm_cpu_context| {
                [ctxt.spsr_abt, ctxt.spsr_und, ctxt.spsr_irq, ctxt.spsr_fiq]
            };
            assert_eq!(banked(&c.ctxt), banked(&rust.ctxt));
        }
        assert_eq!(c.hcr_el2, rust.hcr_el2);
        assert_eq!(c.mdcr_el2, rust.mdcr_el2);
        assert_eq!(c.iflags, rust.iflags);
        assert_eq!(c.vsesr_el2, rust.vsesr_el2);
        assert_eq!(c.debug_owner, rust.debug_owner);
        assert_eq!(c.vcpu_debug_state, rust.vcpu_debug_state);
        assert_eq!(c.external_debug_state, rust.external_debug_state);
        assert_eq!(c.external_mdscr_el1, rust.external_mdscr_el1);
        assert_eq!(c.vgic_cpu, rust.vgic_cpu);
        assert_eq!(c.pid, rust.pid);
        assert_eq!(is_protected, self.worlds[0].is_protected);
    }

    /// What the guest and the exit change, in the CPU and in EL2's vCPU.
    fn run_guest(&mut self, run: &Run) {
        self.in_both(run.seed, |world, owner| {
            let vcpu = &world.host.vcpus[HYP];
            let (has, guest) = (vcpu.features, vcpu.guest);
            // Those that the guest shares with the host, under any name.
            let of_el1 = has.el1_registers().filter(|(_, has)| *has);
            let of_all = [
                "PAR_EL1",
                "TPIDR_EL1",
                "TPIDR_EL0",
                "TPIDRRO_EL0",
                "MDSCR_EL1",
                "ELR_EL2",
                "VDISR_EL2",
            ];
            let shared = of_el1
                .map(|(name, _)| name)
                .chain(of_all)
                .chain(has.s1poe.then_some("POR_EL0"))
                .chain(
                    machine::AARCH32_REGISTERS
                        .into_iter()
                        .filter(|_| guest.aarch32),
                );
            for name in shared {
                names::set(world.host.cpu(), name, mark(owner, name));
            }
            // What C code saves itself: entry.S, __guest_exit() and what comes
            // after it.
            let saved = taken_from_memory(&world.host.vcpus[HYP]);
            let moved_by_table = ["VBAR_EL1", "SCTLR_EL1", "ELR_EL1", "TCR_EL1", "SPSR_EL1"];
            let vcpu = world.vcpu(HYP);
            for (name, _) in saved {
                let fp = ["ZCR_EL1", "FPMR"].contains(&name);
                if !moved_by_table.contains(&name) && name != "MPIDR_EL1" && !fp {
                    vcpu.arch.ctxt.sys_regs[machine::place(name)] = mark(owner, name);
                }
            }
            for (n, x) in vcpu.arch.ctxt.regs.regs.iter_mut().enumerate() {
                *x = mark(owner, &format!("X{n}"));
            }
            vcpu.arch.ctxt.regs.sp = mark(owner, "sp");
            vcpu.arch.ctxt.regs.pstate = mark(owner, "pstate") & !0x1f;
            vcpu.arch.fault.esr_el2 = mark(owner, "esr");
            vcpu.arch.fault.far_el2 = mark(owner, "far");
            vcpu.arch.fault.hpfar_el2 = mark(owner, "hpfar");
            vcpu.arch.fault.disr_el1 = mark(owner, "disr");
            // PENDING_EXCEPTION and the like.
            vcpu.arch.iflags &= !(mark(owner, "iflags") as u8 & 0xf);
            vcpu.arch.hcr_el2 &= !(mark(owner, "VSE") & (1 << 8));
            let debug_owner = vcpu.arch.debug_owner;
            let unchanged = vcpu.arch.clone();
            change_debug_registers(vcpu, owner);
            if debug_owner != 2 {
                vcpu.arch.vcpu_debug_state = unchanged.vcpu_debug_state;
            }
            if debug_owner != 1 {
                vcpu.arch.external_debug_state = unchanged.external_debug_state;
            }
            let lrs = vcpu.arch.vgic_cpu.__bindgen_anon_1.vgic_v3.used_lrs;
            change_vgic(vcpu, owner, lrs as usize);
            if run.used_fp {
                use_fp(&mut world.host, owner);
            }
        });
    }

    fn play(&mut self, loaded: &Loaded) {
        // Userspace runs.
        self.in_both(0, |world, owner| {
            change_registers(world.vcpu(HOST), owner);
        });
        self.worlds.iter_mut().for_each(World::load);
        for run in loaded {
            self.in_both(run.seed, |world, owner| {
                // The kernel changes a guest's registers only when it has
                // them, and never what is in the CPU.
                if run.changes && (world.is_protected || world.is_dirty()) {
                    let vcpu = world.vcpu(HOST);
                    let before = vcpu.arch.ctxt.sys_regs;
                    change_registers(vcpu, owner);
                    if !world.is_protected {
                        for name in IN_CPU_WHILE_LOADED.map(machine::place) {
                            world.vcpu(HOST).arch.ctxt.sys_regs[name] = before[name];
                        }
                    }
                }
                let vcpu = world.vcpu(HOST);
                vcpu.arch.debug_owner = run.debug_owner;
                let vgic = &mut vcpu.arch.vgic_cpu.__bindgen_anon_1.vgic_v3;
                // What KVM would not have in use.
                vgic.used_lrs = run.used_lrs.min(16);
            });
            self.worlds.iter_mut().for_each(World::enter);
            self.check_guest();
            self.run_guest(run);
            self.worlds
                .iter_mut()
                .for_each(|world| world.exit(run.code));
            self.check_host(true, "the guest was left");
        }
        self.worlds.iter_mut().for_each(World::put);
        self.check_host(false, "the vCPU was put");
    }
}

#[test]
fn host_and_guest_see_what_they_would_with_the_c() {
    let games = (
        machine::cpus(&[Mode::Nvhe, Mode::Hvhe]),
        machine::guest(),
        traps(),
        vec(vec(run(), 0..5), 1..4),
    );
    let outcome = runner().run(&games, |(cpus, guest, traps, loads)| {
        let cpus = Cpus { pkvm: true, ..cpus };
        let mut game = Game::new(cpus, guest, traps);
        for loaded in &loads {
            game.play(loaded);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

/// What the Rust does otherwise than the C on purpose, beside
/// [`deviations`](super::super::specification): the host may write to its copy of
/// a register that EL2 does not work with at any time.
///
/// The host's copy is the right one at all times, so EL2 gives it nothing for
/// that. With the C it has a copy of its own, from when the host's state was dirty
/// the last time, and overwrites the host's with it. KVM writes none of them while
/// its state is not dirty, so it does not see the difference.
#[test]
fn what_the_host_writes_while_its_state_is_not_dirty_is_lost_as_in_c_if_el2_works_with_it() {
    let cpus = Cpus {
        mode: Mode::Nvhe,
        have: machine::Features::default(),
        nv2p1: false,
        mpam: false,
        speculative_at: false,
        pkvm: true,
    };
    let guest = Guest {
        has: machine::Features::default(),
        level: machine::Level::El1,
        pstate: 0x5,
        aarch32: false,
        debug_owner: DebugOwner::Free,
        writable_imp_id_regs: false,
        is_protected: false,
    };
    let traps = Traps {
        pointer_authentication: [false; 2],
        tags: false,
    };
    let mut lost = [By::C, By::Rust].map(|by| {
        let mut world = World::new(by, cpus, guest, traps);
        world.load();
        for _ in 0..2 {
            world.enter();
            world.exit(IRQ);
        }
        for (name, place) in bindings::VCPU_SYSREGS {
            world.vcpu(HOST).arch.ctxt.sys_regs[place as usize] = mark("host, not dirty", name);
        }
        world.sync_registers();
        let sys_regs = world.vcpu(HOST).arch.ctxt.sys_regs;
        let kept = |name: &str| sys_regs[machine::place(name)] == mark("host, not dirty", name);
        let names = bindings::VCPU_SYSREGS.into_iter().map(|(name, _)| name);
        names.filter(|name| !kept(name)).collect::<Vec<_>>()
    });
    let [by_c, by_rust] = &mut lost;
    let used = super::used_by_c::used();
    assert!(by_rust.contains(&"VBAR_EL1") && by_c.contains(&"CSSELR_EL1"));
    for name in &*by_rust {
        assert!(by_c.contains(name) && used.contains(name), "{name}");
    }
    // The timer's, which C leaves alone as well.
    for name in c::TIMER {
        assert!(!by_c.contains(&name), "{name}");
    }
}
