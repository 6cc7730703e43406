// SPDX-License-Identifier: GPL-2.0
//! Traps: while a guest runs they are as its vCPU has them, and afterwards the
//! host has its own.

use super::super::host::{Host, HYP_VECTOR, THIS_CPU_VECTOR};
use super::super::machine::{self, mark, Level};
use super::super::{names, runner};
use super::fp_state::kept;
use super::symbols::__kvm_hyp_host_vector;
use super::{all_features, c, plain, trap, FP_ASIMD, IRQ};
use crate::arm64::registers::HCR_EL2;
use crate::{bindings, Access, Mode};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Capabilities that decide on traps, beside those that `Cpus` has.
const CAPABILITIES: [u32; 11] = [
    bindings::ARM64_HAS_CNP,
    bindings::ARM64_HAS_PMUV3,
    bindings::ARM64_HAS_HCX,
    bindings::ARM64_HAS_FGT,
    bindings::ARM64_HAS_FGT2,
    bindings::ARM64_HAS_GICV5_CPUIF,
    bindings::ARM64_MPAM_HCR,
    bindings::ARM64_HAS_ECV_CNTPOFF,
    bindings::ARM64_HAS_NV3,
    bindings::ARM64_WORKAROUND_CAVIUM_TX2_219_TVM,
    bindings::ARM64_WORKAROUND_AMPERE_AC04_CPU_23,
];

/// Each register of fine-grained traps, its place in `fgt`, whether it is for
/// writes, and what it takes: `enum fgt_group_id` and `vcpu_fgt()`.
const FINE_GRAINED: [(&str, usize, bool, &[u32]); 14] = [
    ("HFGRTR_EL2", 1, false, FGT),
    ("HFGWTR_EL2", 1, true, FGT),
    ("HDFGRTR_EL2", 2, false, FGT),
    ("HDFGWTR_EL2", 2, true, FGT),
    ("HFGITR_EL2", 3, false, FGT),
    ("HAFGRTR_EL2", 4, false, FGT),
    ("HFGRTR2_EL2", 5, false, FGT2),
    ("HFGWTR2_EL2", 5, true, FGT2),
    ("HDFGRTR2_EL2", 6, false, FGT2),
    ("HDFGWTR2_EL2", 6, true, FGT2),
    ("HFGITR2_EL2", 7, false, FGT2),
    ("ICH_HFGRTR_EL2", 8, false, GICV5),
    ("ICH_HFGWTR_EL2", 8, true, GICV5),
    ("ICH_HFGITR_EL2", 9, false, GICV5),
];
const FGT: &[u32] = &[bindings::ARM64_HAS_FGT];
const FGT2: &[u32] = &[bindings::ARM64_HAS_FGT, bindings::ARM64_HAS_FGT2];
const GICV5: &[u32] = &[bindings::ARM64_HAS_GICV5_CPUIF];

const VSE: u64 = 1 << 8;
const TVM: u64 = 1 << 26;
/// `HCR_EL2` bits that a guest hypervisor sets for its guest but not for the
/// CPU: `HCR_TGE | HCR_API | HCR_APK | HCR_FIEN`.
const NV_HCR_EXCLUDE: u64 = (1 << 27) | (1 << 41) | (1 << 40) | (1 << 47);
/// `HCRX_EL2_TMEA | HCRX_EL2_PTTWI | HCRX_EL2_EnIDCP128`.
const NV_HCRX_EXCLUDE: u64 = (1 << 19) | (1 << 16) | (1 << 21);

