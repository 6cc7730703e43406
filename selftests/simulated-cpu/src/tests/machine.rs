// SPDX-License-Identifier: GPL-2.0
//! CPUs and guests of all kinds, described, and made of simulated CPUs and
//! stand-ins for the structures of KVM.

use super::names;
use crate::arm64::registers::HCR_EL2;
use crate::{answers, kvm, kvm_cpu_context, kvm_s2_mmu, kvm_vcpu, Cpu, FpRegisters, Mode};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Registers and states that not every CPU has, or not every guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) tcr2: bool,
    pub(super) s1pie: bool,
    pub(super) s1poe: bool,
    pub(super) sctlr2: bool,
    pub(super) mte: bool,
    pub(super) ras: bool,
    pub(super) nv: bool,
    pub(super) sve: bool,
    pub(super) fpmr: bool,
}

impl Features {
    /// The features whose bits are set, of 9.
    pub(super) fn from_bits(bits: u16) -> Self {
        let bit = |number: u16| bits & (1 << number) != 0;
        Self {
            tcr2: bit(0),
            s1pie: bit(1),
            s1poe: bit(2),
            sctlr2: bit(3),
            mte: bit(4),
            ras: bit(5),
            nv: bit(6),
            sve: bit(7),
            fpmr: bit(8),
        }
    }

    /// Those that `other` has as well.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            tcr2: self.tcr2 && other.tcr2,
            s1pie: self.s1pie && other.s1pie,
            s1poe: self.s1poe && other.s1poe,
            sctlr2: self.sctlr2 && other.sctlr2,
            mte: self.mte && other.mte,
            ras: self.ras && other.ras,
            nv: self.nv && other.nv,
            sve: self.sve && other.sve,
            fpmr: self.fpmr && other.fpmr,
        }
    }
}

/// The registers of EL1 that a guest has whatever its features are.
const EL1_REGISTERS: [&str; 17] = [
    "SCTLR_EL1",
    "CPACR_EL1",
    "TTBR0_EL1",
    "TTBR1_EL1",
    "TCR_EL1",
    "ESR_EL1",
    "AFSR0_EL1",
    "AFSR1_EL1",
    "FAR_EL1",
    "MAIR_EL1",
    "VBAR_EL1",
    "CONTEXTIDR_EL1",
    "AMAIR_EL1",
    "CNTKCTL_EL1",
    "SP_EL1",
    "ELR_EL1",
    "SPSR_EL1",
];

/// What a guest has in AArch32 state at EL1, in the order in which it is switched.
pub(super) const AARCH32_REGISTERS: [&str; 7] = [
    "SPSR_abt",
    "SPSR_und",
    "SPSR_irq",
    "SPSR_fiq",
    "DACR32_EL2",
    "IFSR32_EL2",
    "DBGVCR32_EL2",
];

impl Features {
    /// The registers of EL1, each with whether a guest with these features has
    /// it.
    pub(super) fn el1_registers(self) -> impl Iterator<Item = (&'static str, bool)> {
        let some = [
            ("TCR2_EL1", self.tcr2),
            ("PIR_EL1", self.tcr2 && self.s1pie),
            ("PIRE0_EL1", self.tcr2 && self.s1pie),
            ("POR_EL1", self.tcr2 && self.s1poe),
            ("SCTLR2_EL1", self.sctlr2),
            ("TFSR_EL1", self.mte),
            ("TFSRE0_EL1", self.mte),
        ];
        EL1_REGISTERS
            .map(|name| (name, true))
            .into_iter()
            .chain(some)
    }
}

/// What the CPUs of a machine have, and the mode that the kernel came up in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpus {
    pub(super) mode: Mode,
    pub(super) have: Features,
    pub(super) nv2p1: bool,
    pub(super) mpam: bool,
    /// ARM64_WORKAROUND_SPECULATIVE_AT.
    pub(super) speculative_at: bool,
    /// The hypervisor protects itself from the host. Never under VHE.
    pub(super) pkvm: bool,
}

