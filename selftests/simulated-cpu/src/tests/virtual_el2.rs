// SPDX-License-Identifier: GPL-2.0
//! A guest at its virtual EL2, and beside it: where its registers are in the
//! CPU under VHE, and in which order they get there.

use super::functions::*;
use super::host::Host;
use super::machine::{
    mark, place, Cpus, DebugOwner, Features, Guest, Level, Vcpu, AARCH32_REGISTERS,
};
use super::{names, written};
use crate::{Access, Mode};

const IL: u64 = 1 << 20;

const L2: Level = Level::L2 {
    takes_serrors: false,
    nv3: false,
};

const AT_EL2: Level = Level::VirtualEl2 { e2h: true };
const AT_EL2_WITHOUT_E2H: Level = Level::VirtualEl2 { e2h: false };

/// A host with a guest at `level`, which has whatever the CPUs have.
fn host(level: Level, nv2p1: bool, writable_imp_id_regs: bool) -> Host {
    let cpus = Cpus {
        mode: Mode::Vhe,
        have: Features::from_bits(!0),
        nv2p1,
        mpam: false,
        speculative_at: true,
        pkvm: false,
    };
    let guest = Guest {
        has: Features {
            nv: level != Level::El1,
            ..cpus.have
        },
        level,
        pstate: 0,
        aarch32: level == Level::El1,
        debug_owner: DebugOwner::Free,
        writable_imp_id_regs,
        is_protected: false,
    };
    Host::new(cpus, vec![Vcpu::new("guest", &cpus, guest)])
}

/// The registers of virtual EL2 whose layout E2H decides on, with those that
/// they stand in, and what C makes of a value for the latter without E2H.
type Translation = unsafe fn(u64) -> u64;
const TRANSLATED: [(&str, &str, Translation); 4] = [
    (
        "SCTLR_EL2",
        "SCTLR_EL1",
        bindings::translate_sctlr_el2_to_sctlr_el1,
    ),
    (
        "CPTR_EL2",
        "CPACR_EL1",
        bindings::translate_cptr_el2_to_cpacr_el1,
    ),
    (
        "TTBR0_EL2",
        "TTBR0_EL1",
        bindings::translate_ttbr0_el2_to_ttbr0_el1,
    ),
    ("TCR_EL2", "TCR_EL1", bindings::translate_tcr_el2_to_tcr_el1),
];

#[test]
fn without_e2h_a_translation_is_in_the_cpu_and_memory_stays() {
    let mut host = host(AT_EL2_WITHOUT_E2H, true, false);
    let before = |name| names::get(&Cpus::cpu(&host.cpus), name);
    let untouched = [
        ("TTBR1_EL1", before("TTBR1_EL1")),
        ("CNTKCTL_EL1", before("CNTKCTL_EL1")),
    ];
    host.call(0, LOAD);
    for (el2, el1, translate) in TRANSLATED {
        let guests = host.vcpus[0].sanitised(el2, mark("guest", el2));
        // SAFETY: A stand-in.
        let expected = unsafe { translate(guests) };
        assert_eq!(names::get(host.cpu(), el1), expected, "{el1}");
        names::set(host.cpu(), el1, 0);
    }
    for (name, value) in untouched {
        assert_eq!(names::get(host.cpu(), name), value, "{name}");
        names::set(host.cpu(), name, 0);
    }
    host.call(0, PUT);
    let others = ["TTBR1_EL2", "CNTHCTL_EL2"];
    for el2 in TRANSLATED.map(|(el2, ..)| el2).into_iter().chain(others) {
        assert_eq!(*host.vcpus[0].kept(el2), mark("guest", el2), "{el2}");
    }
}

#[test]
fn with_e2h_the_cpu_has_the_very_value() {
    let mut host = host(AT_EL2, true, false);
    host.call(0, LOAD);
    let same = [("TTBR1_EL2", "TTBR1_EL1"), ("CNTHCTL_EL2", "CNTKCTL_EL1")];
    let pairs = TRANSLATED.map(|(el2, el1, _)| (el2, el1));
    for (el2, el1) in pairs.into_iter().chain(same) {
        let guests = host.vcpus[0].sanitised(el2, mark("guest", el2));
        assert_eq!(names::get(host.cpu(), el1), guests, "{el1}");
        names::set(host.cpu(), el1, mark("later", el2));
    }
    host.call(0, PUT);
    for (el2, _) in pairs.into_iter().chain(same) {
        let guests = host.vcpus[0].sanitised(el2, mark("later", el2));
        assert_eq!(*host.vcpus[0].kept(el2), guests, "{el2}");
    }
}

#[test]
fn without_nv2p1_cptr_stays_in_memory_and_cnthctl_keeps_bits_there() {
    let mut host = host(AT_EL2, false, false);
    host.call(0, LOAD);
    names::set(host.cpu(), "CPACR_EL1", mark("later", "CPTR_EL2"));
    names::set(host.cpu(), "CNTKCTL_EL1", mark("later", "CNTHCTL_EL2"));
    host.call(0, PUT);
    assert_eq!(*host.vcpus[0].kept("CPTR_EL2"), mark("guest", "CPTR_EL2"));
    // EL0PCTEN to EL0PTEN and EVNTIS.
    let valid = (1 << 17) | 0x3ff;
    let both = (mark("guest", "CNTHCTL_EL2") & !valid) | (mark("later", "CNTHCTL_EL2") & valid);
    let expected = host.vcpus[0].sanitised("CNTHCTL_EL2", both);
    assert_eq!(*host.vcpus[0].kept("CNTHCTL_EL2"), expected);
}