/// One host with one guest.
#[derive(Clone, Debug)]
struct Case {
    cpus: machine::Cpus,
    guest: machine::Guest,
    capabilities: Vec<u32>,
    has_amu: bool,
    seed: u64,
    uses_fp: bool,
    /// The guest takes a virtual SError that is pending.
    takes_serror: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (
        machine::cpus(&Mode::ALL),
        machine::guest(),
        prop_oneof![
            Just(CAPABILITIES.to_vec()),
            prop::sample::subsequence(CAPABILITIES.to_vec(), 0..=CAPABILITIES.len()),
        ],
        any::<[bool; 3]>(),
        any::<u64>(),
    )
        .prop_map(|(cpus, guest, capabilities, flags, seed)| Case {
            guest: machine::Guest {
                // Where the mode is that of the level.
                pstate: 0x3c5,
                // Not to be run again.
                aarch32: guest.aarch32 && !(cpus.pkvm && guest.is_protected),
                ..guest
            },
            cpus,
            capabilities,
            has_amu: flags[0],
            seed,
            uses_fp: flags[1],
            takes_serror: flags[2],
        })
}

impl Case {
    fn has(&self, capability: u32) -> bool {
        self.capabilities.contains(&capability)
    }

    fn mark(&self, name: &str) -> u64 {
        mark(&format!("vCPU {}", self.seed), name)
    }

    /// Gives a vCPU its traps.
    fn fill(&self, vcpu: &mut machine::Vcpu) {
        for name in [
            "HCR_EL2",
            "HCRX_EL2",
            "VSESR_EL2",
            "VNCR_EL2",
            "CNTP_CVAL_EL0",
            "CNTHP_CVAL_EL2",
        ] {
            *vcpu.kept(name) = self.mark(&format!("virtual {name}"));
        }
        let is_32bit = vcpu.guest.aarch32;
        let e2h = self.cpus.mode != Mode::Nvhe;
        let arch = &mut vcpu.vcpu.arch;
        arch.hcr_el2 = HCR_EL2::from(self.mark("HCR_EL2"))
            .with_rw(!is_32bit)
            .with_e2h(e2h)
            .with_tge(false)
            .into();
        arch.hcrx_el2 = self.mark("HCRX_EL2");
        arch.mdcr_el2 = self.mark("MDCR_EL2");
        arch.vsesr_el2 = self.mark("VSESR_EL2");
        for (number, group) in arch.fgt.iter_mut().enumerate() {
            group.r = self.mark(&format!("fgt {number} r"));
            group.w = self.mark(&format!("fgt {number} w"));
        }
    }

    /// What the CPU has to have while the guest runs, by `switch.h` and
    /// `vhe/switch.c`. `host` is what was there before.
    fn expected(
        &self,
        vcpu: &mut machine::Vcpu,
        host: &BTreeMap<&'static str, u64>,
        owns: bool,
    ) -> BTreeMap<&'static str, u64> {
        let mut expected = BTreeMap::new();
        let has = vcpu.features;
        let level = vcpu.guest.level;
        let at_el2 = matches!(level, Level::VirtualEl2 { .. });
        let nested = matches!(level, Level::L2 { .. });
        let answers = vcpu.vcpu.arch.answers.clone();
        let mut of_guest = |name: &str| {
            let value = *vcpu.kept(name);
            vcpu.sanitised(name, value)
        };
        let [virtual_hcr, virtual_hcrx, virtual_vsesr, virtual_vncr] =
            ["HCR_EL2", "HCRX_EL2", "VSESR_EL2", "VNCR_EL2"].map(&mut of_guest);
        let [cval, hp_cval] = ["CNTP_CVAL_EL0", "CNTHP_CVAL_EL2"].map(&mut of_guest);
        let hcr_of_zero = vcpu.sanitised("HCR_EL2", 0);
        let arch = &vcpu.vcpu.arch;

