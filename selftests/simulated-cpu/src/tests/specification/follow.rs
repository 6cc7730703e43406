// SPDX-License-Identifier: GPL-2.0
//! Does what a table says, on a copy of what the Rust works on, and compares.

use super::super::host::{Host, Image};
use super::super::machine::{mark, place, Vcpu, VNCR_START};
use super::super::names;
use super::{deviations, Case, Line, Name, Owner, Place, Step};
use crate::{kvm_cpu_context, kvm_vcpu, Access, Cpu, Mode};

/// `PSR_AA32_MODE_MASK`.
const MODE: u64 = 0x1f;
/// `TCR_EPD0_MASK | TCR_EPD1_MASK`.
const EPD: u64 = (1 << 7) | (1 << 23);
/// The fields of `MPAM0_EL1`: `PARTID_I`, `PARTID_D`, `PMG_I`, `PMG_D`.
const MPAM_FIELDS: u64 = 0xffff | (0xffff << 16) | (0xff << 32) | (0xff << 40);
/// `MPAM1_EL1_MPAMEN`.
const MPAMEN: u64 = 1 << 63;
/// `CNTKCTL_VALID_BITS`.
const CNTKCTL_VALID_BITS: u64 = (1 << 17) | 0x3ff;
/// The value of `SYSREGS_ON_CPU`.
const SYSREGS_ON_CPU: u16 = 1 << 2;

/// What is there after the C.
pub(crate) struct Followed {
    trace: Vec<Access>,
    vcpu: kvm_vcpu,
    vncr: Vec<u64>,
    host: kvm_cpu_context,
    image: Image,
    cpu: Option<Cpu>,
}

/// What the C works on.
struct World {
    after: Followed,
    case: Case,
    /// `kvm_read_vm_id_reg(kvm, SYS_MIDR_EL1)`.
    vm_midr: u64,
    /// Whether to leave out what the Rust leaves out.
    deviates: bool,
    /// Local variables.
    midr: u64,
    mpidr: u64,
}

impl Followed {
    /// What `function` does on the CPU of `host`, called for its vCPU `index`
    /// with the context of `owner`, in `image`: all that the C does, or, if it
    /// `deviates`, what the Rust has to.
    pub(crate) fn new(
        host: &mut Host,
        index: usize,
        function: &[Line],
        owner: Owner,
        image: Image,
        deviates: bool,
    ) -> Self {
        host.vcpus[index].link();
        host.context(image).__hyp_running_vcpu = &raw mut *host.vcpus[index].vcpu;
        let context = host.context(image).clone();
        let mut cpu: Cpu = host.cpu().clone();
        cpu.clear_trace();
        let Vcpu {
            guest,
            vcpu,
            vncr,
            kvm,
            ..
        } = &host.vcpus[index];
        let mut world = World {
            after: Self {
                trace: Vec::new(),
                vcpu: (**vcpu).clone(),
                vncr: vncr.clone(),
                host: context,
                image,
                cpu: None,
            },
            deviates,
            case: Case {
                cpus: host.cpus,
                guest: *guest,
                owner,
            },
            vm_midr: kvm.arch.midr_el1,
            midr: mark("nobody", "midr"),
            mpidr: mark("nobody", "mpidr"),
        };
        let (cpu, ()) = cpu.run(|| world.call(function));
        world.after.trace = cpu.trace().to_vec();
        world.after.cpu = Some(cpu);
        world.after
    }

    /// Has it happen on `host`.
    pub(crate) fn take_effect(self, host: &mut Host, index: usize) {
        *host.vcpus[index].vcpu = self.vcpu;
        host.vcpus[index].vncr = self.vncr;
        *host.context(self.image) = self.host;
        *host.cpu() = self.cpu.expect("a CPU that it happened on");
    }

