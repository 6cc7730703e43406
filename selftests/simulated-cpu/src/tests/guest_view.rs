// SPDX-License-Identifier: GPL-2.0
//! Which of a guest's registers are in which registers of the CPU under VHE.

use super::machine::{Cpus, Level, Vcpu};

/// When a register is in the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Between `vcpu_load()` and `vcpu_put()`.
    Loaded,
    /// While the guest runs.
    Running,
}

/// What of it is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// All: the guest changes it without a trap.
    All,
    /// These bits; the guest's accesses to others trap.
    Bits(u64),
    /// Nothing, but what it has to be for the guest to see the effect. The
    /// guest's accesses trap.
    Effect(fn(u64) -> u64),
}

/// A register of a guest that is in the CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct InCpu {
    /// What the guest calls it, or the field that it is kept in.
    pub(super) register: &'static str,
    /// Which register of the CPU has it.
    pub(super) cpu: &'static str,
    pub(super) when: When,
    pub(super) what: What,
}

/// The bits of `CNTHCTL_EL2` that `CNTKCTL_EL1` has, too.
const CNTKCTL: u64 = (1 << 17) | 0x3ff;

fn identity(value: u64) -> u64 {
    value
}

fn nothing(_: u64) -> u64 {
    0
}

macro_rules! translated {
    ($function:ident) => {
        // SAFETY: A stand-in.
        What::Effect(|value| unsafe { bindings::$function(value) })
    };
}

/// Those of a guest, at the level that it is at.
pub(super) fn in_cpu(vcpu: &Vcpu, cpus: &Cpus) -> Vec<InCpu> {
    let mut view = View(Vec::new());
    let has = vcpu.features;
    view.same(&["PAR_EL1", "TPIDR_EL1", "TPIDR_EL0", "TPIDRRO_EL0"]);
    if vcpu.guest.aarch32 {
        for (field, cpu) in [
            ("spsr_abt", "SPSR_abt"),
            ("spsr_und", "SPSR_und"),
            ("spsr_irq", "SPSR_irq"),
            ("spsr_fiq", "SPSR_fiq"),
        ] {
            view.loaded(field, cpu, What::All);
        }
        view.same(&["DACR32_EL2", "IFSR32_EL2", "DBGVCR32_EL2"]);
    }
    match vcpu.guest.level {
        Level::El1 | Level::L2 { .. } => el1(&mut view, vcpu),
        Level::VirtualEl2 { e2h } => virtual_el2(&mut view, vcpu, cpus, e2h),
    }

    view.running("pc", "ELR_EL2", What::All);
    let mdscr = match vcpu.vcpu.arch.debug_owner {
        bindings::kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED => "external_mdscr_el1",
        _ => "MDSCR_EL1",
    };
    view.running(mdscr, "MDSCR_EL1", What::All);
    if has.s1poe {
        view.running("POR_EL0", "POR_EL0", What::All);
    }
    if cpus.have.ras {
        match vcpu.guest.level {
            Level::L2 {
                takes_serrors: true,
                ..
            } if has.ras => view.running("VDISR_EL2", "VDISR_EL2", What::All),
            Level::L2 {
                takes_serrors: true,
                ..
            } => view.running("VDISR_EL2", "VDISR_EL2", What::Effect(nothing)),
            _ => view.running("DISR_EL1", "VDISR_EL2", What::All),
        }
    }
    view.0
}

/// At EL1, its own or that of a guest's guest.
fn el1(view: &mut View, vcpu: &Vcpu) {
    for (register, there) in vcpu.features.el1_registers() {
        if there {
            view.same(&[register]);
        }
    }
    if matches!(vcpu.guest.level, Level::L2 { nv3: true, .. }) {
        view.same(&["NVHCR_EL2"]);
    }
}

/// At virtual EL2.
fn virtual_el2(view: &mut View, vcpu: &Vcpu, cpus: &Cpus, e2h: bool) {
    let has = vcpu.features;
    for (register, cpu) in [
        ("ESR_EL2", "ESR_EL1"),
        ("AFSR0_EL2", "AFSR0_EL1"),
        ("AFSR1_EL2", "AFSR1_EL1"),
        ("FAR_EL2", "FAR_EL1"),
        ("MAIR_EL2", "MAIR_EL1"),
        ("VBAR_EL2", "VBAR_EL1"),
        ("CONTEXTIDR_EL2", "CONTEXTIDR_EL1"),
        ("AMAIR_EL2", "AMAIR_EL1"),
        ("SP_EL2", "SP_EL1"),
        ("ELR_EL2", "ELR_EL1"),
        ("SPSR_EL2", "SPSR_EL1"),
    ] {
        view.loaded(register, cpu, What::All);
    }
    if has.sctlr2 {
        view.loaded("SCTLR2_EL2", "SCTLR2_EL1", What::All);
    }
    // Without E2H the layouts differ, and the guest's accesses trap.
    let (sctlr, ttbr0, tcr, tcr2) = match e2h {
        true => (What::All, What::All, What::All, What::All),
        false => (
            translated!(translate_sctlr_el2_to_sctlr_el1),
            translated!(translate_ttbr0_el2_to_ttbr0_el1),
            translated!(translate_tcr_el2_to_tcr_el1),
            What::Effect(identity),
        ),
    };
    // Without FEAT_NV2p1 accesses to CPACR_EL1 trap, and some bits of
    // CNTHCTL_EL2 are not to be had by the name CNTKCTL_EL1.
    let (cptr, cnthctl) = match (e2h, cpus.nv2p1) {
        (true, true) => (What::All, Some(What::All)),
        (true, false) => (What::Effect(identity), Some(What::Bits(CNTKCTL))),
        (false, _) => (translated!(translate_cptr_el2_to_cpacr_el1), None),
    };
    view.loaded("SCTLR_EL2", "SCTLR_EL1", sctlr);
    view.loaded("TTBR0_EL2", "TTBR0_EL1", ttbr0);
    view.loaded("TCR_EL2", "TCR_EL1", tcr);
    view.loaded("CPTR_EL2", "CPACR_EL1", cptr);
    if let Some(cnthctl) = cnthctl {
        view.loaded("CNTHCTL_EL2", "CNTKCTL_EL1", cnthctl);
    }
    if e2h {
        view.loaded("TTBR1_EL2", "TTBR1_EL1", What::All);
    }
    if has.tcr2 {
        view.loaded("TCR2_EL2", "TCR2_EL1", tcr2);
        if has.s1pie {
            view.loaded("PIR_EL2", "PIR_EL1", tcr2);
            view.loaded("PIRE0_EL2", "PIRE0_EL1", tcr2);
        }
        if has.s1poe {
            view.loaded("POR_EL2", "POR_EL1", tcr2);
        }
    }
}

struct View(Vec<InCpu>);

impl View {
    fn add(&mut self, register: &'static str, cpu: &'static str, when: When, what: What) {
        self.0.push(InCpu {
            register,
            cpu,
            when,
            what,
        });
    }

    fn loaded(&mut self, register: &'static str, cpu: &'static str, what: What) {
        self.add(register, cpu, When::Loaded, what);
    }

    fn running(&mut self, register: &'static str, cpu: &'static str, what: What) {
        self.add(register, cpu, When::Running, what);
    }

    fn same(&mut self, registers: &[&'static str]) {
        for register in registers {
            self.loaded(register, register, What::All);
        }
    }
}