        let mut hcr = arch.hcr_el2;
        if at_el2 {
            // HCR_NV | HCR_NV2 | HCR_AT | HCR_TTLB
            hcr |= (1 << 42) | (1 << 45) | (1 << 44) | (1 << 25);
            if !answers.vcpu_el2_e2h_is_set {
                // HCR_NV1
                hcr |= 1 << 43;
            }
            hcr |= hcr_of_zero & !NV_HCR_EXCLUDE;
            expected.insert("VNCR_EL2", arch.ctxt.vncr_array.addr() as u64);
        } else if nested {
            let mut guest_hcr = virtual_hcr;
            if guest_hcr & (1 << 42) != 0 {
                expected.insert("VNCR_EL2", bindings::VNCR_FIXMAP | (virtual_vncr & 0xfff));
                guest_hcr |= 1 << 45;
            }
            // TWE, TWEDEn and TWEDEL.
            if guest_hcr & (1 << 14) == 0 {
                guest_hcr &= !((1 << 59) | (0xf << 60));
            }
            hcr |= guest_hcr & !NV_HCR_EXCLUDE;
        }
        if self.has(bindings::ARM64_WORKAROUND_CAVIUM_TX2_219_TVM) {
            hcr |= TVM;
        }
        expected.insert("HCR_EL2", hcr);

        if self.cpus.have.ras && hcr & VSE != 0 {
            let vsesr = match (answers.vserror_state_is_nested, has.ras) {
                (false, _) => arch.vsesr_el2,
                (true, true) => virtual_vsesr,
                (true, false) => 1 << 24,
            };
            expected.insert("VSESR_EL2", vsesr);
        }
        if self.has(bindings::ARM64_HAS_HCX) {
            let mut hcrx = arch.hcrx_el2;
            if nested {
                hcrx |= virtual_hcrx & !NV_HCRX_EXCLUDE;
                hcrx &= !(!virtual_hcrx & !NV_HCRX_EXCLUDE);
            }
            expected.insert("HCRX_EL2", hcrx);
        }
        for (name, group, is_for_writes, needs) in FINE_GRAINED {
            let is_there = needs.iter().all(|capability| self.has(*capability))
                && (name != "HAFGRTR_EL2" || self.has_amu);
            let group = &arch.fgt[group];
            let value = if is_for_writes { group.w } else { group.r };
            expected.insert(name, if is_there { value } else { host[name] });
        }
        // HSTR_EL2.T15.
        expected.insert("HSTR_EL2", 1 << 15);
        if self.has(bindings::ARM64_HAS_PMUV3) {
            expected.insert("PMUSERENR_EL0", 0xf);
            expected.insert("PMSELR_EL0", 0);
        } else {
            expected.insert("PMUSERENR_EL0", host["PMUSERENR_EL0"]);
        }
        if self.cpus.mpam {
            // EnMPAMSM, TRAPMPAM0EL1, TRAPMPAM1EL1 and TIDR.
            let mut mpam2 = host["MPAM2_EL2"] & !(1 << 50) | (1 << 49) | (1 << 48);
            if self.has(bindings::ARM64_MPAM_HCR) {
                expected.insert("MPAMHCR_EL2", 1 << 31);
            } else {
                mpam2 |= 1 << 58;
            }
            expected.insert("MPAM2_EL2", mpam2);
        } else {
            expected.insert("MPAM2_EL2", host["MPAM2_EL2"]);
        }
        if self.cpus.mode != Mode::Vhe {
            expected.insert("MDCR_EL2", arch.mdcr_el2);
        } else if self.has(bindings::ARM64_HAS_ECV_CNTPOFF) {
            expected.insert("CNTP_CVAL_EL0", if at_el2 { hp_cval } else { cval });
        }
        expected.insert("VBAR_EL2", HYP_VECTOR as u64);
        // Nested guests have tests of their own.
        if !has.nv {
            let cptr = match self.cpus.mode {
                Mode::Nvhe => c::activate_nvhe(owns, has.sve),
                Mode::Vhe | Mode::Hvhe => c::activate_e2h(owns, has.sve, None),
            };
            expected.insert("CPTR_EL2", cptr);
        }
        let mmu = &vcpu.mmu;
        let vmid = (mmu.vmid.id.counter as u64 & 0xffff) << 48;
        expected.insert("VTCR_EL2", mmu.vtcr);
        let tables = (mmu.pgd_phys | (mmu.pgd_phys >> 46)) & 0xffff_ffff_fffc;
        let cnp = u64::from(self.has(bindings::ARM64_HAS_CNP));
        expected.insert("VTTBR_EL2", tables | vmid | cnp);
        expected
    }
}

