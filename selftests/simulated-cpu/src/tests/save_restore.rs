// SPDX-License-Identifier: GPL-2.0
//! Guest and host take turns in a CPU without VHE: each finds its own
//! registers, for every set of features.

use super::runner;
use crate::arm64::registers::*;
use crate::hyp::sysreg_sr::{restore_32bit_state, save_32bit_state};
use crate::hyp::view::context::ContextRegister;
use crate::nvhe::{sysreg_sr, GuestContext, HostContext};
use crate::{kvm, kvm_arch, kvm_cpu_context, kvm_vcpu, kvm_vcpu_arch, Access, Cpu, Mode};
use proptest::prelude::*;
use std::ptr::NonNull;

/// What a guest has, and what the CPUs have that matters.
#[derive(Clone, Copy, Debug)]
struct Machine {
    mode: Mode,
    tcr2: bool,
    s1pie: bool,
    s1poe: bool,
    sctlr2: bool,
    mte: bool,
    ras: bool,
    aarch32: bool,
    debugged: bool,
    speculative_at: bool,
    /// CPUs have what the guest does not.
    cpus_have_more: bool,
}

fn machine() -> impl Strategy<Value = Machine> {
    let flags = any::<[bool; 10]>();
    (prop_oneof![Just(Mode::Nvhe), Just(Mode::Hvhe)], flags).prop_map(|(mode, f)| Machine {
        mode,
        tcr2: f[0],
        s1pie: f[1],
        s1poe: f[2],
        sctlr2: f[3],
        mte: f[4],
        ras: f[5],
        aarch32: f[6],
        debugged: f[7],
        // That erratum is of CPUs without VHE.
        speculative_at: f[8] && mode == Mode::Nvhe,
        cpus_have_more: f[9],
    })
}

/// A value that tells whose it is, and of what.
fn mark(owner: u64, name: &str) -> u64 {
    let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325 ^ owner.rotate_left(32), hash)
}

/// A register that guest and host take turns in.
struct Shared {
    name: &'static str,
    /// Where it is in a context.
    place: usize,
    get: fn(&Cpu) -> u64,
    set: fn(&mut Cpu, u64),
    /// When they do.
    when: fn(Machine) -> bool,
}

macro_rules! shared {
    ($($when:expr => [$($register:ident)*],)*) => {
        [$($(Shared {
            name: stringify!($register),
            place: <$register as ContextRegister>::PLACE as usize,
            get: |cpu| cpu.get::<$register>().into(),
            set: |cpu, value| cpu.set($register::from(value)),
            when: $when,
        },)*)*]
    };
}

/// All but SCTLR_EL1 and TCR_EL1, which an erratum makes special.
fn shared() -> Vec<Shared> {
    shared![
        |_| true => [
            CPACR_EL1 TTBR0_EL1 TTBR1_EL1 ESR_EL1 AFSR0_EL1 AFSR1_EL1 FAR_EL1 MAIR_EL1 VBAR_EL1
            CONTEXTIDR_EL1 AMAIR_EL1 CNTKCTL_EL1 PAR_EL1 TPIDR_EL1 SP_EL1 ELR_EL1 SPSR_EL1
            TPIDR_EL0 TPIDRRO_EL0
        ],
        |m| m.tcr2 => [TCR2_EL1],
        |m| m.tcr2 && m.s1pie => [PIR_EL1 PIRE0_EL1],
        |m| m.tcr2 && m.s1poe => [POR_EL1],
        |m| m.s1poe => [POR_EL0],
        |m| m.sctlr2 => [SCTLR2_EL1],
        |m| m.mte => [TFSR_EL1 TFSRE0_EL1],
        // The host has no AArch32 state at EL1: the guest's may stay.
        |m| m.aarch32 => [DACR32_EL2 IFSR32_EL2],
        |m| m.aarch32 && m.debugged => [DBGVCR32_EL2],
    ]
    .into()
}

const HOST: u64 = 1;
const GUEST: u64 = 2;
/// What the guest left in the CPU.
const GUEST_LATER: u64 = 3;

/// A guest, the host, and a CPU that runs the host.
struct World {
    machine: Machine,
    cpu: Option<Cpu>,
    vcpu: Box<kvm_vcpu>,
    host: Box<kvm_cpu_context>,
    _kvm: Box<kvm>,
}