impl Cpus {
    /// One of them. Each register has a value of the host's.
    pub(super) fn cpu(&self) -> Cpu {
        let mut cpu = Cpu::new(self.mode);
        let have = self.have;
        for (has, capability) in [
            (true, bindings::ARM64_HAS_FPSIMD),
            (have.tcr2, bindings::ARM64_HAS_TCR2),
            (have.s1pie, bindings::ARM64_HAS_S1PIE),
            (have.s1poe, bindings::ARM64_HAS_S1POE),
            (have.sctlr2, bindings::ARM64_HAS_SCTLR2),
            (have.mte, bindings::ARM64_MTE),
            (have.ras, bindings::ARM64_HAS_RAS_EXTN),
            (have.nv, bindings::ARM64_HAS_NESTED_VIRT),
            (have.sve, bindings::ARM64_SVE),
            (have.fpmr, bindings::ARM64_HAS_FPMR),
            (self.pkvm, bindings::ARM64_KVM_PROTECTED_MODE),
            (self.nv2p1, bindings::ARM64_HAS_NV2P1),
            (self.mpam, bindings::ARM64_MPAM),
            (
                self.speculative_at,
                bindings::ARM64_WORKAROUND_SPECULATIVE_AT,
            ),
        ] {
            if has {
                cpu.add_capability(capability);
            }
        }
        if !have.sve {
            cpu.remove_sve();
        }
        if !have.fpmr {
            cpu.remove_fpmr();
        }
        fill_cpu(&mut cpu, "host");
        cpu
    }
}

/// Where a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// At its EL1 or EL0, without a virtual EL2.
    El1,
    /// At its virtual EL2, or at EL0 below that with `HCR_EL2.TGE` set.
    VirtualEl2 {
        /// Its `HCR_EL2.E2H`.
        e2h: bool,
    },
    /// In a guest of its own.
    L2 {
        /// It takes the physical SErrors of that guest.
        takes_serrors: bool,
        /// It uses FEAT_NV3.
        nv3: bool,
    },
}

impl Level {
    pub(super) const ALL: [Self; 7] = [
        Self::El1,
        Self::VirtualEl2 { e2h: false },
        Self::VirtualEl2 { e2h: true },
        Self::l2(false, false),
        Self::l2(false, true),
        Self::l2(true, false),
        Self::l2(true, true),
    ];

    const fn l2(takes_serrors: bool, nv3: bool) -> Self {
        Self::L2 { takes_serrors, nv3 }
    }

    /// Those of a guest with a virtual EL2.
    pub(super) fn nested() -> &'static [Self] {
        &Self::ALL[1..]
    }

    /// What C works out of the vCPU's registers there.
    fn answers(self) -> answers {
        let mut answers = answers::default();
        match self {
            Self::El1 => (),
            Self::VirtualEl2 { e2h } => {
                answers.is_hyp_ctxt = true;
                answers.vcpu_el2_e2h_is_set = e2h;
            }
            Self::L2 { takes_serrors, nv3 } => {
                // Whatever L1 has: it does not matter to L2.
                answers.vcpu_el2_e2h_is_set = nv3;
                answers.vserror_state_is_nested = takes_serrors;
                answers.is_nested_nv3_ctxt = nv3;
            }
        }
        answers
    }
}

/// Who uses the debug registers while a guest runs: `vcpu->arch.debug_owner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DebugOwner {
    Free = 0,
    Host = 1,
    Guest = 2,
}

impl DebugOwner {
    pub(super) const ALL: [Self; 3] = [Self::Free, Self::Host, Self::Guest];
}

/// What a guest is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest {
    /// What userspace gave it; where the CPUs lack that, it counts for nothing.
    pub(super) has: Features,
    /// Matters if it has a virtual EL2, and the CPUs what that needs.
    pub(super) level: Level,
    pub(super) pstate: u64,
    /// EL1 is in AArch32 state.
    pub(super) aarch32: bool,
    pub(super) debug_owner: DebugOwner,
    /// Userspace has set MIDR_EL1.
    pub(super) writable_imp_id_regs: bool,
    /// One of pKVM's protected ones, where there is pKVM.
    pub(super) is_protected: bool,
}

/// Values of PSTATE: all modes, legal and illegal, with other bits.
pub(super) fn pstate() -> impl Strategy<Value = u64> {
    let mode = prop_oneof![
        4 => prop::sample::select(vec![0x0u64, 0x4, 0x5, 0x8, 0x9, 0x10, 0x13]),
        1 => 0..0x20u64,
    ];
    (mode, any::<u64>()).prop_map(|(mode, rest)| (rest & !0x1f) | mode)
}