    /// Checks that the Rust has done the same.
    pub(crate) fn compare(mut self, host: &mut Host, index: usize, context: &str) {
        let trace = host.cpu().trace();
        let lines = |trace: &[Access]| {
            let lines: Vec<String> = trace.iter().map(|access| format!("  {access}")).collect();
            lines.join("\n")
        };
        let same = self.trace.iter().zip(trace);
        let same = same.take_while(|(c, rust)| c == rust).count();
        assert!(
            self.trace == trace,
            "{context}: after {same} accesses that are the same\nC does\n{}\nRust does\n{}",
            lines(&self.trace[same..]),
            lines(&trace[same..])
        );
        // C asks for the features each time, Rust keeps them.
        let context_of_host = host.context(self.image).clone();
        let vcpu = &host.vcpus[index];
        self.vcpu.arch.hyp_features = vcpu.vcpu.arch.hyp_features;
        // Names of the registers in which two arrays differ.
        let differing = |c: &[u64], rust: &[u64], start: usize| -> Vec<&str> {
            let differs = |place: &u32| {
                let at = (*place as usize).checked_sub(start);
                at.is_some_and(|at| c.get(at) != rust.get(at))
            };
            let places = bindings::VCPU_SYSREGS.iter();
            let differing = places.filter(|(_, place)| differs(place));
            differing.map(|(name, _)| *name).collect()
        };
        let contexts = (&self.vcpu.arch.ctxt, &vcpu.vcpu.arch.ctxt);
        for (what, c, rust, start) in [
            (
                "the guest's",
                &contexts.0.sys_regs[..],
                &contexts.1.sys_regs[..],
                0,
            ),
            ("the guest's VNCR page", &self.vncr, &vcpu.vncr, VNCR_START),
            (
                "the host's",
                &self.host.sys_regs,
                &context_of_host.sys_regs,
                0,
            ),
        ] {
            let differing = differing(c, rust, start);
            assert!(differing.is_empty(), "{context}: {what} {differing:?}");
        }
        assert_eq!(self.vcpu, *vcpu.vcpu, "{context}: the vCPU");
        assert_eq!(self.host, context_of_host, "{context}: the host's context");
    }
}