impl World {
    fn new(machine: Machine) -> Self {
        let Machine {
            tcr2,
            s1pie,
            s1poe,
            sctlr2,
            mte,
            ras,
            cpus_have_more,
            ..
        } = machine;
        let mut cpu = Cpu::new(machine.mode);
        for (has, capability) in [
            (tcr2, bindings::ARM64_HAS_TCR2),
            (s1pie, bindings::ARM64_HAS_S1PIE),
            (s1poe, bindings::ARM64_HAS_S1POE),
            (sctlr2, bindings::ARM64_HAS_SCTLR2),
            (mte, bindings::ARM64_MTE),
        ] {
            if has || cpus_have_more {
                cpu.add_capability(capability);
            }
        }
        if ras {
            cpu.add_capability(bindings::ARM64_HAS_RAS_EXTN);
        }
        if machine.speculative_at {
            cpu.add_capability(bindings::ARM64_WORKAROUND_SPECULATIVE_AT);
        }
        for register in shared() {
            (register.set)(&mut cpu, mark(HOST, register.name));
        }
        cpu.set(SCTLR_EL1::from(mark(HOST, "SCTLR_EL1")));
        cpu.set(TCR_EL1::from(mark(HOST, "TCR_EL1")));
        cpu.set(MDSCR_EL1::from(mark(HOST, "MDSCR_EL1")));

        let mut kvm = Box::new(kvm {
            arch: kvm_arch {
                flags: u64::from(mte) << bindings::KVM_ARCH_FLAG_MTE_ENABLED,
                vcpu_features: [0],
                id_regs: [0; 56],
                midr_el1: 0,
            },
        });
        let bit = |has: bool, shift: u32| u64::from(has) << shift;
        // ID_AA64MMFR3_EL1, CRm 7, op2 3.
        kvm.arch.id_regs[(6 << 3) | 3] =
            bit(tcr2, 0) | bit(sctlr2, 4) | bit(s1pie, 8) | bit(s1poe, 16);
        // ID_AA64PFR0_EL1, CRm 4, op2 0.
        kvm.arch.id_regs[3 << 3] = bit(ras, 28);

        let mut vcpu = Box::new(kvm_vcpu {
            kvm: &raw mut *kvm,
            arch: kvm_vcpu_arch::default(),
        });
        for register in shared() {
            vcpu.arch.ctxt.sys_regs[register.place] = mark(GUEST, register.name);
        }
        let mut set =
            |place: u32, name| vcpu.arch.ctxt.sys_regs[place as usize] = mark(GUEST, name);
        set(SCTLR_EL1::PLACE, "SCTLR_EL1");
        set(TCR_EL1::PLACE, "TCR_EL1");
        set(MDSCR_EL1::PLACE, "MDSCR_EL1");
        set(MPIDR_EL1::PLACE, "MPIDR_EL1");
        set(DISR_EL1::PLACE, "DISR_EL1");
        vcpu.arch.external_mdscr_el1 = mark(GUEST, "external");
        vcpu.arch.ctxt.regs.pc = mark(GUEST, "pc");
        vcpu.arch.ctxt.regs.pstate = 0x3c5;
        vcpu.arch.debug_owner = u32::from(machine.debugged);
        vcpu.arch.hcr_el2 = HCR_EL2::from(0).with_rw(!machine.aarch32).into();
        let mut host = Box::<kvm_cpu_context>::default();
        host.__hyp_running_vcpu = &raw mut *vcpu;
        host.sys_regs[MPIDR_EL1::PLACE as usize] = mark(HOST, "MPIDR_EL1");
        Self {
            machine,
            cpu: Some(cpu),
            vcpu,
            host,
            _kvm: kvm,
        }
    }

    /// Runs code at EL2 with the two contexts.
    fn at_el2(&mut self, code: impl FnOnce(&mut GuestContext<'_>, &mut HostContext<'_>)) {
        let cpu = self.cpu.take().expect("a CPU");
        let vcpu = NonNull::from(&mut *self.vcpu);
        let host = NonNull::from(&mut *self.host);
        let (cpu, ()) = cpu.run(|| {
            // SAFETY: Both are there, and used by nobody else meanwhile.
            let (mut guest, mut host) =
                unsafe { (GuestContext::of(vcpu), HostContext::for_vcpu(host, vcpu)) };
            code(&mut guest, &mut host);
        });
        self.cpu = Some(cpu);
    }

    fn cpu(&mut self) -> &mut Cpu {
        self.cpu.as_mut().expect("a CPU")
    }

    /// As `__kvm_vcpu_run()` enters a guest.
    fn enter(&mut self) {
        self.at_el2(|guest, host| {
            sysreg_sr::save_state(host);
            restore_32bit_state(guest);
            sysreg_sr::restore_guest_state(guest);
        });
        if self.machine.speculative_at {
            // As __activate_traps().
            let (sctlr, tcr) = (
                self.vcpu.arch.ctxt.sys_regs[SCTLR_EL1::PLACE as usize],
                self.vcpu.arch.ctxt.sys_regs[TCR_EL1::PLACE as usize],
            );
            self.cpu().set(SCTLR_EL1::from(sctlr));
            self.cpu().set(TCR_EL1::from(tcr));
        }
    }

    /// As it leaves one.
    fn exit(&mut self) {
        self.at_el2(|guest, host| {
            sysreg_sr::save_state(guest);
            save_32bit_state(guest);
            sysreg_sr::restore_host_state(host);
        });
    }
}