/// CPUs in one of the modes.
pub(super) fn cpus(modes: &'static [Mode]) -> impl Strategy<Value = Cpus> {
    let flags = any::<[bool; 4]>();
    let mode = prop::sample::select(modes);
    // Mostly CPUs that have all, or each guest would have little.
    let have = prop_oneof![2 => Just(!0u16), 1 => any::<u16>()];
    (mode, have, flags).prop_map(|(mode, have, flags)| Cpus {
        mode,
        have: Features::from_bits(have),
        nv2p1: flags[0],
        mpam: flags[1],
        speculative_at: flags[2] && mode != Mode::Hvhe,
        pkvm: flags[3] && mode != Mode::Vhe,
    })
}

/// Guests of all kinds.
pub(super) fn guest() -> impl Strategy<Value = Guest> {
    (
        any::<u16>(),
        prop::sample::select(Level::nested()),
        pstate(),
        any::<[bool; 3]>(),
        prop::sample::select(&DebugOwner::ALL[..]),
    )
        .prop_map(|(has, level, pstate, flags, debug_owner)| {
            let has = Features::from_bits(has);
            Guest {
                has,
                level: if has.nv { level } else { Level::El1 },
                pstate,
                // None with a virtual EL2.
                aarch32: flags[0] && !has.nv,
                debug_owner,
                writable_imp_id_regs: flags[1],
                is_protected: flags[2],
            }
        })
}

/// A value that tells whose it is, and of what.
pub(super) fn mark(owner: &str, name: &str) -> u64 {
    let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    let text = owner.bytes().chain([b' ']).chain(name.bytes());
    text.fold(0xcbf2_9ce4_8422_2325, hash)
}

/// Registers that [`fill_cpu`] leaves alone.
pub(super) const NOT_FILLED: [&str; 2] = ["HCR_EL2", "CPTR_EL2"];

/// Gives each register of a CPU a value of `owner`'s. `HCR_EL2` keeps its own:
/// the kernel's mode is in it; and `CPTR_EL2`, which says what the kernel can
/// use.
pub(super) fn fill_cpu(cpu: &mut Cpu, owner: &str) {
    for name in names::REGISTERS {
        if !NOT_FILLED.contains(name) {
            names::set(cpu, name, mark(owner, name));
        }
    }
}

/// Where each register is in `struct kvm_cpu_context`.
static PLACES: LazyLock<BTreeMap<&str, usize>> = LazyLock::new(|| {
    let places = bindings::VCPU_SYSREGS.iter();
    places
        .map(|(name, place)| (*name, *place as usize))
        .collect()
});

/// The place of register `name` in `struct kvm_cpu_context`.
pub(super) fn place(name: &str) -> usize {
    let place = PLACES.get(name);
    *place.unwrap_or_else(|| panic!("enum vcpu_sysreg has no {name}"))
}

/// The first place that is in the VNCR page of a vCPU that has one.
pub(super) const VNCR_START: usize = bindings::vcpu_sysreg___VNCR_START__ as usize;

/// The first place whose register has bits that some guests do not have.
const SANITISED_START: usize = bindings::vcpu_sysreg___SANITISED_REG_START__ as usize;

/// Gives each register that a context has a place for a value of `owner`'s.
pub(super) fn fill_context(context: &mut kvm_cpu_context, owner: &str) {
    for (name, place) in PLACES.iter() {
        context.sys_regs[*place] = mark(owner, name);
    }
    context.regs.pc = mark(owner, "pc");
    context.spsr_abt = mark(owner, "spsr_abt");
    context.spsr_und = mark(owner, "spsr_und");
    context.spsr_irq = mark(owner, "spsr_irq");
    context.spsr_fiq = mark(owner, "spsr_fiq");
}

/// Where a register of a vCPU is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Pc,
    ExternalMdscr,
    SpsrAbt,
    SpsrUnd,
    SpsrIrq,
    SpsrFiq,
    /// In the array, or in the VNCR page.
    Place(usize),
}