impl World {
    fn call(&mut self, function: &[Line]) {
        for line in function {
            let deviates = self.deviates
                && self.after.image == Image::Hyp
                && deviations::leave_out(&line.step, &self.case);
            if (line.when)(&self.case) && !deviates {
                self.step(line.step);
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Save(name, place) => {
                let value = self.read(name);
                self.keep(place, value);
            }
            Step::Restore(name, place) => {
                let value = self.kept(place);
                self.write(name, value);
            }
            Step::GetMidr => {
                let own = self.case.is_guest() && self.case.writable_imp_id_regs();
                self.midr = match own {
                    true => self.vm_midr,
                    false => self.read(Name::Plain("MIDR_EL1")),
                };
            }
            Step::TakeMidr(name) => self.midr = self.kept(Place::Ctxt(name)),
            Step::TakeMpidr(name) => self.mpidr = self.kept(Place::Ctxt(name)),
            Step::Mpam => {
                let value = self.read(Name::Plain("MPAM0_EL1"));
                self.write(Name::El1("MPAM1"), (value & MPAM_FIELDS) | MPAMEN);
            }
            Step::SaveCnthctl => {
                let cnthctl = Place::Vcpu("CNTHCTL_EL2");
                let value = self.read(Name::El1("CNTKCTL"));
                if self.case.cap_nv2p1() {
                    self.keep(cnthctl, value);
                } else {
                    let others = *self.ctxt_sys_reg("CNTHCTL_EL2") & !CNTKCTL_VALID_BITS;
                    self.keep(cnthctl, others);
                    let both = *self.ctxt_sys_reg("CNTHCTL_EL2") | (value & CNTKCTL_VALID_BITS);
                    self.keep(cnthctl, both);
                }
            }
            Step::ThisCpu(name) => {
                self.read(name);
            }
            Step::Isb => crate::simulated::instruction::isb(),
            Step::DsbNsh => crate::simulated::instruction::dsb::<crate::arm64::barrier::Nsh>(),
            Step::SysregsOnCpu(on_cpu) => {
                let flags = &mut self.after.vcpu.arch.sflags;
                match on_cpu {
                    true => *flags |= SYSREGS_ON_CPU,
                    false => *flags &= !SYSREGS_ON_CPU,
                }
            }
            Step::Call(function, owner) => {
                let before = self.case.owner;
                self.case.owner = owner.unwrap_or(before);
                self.call(function);
                self.case.owner = before;
            }
        }
    }

    /// The name that the instruction has.
    fn name(&self, name: Name) -> String {
        let e2h = self.case.cpus.mode != Mode::Nvhe;
        match (name, e2h) {
            (Name::El1(stem), true) => format!("{stem}_EL12"),
            (Name::El1(stem), false) | (Name::El2(stem), true) => format!("{stem}_EL1"),
            (Name::El2(stem), false) => format!("{stem}_EL2"),
            (Name::Plain(name), _) => name.to_owned(),
        }
    }

    fn read(&self, name: Name) -> u64 {
        names::find(&self.name(name)).read()
    }

    fn write(&self, name: Name, value: u64) {
        names::find(&self.name(name)).write(value);
    }

    fn context(&mut self) -> &mut kvm_cpu_context {
        match self.case.owner {
            Owner::Guest => &mut self.after.vcpu.arch.ctxt,
            Owner::Host => &mut self.after.host,
        }
    }

    /// `___ctxt_sys_reg()`.
    fn ctxt_sys_reg(&mut self, name: &str) -> &mut u64 {
        let place = place(name);
        if self.case.is_guest() && self.case.vcpu_has_nv() && place >= VNCR_START {
            return &mut self.after.vncr[place - VNCR_START];
        }
        &mut self.context().sys_regs[place]
    }

    /// What `__vcpu_sys_reg()` and `__vcpu_assign_sys_reg()` do to a value.
    fn masked(&self, name: &str, value: u64) -> u64 {
        let place = place(name) as u32;
        if !self.case.vcpu_has_nv() || place < bindings::vcpu_sysreg___SANITISED_REG_START__ {
            return value;
        }
        // SAFETY: A stand-in.
        unsafe { bindings::kvm_vcpu_apply_reg_masks(&raw const self.after.vcpu, place, value) }
    }

    fn ctxt_mdscr_el1(&mut self) -> &mut u64 {
        match self.case.is_guest() && self.case.kvm_host_owns_debug_regs() {
            true => &mut self.after.vcpu.arch.external_mdscr_el1,
            false => self.ctxt_sys_reg("MDSCR_EL1"),
        }
    }

    fn spsr(&mut self, name: &str) -> &mut u64 {
        let context = self.context();
        match name {
            "spsr_abt" => &mut context.spsr_abt,
            "spsr_und" => &mut context.spsr_und,
            "spsr_irq" => &mut context.spsr_irq,
            "spsr_fiq" => &mut context.spsr_fiq,
            _ => unreachable!("the tables name no other field"),
        }
    }

    fn kept(&mut self, place: Place) -> u64 {
        let vcpu = |world: &mut Self, name| {
            let value = *world.ctxt_sys_reg(name);
            world.masked(name, value)
        };
        match place {
            Place::Ctxt(name) => *self.ctxt_sys_reg(name),
            Place::Vcpu(name) => vcpu(self, name),
            Place::Mdscr => *self.ctxt_mdscr_el1(),
            Place::Pc => self.context().regs.pc,
            Place::Pstate => self.context().regs.pstate,
            Place::Spsr(name) => *self.spsr(name),
            Place::HwPstate => hw_pstate(self.context().regs.pstate),
            // SAFETY: Stand-ins.
            Place::TranslatedSctlr => unsafe {
                bindings::translate_sctlr_el2_to_sctlr_el1(vcpu(self, "SCTLR_EL2"))
            },
            // SAFETY: As above.
            Place::TranslatedCptr => unsafe {
                bindings::translate_cptr_el2_to_cpacr_el1(vcpu(self, "CPTR_EL2"))
            },
            // SAFETY: As above.
            Place::TranslatedTtbr0 => unsafe {
                bindings::translate_ttbr0_el2_to_ttbr0_el1(vcpu(self, "TTBR0_EL2"))
            },
            // SAFETY: As above.
            Place::TranslatedTcr => unsafe {
                bindings::translate_tcr_el2_to_tcr_el1(vcpu(self, "TCR_EL2"))
            },
            Place::TcrWithoutWalks => *self.ctxt_sys_reg("TCR_EL1") | EPD,
            Place::Midr => self.midr,
            Place::Mpidr => self.mpidr,
            Place::Zero => 0,
        }
    }

    fn keep(&mut self, place: Place, value: u64) {
        match place {
            Place::Ctxt(name) => *self.ctxt_sys_reg(name) = value,
            Place::Vcpu(name) => *self.ctxt_sys_reg(name) = self.masked(name, value),
            Place::Mdscr => *self.ctxt_mdscr_el1() = value,
            Place::Pc => self.context().regs.pc = value,
            Place::Pstate => self.context().regs.pstate = value,
            Place::Spsr(name) => *self.spsr(name) = value,
            _ => unreachable!("nothing is saved there"),
        }
    }
}

/// `to_hw_pstate()`, and what `__sysreg_restore_el2_return_state()` does before
/// it writes the value.
fn hw_pstate(pstate: u64) -> u64 {
    match pstate & MODE {
        // EL2t and EL2h.
        0x8 => (pstate & !MODE) | 0x4,
        0x9 => (pstate & !MODE) | 0x5,
        // EL3, and what does not exist: EL2h with PSR_IL_BIT.
        0xa..=0xf => 0x9 | (1 << 20),
        _ => pstate,
    }
}