#[test]
fn el1_of_the_guest_is_kept_while_it_is_at_virtual_el2() {
    for level in [AT_EL2, AT_EL2_WITHOUT_E2H] {
        let mut host = host(level, true, false);
        host.call(0, LOAD);
        host.call(0, PUT);
        for (_, el1, _) in TRANSLATED {
            assert_eq!(*host.vcpus[0].kept(el1), mark("guest", el1), "{el1}");
            let spare = host.vcpus[0].vcpu.arch.ctxt.sys_regs[place(el1)];
            assert_eq!(spare, mark("guest", "unused"), "{el1} outside of the page");
        }
    }
}

#[test]
fn virtual_el2_is_entered_as_el1_and_real_el2_never() {
    for level in [AT_EL2, AT_EL2_WITHOUT_E2H, L2, Level::El1] {
        for (pstate, expected) in [
            (0x3c8, 0x3c4),
            (0x6000_03c9, 0x6000_03c5),
            (0x3cc, 0x9 | IL),
            (0x6000_03cd, 0x9 | IL),
            (0x3c5, 0x3c5),
            (0x3c0, 0x3c0),
        ] {
            let mut host = host(level, true, false);
            host.vcpus[0].move_to(level, pstate);
            host.call(0, LOAD);
            host.call(0, RESTORE_GUEST);
            assert_eq!(names::get(host.cpu(), "SPSR_EL2"), expected, "{pstate:#x}");
            assert_eq!(names::get(host.cpu(), "ELR_EL2"), mark("guest", "pc"));
            host.call(0, SAVE_GUEST);
            // __kvm_vcpu_run() has turned it back by then.
            assert_eq!(host.vcpus[0].vcpu.arch.ctxt.regs.pstate, pstate);
        }
    }
}

#[test]
fn the_identity_of_a_guest_is_its_own_or_its_hypervisors_choice() {
    let own = ("guest", "MIDR_EL1", "MPIDR_EL1");
    let l1s_choice = ("guest", "VPIDR_EL2", "VMPIDR_EL2");
    for (level, writable, (owner, midr, mpidr)) in [
        (Level::El1, true, own),
        (AT_EL2, true, own),
        (AT_EL2_WITHOUT_E2H, true, own),
        (L2, true, l1s_choice),
        (L2, false, l1s_choice),
        (Level::El1, false, ("host", "MIDR_EL1", "MPIDR_EL1")),
        (AT_EL2, false, ("host", "MIDR_EL1", "MPIDR_EL1")),
    ] {
        let mut host = host(level, true, writable);
        host.call(0, LOAD);
        let found = names::get(host.cpu(), "VPIDR_EL2");
        assert_eq!(found, mark(owner, midr), "{level:?} {writable}");
        // Userspace can always choose MPIDR_EL1.
        let found = names::get(host.cpu(), "VMPIDR_EL2");
        assert_eq!(found, mark("guest", mpidr), "{level:?} {writable}");
    }
}

#[test]
fn the_tables_of_el1_change_after_what_governs_walks() {
    for level in [Level::El1, L2] {
        let mut host = host(level, true, false);
        host.call(0, LOAD);
        let trace = host.cpu().trace();
        let at = |name| written(trace, name).unwrap_or_else(|| panic!("{name} is not written"));
        assert!(at("SCTLR_EL12") < at("TCR_EL12"));
        assert!(at("TCR_EL12") < at("TTBR0_EL12"));
        assert!(at("TTBR0_EL12") < at("TTBR1_EL12"));
        // The erratum is one without VHE: nothing has to be forbidden.
        assert!(!trace.contains(&Access::Isb));
        let tcr = names::get(host.cpu(), "TCR_EL1");
        assert_eq!(tcr, mark("guest", "TCR_EL1"));
    }
}

#[test]
fn walks_of_another_level_are_completed_before_registers_of_el1_change() {
    for level in Level::ALL {
        let mut host = host(level, true, false);
        host.call(0, LOAD);
        let trace = host.cpu().trace();
        let barrier = trace.iter().position(|a| *a == Access::Dsb("nsh"));
        assert_eq!(barrier.is_some(), level != Level::El1, "{level:?}");
        let first = trace.iter().position(|a| matches!(a, Access::Write { .. }));
        assert!(barrier <= first, "{level:?}");
    }
}

#[test]
fn aarch32_registers_come_first() {
    let mut host = host(Level::El1, true, false);
    host.call(0, LOAD);
    let trace = host.cpu().trace();
    let writes = trace.iter().filter_map(|access| match access {
        Access::Write { name, .. } => Some(*name),
        _ => None,
    });
    let first = writes.take(AARCH32_REGISTERS.len());
    assert!(first.eq(AARCH32_REGISTERS));
}

#[test]
fn features_are_worked_out_again_at_each_load() {
    let mut host = host(Level::El1, true, false);
    // A vCPU is loaded for KVM_SET_ONE_REG, too, which takes a feature away.
    host.call(0, LOAD);
    host.call(0, PUT);
    host.vcpus[0].kvm.arch.id_regs = [0; 56];
    host.call(0, LOAD);
    let trace = host.cpu().trace();
    assert_eq!(written(trace, "TCR2_EL12"), None);
    // While it runs nothing changes, so nobody looks.
    host.vcpus[0].kvm.arch.id_regs = [u64::MAX; 56];
    host.call(0, SAVE_HOST);
    assert_eq!(host.cpu().trace().len(), 1);
    host.call(0, RESTORE_GUEST);
    assert_eq!(written(host.cpu().trace(), "POR_EL0"), None);
}