impl Kept {
    /// That of a register, by its name or by that of its field.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "pc" => Self::Pc,
            "external_mdscr_el1" => Self::ExternalMdscr,
            "spsr_abt" => Self::SpsrAbt,
            "spsr_und" => Self::SpsrUnd,
            "spsr_irq" => Self::SpsrIrq,
            "spsr_fiq" => Self::SpsrFiq,
            _ => Self::Place(place(name)),
        }
    }
}

/// A vCPU of a VM of its own.
pub(super) struct Vcpu {
    pub(super) guest: Guest,
    pub(super) vcpu: Box<kvm_vcpu>,
    /// The VNCR page of one that has a virtual EL2, from its start.
    pub(super) vncr: Vec<u64>,
    /// The SVE registers, for the longest vector of the guest.
    pub(super) sve_state: Vec<u8>,
    /// Stage 2.
    pub(super) mmu: Box<kvm_s2_mmu>,
    /// The VM's and the vCPU's offset of each timer.
    pub(super) offsets: Box<[[u64; 2]; 4]>,
    pub(super) kvm: Box<kvm>,
    /// What the guest has, where the CPUs have it.
    pub(super) features: Features,
    /// The guest is a protected one, and there is pKVM.
    pub(super) is_protected: bool,
}

impl Vcpu {
    /// A vCPU that has not run, each of its registers with a value of `name`'s.
    pub(super) fn new(name: &str, cpus: &Cpus, guest: Guest) -> Self {
        let mut features = guest.has.and(cpus.have);
        // Without VHE KVM runs none with a virtual EL2.
        features.nv &= cpus.mode == Mode::Vhe;
        let mut kvm = Box::<kvm>::default();
        let bit = |has: bool, shift: u32| u64::from(has) << shift;
        let has = guest.has;
        kvm.arch.flags = bit(has.mte, bindings::KVM_ARCH_FLAG_MTE_ENABLED)
            | bit(has.sve, bindings::KVM_ARCH_FLAG_GUEST_HAS_SVE)
            | bit(
                guest.writable_imp_id_regs,
                bindings::KVM_ARCH_FLAG_WRITABLE_IMP_ID_REGS,
            );
        kvm.arch.vcpu_features[0] = bit(has.nv, bindings::KVM_ARM_VCPU_HAS_EL2);
        kvm.arch.midr_el1 = mark(name, "MIDR_EL1");
        // ID_AA64MMFR3_EL1, CRm 7, op2 3.
        kvm.arch.id_regs[(6 << 3) | 3] =
            bit(has.tcr2, 0) | bit(has.sctlr2, 4) | bit(has.s1pie, 8) | bit(has.s1poe, 16);
        // ID_AA64PFR0_EL1, CRm 4, op2 0.
        kvm.arch.id_regs[3 << 3] = bit(has.ras, 28);
        // ID_AA64PFR2_EL1, CRm 4, op2 2.
        kvm.arch.id_regs[(3 << 3) | 2] = bit(has.fpmr, 32);
        kvm.arch.pkvm.is_protected = guest.is_protected;

        let mut vcpu = Box::<kvm_vcpu>::default();
        fill_context(&mut vcpu.arch.ctxt, name);
        vcpu.arch.external_mdscr_el1 = mark(name, "external_mdscr_el1");
        vcpu.arch.hcr_el2 = HCR_EL2::from(0)
            .with_rw(!guest.aarch32)
            .with_e2h(cpus.mode != Mode::Nvhe)
            .into();
        vcpu.arch.debug_owner = guest.debug_owner as u32;
        // Flags that are somebody else's.
        let ours =
            bindings::SYSREGS_ON_CPU | bindings::IN_NESTED_ERET | bindings::IN_NESTED_EXCEPTION;
        vcpu.arch.sflags = !ours & mark(name, "sflags") as u16;
        let vncr = match features.nv {
            true => vcpu.arch.ctxt.sys_regs[VNCR_START..].to_vec(),
            false => Vec::new(),
        };
        if features.nv {
            // Nobody may look for them here then.
            vcpu.arch.ctxt.sys_regs[VNCR_START..].fill(mark(name, "unused"));
        }
        // Shorter than the longest of the host.
        vcpu.arch.sve_max_vl = 48;
        let mut mmu = Box::<kvm_s2_mmu>::default();
        mmu.vtcr = mark(name, "vtcr");
        mmu.pgd_phys = mark(name, "pgd_phys") & 0x000f_ffff_ffff_f000;
        mmu.vmid.id.counter = mark(name, "vmid") as i64;
        let sve_state = FpRegisters::filled(mark(name, "Z")).sve(vcpu.arch.sve_max_vl as usize);
        let mut made = Self {
            guest,
            vcpu,
            vncr,
            sve_state,
            mmu,
            offsets: Box::default(),
            kvm,
            features,
            is_protected: guest.is_protected && cpus.pkvm,
        };
        made.move_to(guest.level, guest.pstate);
        made
    }