/// Runs `check` for many machines, the same ones each time.
fn for_machines(check: impl Fn(World, Machine)) {
    let outcome = runner().run(&machine(), |machine| {
        check(World::new(machine), machine);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn b24_b29_a_guest_finds_its_own_registers() {
    for_machines(|mut world, machine| {
        world.enter();
        for register in shared() {
            let owner = if (register.when)(machine) {
                GUEST
            } else {
                HOST
            };
            let found = (register.get)(world.cpu());
            assert_eq!(found, mark(owner, register.name), "{}", register.name);
        }
        let cpu = world.cpu();
        let found = |name| mark(GUEST, name);
        assert_eq!(u64::from(cpu.get::<SCTLR_EL1>()), found("SCTLR_EL1"));
        assert_eq!(u64::from(cpu.get::<TCR_EL1>()), found("TCR_EL1"));
        assert_eq!(u64::from(cpu.get::<VMPIDR_EL2>()), found("MPIDR_EL1"));
        assert_eq!(u64::from(cpu.get::<ELR_EL2>()), found("pc"));
        assert_eq!(u64::from(cpu.get::<SPSR_EL2>()), 0x3c5);
        let mdscr = if machine.debugged {
            "external"
        } else {
            "MDSCR_EL1"
        };
        assert_eq!(u64::from(cpu.get::<MDSCR_EL1>()), found(mdscr));
        if machine.ras {
            assert_eq!(u64::from(cpu.get::<VDISR_EL2>()), found("DISR_EL1"));
        }
    });
}

#[test]
fn b24_b29_the_host_finds_its_own_registers_and_the_guest_keeps_its() {
    for_machines(|mut world, machine| {
        world.enter();
        for register in shared().iter().filter(|r| (r.when)(machine)) {
            (register.set)(world.cpu(), mark(GUEST_LATER, register.name));
        }
        world.exit();
        for register in shared() {
            let stays = register.name.ends_with("32_EL2") && (register.when)(machine);
            let owner = if stays { GUEST_LATER } else { HOST };
            let found = (register.get)(world.cpu());
            assert_eq!(found, mark(owner, register.name), "CPU's {}", register.name);

            let owner = if (register.when)(machine) {
                GUEST_LATER
            } else {
                GUEST
            };
            let kept = world.vcpu.arch.ctxt.sys_regs[register.place];
            assert_eq!(
                kept,
                mark(owner, register.name),
                "guest's {}",
                register.name
            );
        }
        let cpu = world.cpu();
        assert_eq!(u64::from(cpu.get::<SCTLR_EL1>()), mark(HOST, "SCTLR_EL1"));
        assert_eq!(u64::from(cpu.get::<TCR_EL1>()), mark(HOST, "TCR_EL1"));
        assert_eq!(u64::from(cpu.get::<MDSCR_EL1>()), mark(HOST, "MDSCR_EL1"));
    });
}

#[test]
fn walks_are_forbidden_before_the_tables_change_and_until_stage_2_has() {
    for_machines(|mut world, machine| {
        if !machine.speculative_at {
            return;
        }
        world.at_el2(|_, host| sysreg_sr::save_state(host));
        world.cpu().clear_trace();
        world.at_el2(|guest, _| sysreg_sr::restore_guest_state(guest));
        let trace = world.cpu().trace().to_vec();
        let at = |wanted: &str| {
            trace
                .iter()
                .position(|access| matches!(access, Access::Write { name, .. } if *name == wanted))
        };
        let tcr = at("TCR_EL1").expect("TCR_EL1 is written");
        let forbidden = TCR_EL1::from(0).with_epd0(true).with_epd1(true);
        assert!(matches!(
            trace[tcr],
            Access::Write { value, .. } if value & u64::from(forbidden) == u64::from(forbidden)
        ));
        assert_eq!(trace[tcr + 1], Access::Isb);
        assert!(at("TTBR0_EL1") > Some(tcr) && at("TTBR1_EL1") > Some(tcr));
        assert_eq!(at("SCTLR_EL1"), None, "it is for __activate_traps() to set");

        // The way back: SCTLR_EL1, a barrier, then TCR_EL1.
        world.cpu().clear_trace();
        world.at_el2(|_, host| sysreg_sr::restore_host_state(host));
        let trace = world.cpu().trace().to_vec();
        let at = |wanted: &str| {
            trace
                .iter()
                .position(|access| matches!(access, Access::Write { name, .. } if *name == wanted))
        };
        let sctlr = at("SCTLR_EL1").expect("SCTLR_EL1 is written");
        assert_eq!(trace[sctlr - 1], Access::Isb);
        assert_eq!(trace[sctlr + 1], Access::Isb);
        assert_eq!(at("TCR_EL1"), Some(sctlr + 2));
        assert!(at("TTBR0_EL1") < Some(sctlr) && at("TTBR1_EL1") < Some(sctlr));
    });
}

#[test]
fn features_are_worked_out_once() {
    for_machines(|mut world, _| {
        assert_eq!(world.vcpu.arch.sysreg_features, 0);
        world.enter();
        let kept = world.vcpu.arch.sysreg_features;
        assert_ne!(kept, 0);
        // Whatever becomes of the ID registers after that is not looked at.
        world._kvm.arch.id_regs = [u64::MAX; 56];
        world.exit();
        world.enter();
        assert_eq!(world.vcpu.arch.sysreg_features, kept);
    });
}