/// What the CPU has after the guest was put, where it is not what the host had
/// before it was loaded.
fn changed(case: &Case, name: &str) -> bool {
    let cval_is_guests = case.cpus.mode == Mode::Vhe;
    match name {
        "HSTR_EL2" | "PMSELR_EL0" | "MPAMHCR_EL2" | "MPAM2_EL2" => true,
        "VSESR_EL2" | "VNCR_EL2" | "VTCR_EL2" | "VTTBR_EL2" | "VBAR_EL2" => true,
        "CNTP_CVAL_EL0" => cval_is_guests,
        _ => false,
    }
}

const CONTROLS: [&str; 26] = [
    "HCR_EL2",
    "HCRX_EL2",
    "HFGRTR_EL2",
    "HFGWTR_EL2",
    "HDFGRTR_EL2",
    "HDFGWTR_EL2",
    "HFGITR_EL2",
    "HAFGRTR_EL2",
    "HFGRTR2_EL2",
    "HFGWTR2_EL2",
    "HDFGRTR2_EL2",
    "HDFGWTR2_EL2",
    "HFGITR2_EL2",
    "ICH_HFGRTR_EL2",
    "ICH_HFGWTR_EL2",
    "ICH_HFGITR_EL2",
    "MDCR_EL2",
    "HSTR_EL2",
    "PMUSERENR_EL0",
    "PMSELR_EL0",
    "MPAM2_EL2",
    "MPAMHCR_EL2",
    "VSESR_EL2",
    "VBAR_EL2",
    "CNTP_CVAL_EL0",
    "VNCR_EL2",
];