    /// Moves the guest between EL1 and its virtual EL2, as an exception or an
    /// ERET that KVM emulates does.
    pub(super) fn move_to(&mut self, level: Level, pstate: u64) {
        let level = if self.features.nv { level } else { Level::El1 };
        self.guest.level = level;
        self.guest.pstate = pstate;
        self.vcpu.arch.answers = level.answers();
        self.vcpu.arch.ctxt.regs.pstate = pstate;
    }

    /// Points the structures at each other.
    pub(super) fn link(&mut self) {
        self.vcpu.kvm = &raw mut *self.kvm;
        if self.features.nv {
            self.vcpu.arch.ctxt.vncr_array = self.vncr.as_mut_ptr();
        }
        self.vcpu.arch.sve_state = self.sve_state.as_mut_ptr().cast();
        self.vcpu.arch.hw_mmu = &raw mut *self.mmu;
        let timers = self.vcpu.arch.timer_cpu.timers.iter_mut();
        for (timer, [vm, vcpu]) in timers.zip(self.offsets.iter_mut()) {
            // NULL is no offset.
            let place = |offset: &mut u64| match *offset {
                0 => std::ptr::null_mut(),
                _ => std::ptr::from_mut(offset),
            };
            timer.offset.vm_offset = place(vm);
            timer.offset.vcpu_offset = place(vcpu);
        }
    }

    /// Returns where a register is kept; those that have no place in the array
    /// go by the names of their fields.
    pub(super) fn kept(&mut self, name: &str) -> &mut u64 {
        self.kept_at(Kept::of(name))
    }

    /// As [`Self::kept`].
    pub(super) fn kept_at(&mut self, kept: Kept) -> &mut u64 {
        let arch = &mut self.vcpu.arch;
        match kept {
            Kept::Pc => &mut arch.ctxt.regs.pc,
            Kept::ExternalMdscr => &mut arch.external_mdscr_el1,
            Kept::SpsrAbt => &mut arch.ctxt.spsr_abt,
            Kept::SpsrUnd => &mut arch.ctxt.spsr_und,
            Kept::SpsrIrq => &mut arch.ctxt.spsr_irq,
            Kept::SpsrFiq => &mut arch.ctxt.spsr_fiq,
            Kept::Place(place) if self.features.nv && place >= VNCR_START => {
                &mut self.vncr[place - VNCR_START]
            }
            Kept::Place(place) => &mut arch.ctxt.sys_regs[place],
        }
    }

    /// The names that [`Self::kept`] knows.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        let fields = [
            "pc",
            "external_mdscr_el1",
            "spsr_abt",
            "spsr_und",
            "spsr_irq",
            "spsr_fiq",
        ];
        fields.into_iter().chain(PLACES.keys().copied())
    }

    /// Returns `value` with those bits only that the guest's register `name`
    /// has.
    pub(super) fn sanitised(&self, name: &str, value: u64) -> u64 {
        match PLACES.get(name) {
            Some(place) => self.sanitised_at(Kept::Place(*place), value),
            None => value,
        }
    }

    /// As [`Self::sanitised`].
    pub(super) fn sanitised_at(&self, kept: Kept, value: u64) -> u64 {
        match kept {
            Kept::Place(place) if self.features.nv && place >= SANITISED_START => {
                let vcpu = &raw const *self.vcpu;
                // SAFETY: A stand-in.
                unsafe { bindings::kvm_vcpu_apply_reg_masks(vcpu, place as u32, value) }
            }
            _ => value,
        }
    }
}