fn run(case: &Case) {
    let mut host = Host::with_guests(case.cpus, &[case.guest]);
    for vcpu in &mut host.vcpus {
        case.fill(vcpu);
    }
    for capability in &case.capabilities {
        host.cpu().add_capability(*capability);
    }
    let pfr0 = if case.has_amu { 1 << 44 } else { 0 };
    names::set(host.cpu(), "ID_AA64PFR0_EL1", pfr0);
    let mode = case.cpus.mode;
    let cptr_of_host = match mode {
        Mode::Nvhe => c::deactivate_nvhe(case.cpus.have.sve, false),
        Mode::Vhe | Mode::Hvhe => {
            c::deactivate_e2h(case.cpus.have.sve, false, case.cpus.have.s1poe)
        }
    };
    names::set(host.cpu(), "CPTR_EL2", cptr_of_host);
    let read = |host: &mut Host| -> BTreeMap<&'static str, u64> {
        let value = |name: &&'static str| (*name, names::get(host.cpu(), name));
        CONTROLS.iter().map(value).collect()
    };
    for name in CONTROLS.iter().filter(|name| **name != "HCR_EL2") {
        names::set(host.cpu(), name, mark(&format!("host {}", case.seed), name));
    }
    let before = read(&mut host);

    host.load(0);
    let runs = host.runs(0);
    host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
    if case.cpus.pkvm {
        // What the host may say goes over to EL2, which the tests of pKVM are
        // about.
        let hcr = host.vcpus[runs].vcpu.arch.hcr_el2;
        host.vcpus[0].vcpu.arch.hcr_el2 = hcr;
        host.vcpus[0].guest.level = case.guest.level;
    }
    host.vcpus[runs].link();
    let expected = [false, true].map(|owns| case.expected(&mut host.vcpus[runs], &before, owns));
    let flags = host.vcpus[runs].vcpu.arch.sflags;
    let mut entries = 0;
    host.enter(0, &mut |cpu, vcpu| {
        let owns = entries == 1;
        for (name, expected) in &expected[usize::from(owns)] {
            // The bit of an SError that it has taken is for below.
            let taken = owns && case.takes_serror && *name == "HCR_EL2";
            let found = names::get(cpu, name);
            let expected = if taken { expected & !VSE } else { *expected };
            assert_eq!(found, expected, "{name} {owns} {case:?}");
        }
        if case.has(bindings::ARM64_HAS_PMUV3) {
            assert!(vcpu.arch.sflags & bindings::PMUSERENR_ON_CPU != 0);
        }
        if case.takes_serror {
            let hcr = names::get(cpu, "HCR_EL2") & !VSE;
            names::set(cpu, "HCR_EL2", hcr);
        }
        entries += 1;
        match case.uses_fp && entries == 1 {
            true => trap(cpu, FP_ASIMD, 0),
            false => IRQ,
        }
    });
    // The vCPU knows whether an SError is still pending.
    let nested_serror = host.vcpus[runs].vcpu.arch.answers.vserror_state_is_nested;
    let pending = match nested_serror {
        true => *kept(&mut host.vcpus[runs].vcpu, "HCR_EL2") & VSE,
        false => host.vcpus[runs].vcpu.arch.hcr_el2 & VSE,
    };
    if case.takes_serror {
        assert_eq!(pending, 0, "{case:?}");
    }
    host.put(0);

    let after = read(&mut host);
    for (name, before) in before {
        if !changed(case, name) {
            assert_eq!(after[name], before, "the host's {name} {case:?}");
        }
    }
    let found = names::get(host.cpu(), "CPTR_EL2");
    assert_eq!(found, cptr_of_host, "{case:?}");
    assert_eq!(after["HSTR_EL2"], 0);
    if case.cpus.mpam {
        // EnMPAMSM, and no traps.
        let bits = (1 << 50) | (1 << 49) | (1 << 48) | (1 << 58);
        assert_eq!(after["MPAM2_EL2"] & bits, 1 << 50);
        if case.has(bindings::ARM64_MPAM_HCR) {
            assert_eq!(after["MPAMHCR_EL2"], 0);
        }
    }
    let vectors = match mode {
        Mode::Vhe => THIS_CPU_VECTOR,
        Mode::Nvhe | Mode::Hvhe => (&raw const __kvm_hyp_host_vector).addr(),
    };
    assert_eq!(after["VBAR_EL2"], vectors as u64);
    // And flags of somebody else's stay.
    let flags = match case.has(bindings::ARM64_HAS_PMUV3) {
        true => flags & !bindings::PMUSERENR_ON_CPU,
        false => flags,
    };
    let mine = !bindings::SYSREGS_ON_CPU;
    assert_eq!(host.vcpus[runs].vcpu.arch.sflags & mine, flags & mine);
    if mode != Mode::Vhe {
        assert_eq!(names::get(host.cpu(), "VTTBR_EL2"), 0, "{case:?}");
    }
}

#[test]
fn traps_are_the_vcpus_while_it_runs_and_the_hosts_afterwards() {
    let outcome = runner().run(&case(), |case| {
        run(&case);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

/// Runs the guest once, and returns whether that reads `HCRX_EL2`.
fn reads_hcrx(host: &mut Host) -> bool {
    let is_there = |host: &mut Host| {
        let is_hcrx =
            |access: &Access| matches!(access, Access::Read { name, .. } if *name == "HCRX_EL2");
        host.cpu().trace().iter().any(is_hcrx)
    };
    // Each of them begins a trace.
    host.load(0);
    let by_load = is_there(host);
    host.enter(0, &mut |_, _| IRQ);
    let by_entry = is_there(host);
    host.put(0);
    by_load || by_entry || is_there(host)
}

#[test]
fn what_the_host_has_in_registers_of_traps_is_read_once_where_they_are() {
    for mode in Mode::ALL {
        for has_hcx in [false, true] {
            let guest = plain(machine::Features::default());
            let mut host = Host::with_guests(all_features(mode, false), &[guest]);
            if has_hcx {
                host.cpu().add_capability(bindings::ARM64_HAS_HCX);
            }
            assert_eq!(reads_hcrx(&mut host), has_hcx, "the first time: {mode:?}");
            assert!(!reads_hcrx(&mut host), "once more: {mode:?}");
        }
    }
}
