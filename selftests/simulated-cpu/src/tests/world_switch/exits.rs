// SPDX-License-Identifier: GPL-2.0
//! Exits of all kinds, in all modes: what EL2 handles is what the C handles, and
//! whatever a syndrome says, it comes to an end.

use super::super::host::Host;
use super::super::machine::{self, mark, Features, Level};
use super::super::names;
use super::{all_features, plain, trap, HVC64, IRQ, SERROR_PENDING, SYS64, TRAP};
use crate::{bindings, set_static_keys, set_tlbi_error, Mode, Translation};

/// Whose exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Vhe,
    VirtualEl2 { e2h: bool },
    L2,
    Nvhe,
    Hvhe,
    Trusting,
    Protected,
}

const KINDS: [Kind; 8] = [
    Kind::Vhe,
    Kind::VirtualEl2 { e2h: false },
    Kind::VirtualEl2 { e2h: true },
    Kind::L2,
    Kind::Nvhe,
    Kind::Hvhe,
    Kind::Trusting,
    Kind::Protected,
];

/// The classes that a table of handlers in C has an entry for:
/// `hyp_exit_handlers` of `vhe/switch.c` and of `nvhe/switch.c`, and
/// `pvm_exit_handlers`. That of Apple's class never handles the exit.
fn has_handler(kind: Kind, class: u64) -> bool {
    let both = [0x07, 0x18, 0x19, 0x20, 0x24, 0x27, 0x34];
    let more: &[u64] = match kind {
        Kind::Vhe | Kind::VirtualEl2 { .. } | Kind::L2 => &[0x03, 0x1a],
        Kind::Nvhe | Kind::Hvhe | Kind::Trusting => &[0x03],
        Kind::Protected => &[0x16],
    };
    both.contains(&class) || more.contains(&class)
}

/// A host with a guest of a kind, which is loaded.
fn host(kind: Kind) -> Host {
    let mode = match kind {
        Kind::Vhe | Kind::VirtualEl2 { .. } | Kind::L2 => Mode::Vhe,
        Kind::Hvhe => Mode::Hvhe,
        Kind::Nvhe | Kind::Trusting | Kind::Protected => Mode::Nvhe,
    };
    let level = match kind {
        Kind::VirtualEl2 { e2h } => Level::VirtualEl2 { e2h },
        Kind::L2 => Level::L2 {
            takes_serrors: false,
            nv3: false,
        },
        _ => Level::El1,
    };
    let has = Features {
        nv: level != Level::El1,
        ..Features::from_bits(!0)
    };
    let guest = machine::Guest {
        has,
        level,
        is_protected: kind == Kind::Protected,
        ..plain(has)
    };
    let pkvm = matches!(kind, Kind::Trusting | Kind::Protected);
    let mut host = Host::with_guests(all_features(mode, pkvm), &[guest]);
    host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
    host.load(0);
    host
}

/// Runs the guest, which is left by a syndrome once. Returns whether it was
/// entered again, and the exit code.
fn leave(host: &mut Host, class: u64, iss: u64, code: u64) -> (bool, u64) {
    let mut entries = 0;
    let code = host.enter(0, &mut |cpu, _| {
        entries += 1;
        assert!(entries < 3, "{class:#x} {iss:#x} goes on and on");
        if entries == 2 {
            return IRQ;
        }
        // It is as in vcpu.arch.answers: at EL1, from where a virtual EL2 is.
        names::set(cpu, "SPSR_EL2", 0x3c5);
        trap(cpu, class, iss);
        code
    });
    (entries == 2, code)
}

/// ISS values: all ones, none, each bit, and others, as a function of a class.
fn values(class: u64) -> impl Iterator<Item = u64> {
    let random = (0..6).map(move |n| mark(&format!("{class} {n}"), "ISS") & 0x1ff_ffff);
    [0, 0x1ff_ffff].into_iter().chain(random)
}

#[test]
fn exits_are_handled_for_the_classes_of_c_alone_and_come_to_an_end() {
    for kind in KINDS {
        let mut handled = Vec::new();
        let mut host = host(kind);
        for class in 0..0x40 {
            for iss in values(class) {
                // Everything that could be handled by C is, and is not.
                for is_handled in [false, true] {
                    let answers = &mut host.vcpu(0).arch.answers;
                    answers.vgic_v3_access = i32::from(is_handled);
                    answers.vgic_v2_access = i32::from(is_handled);
                    answers.is_handled_by_pkvm = is_handled;
                    answers.eretax_is_right = is_handled;
                    set_static_keys(["vgic_v3_cpuif_trap", "vgic_v2_cpuif_trap"]);
                    host.cpu().translation = match is_handled {
                        true => Translation::Exception,
                        false => Translation::Par(0x1000),
                    };
                    // To somewhere that an ERET of a guest hypervisor leads to.
                    names::set(host.cpu(), "SPSR_EL1", 0x3c9);
                    let (again, code) = leave(&mut host, class, iss, TRAP);
                    set_static_keys(None);
                    if again {
                        handled.push(class);
                        assert!(has_handler(kind, class), "{kind:?} {class:#x} {iss:#x}");
                    } else {
                        // As it was, but for an illegal access to a GICv2.
                        assert_eq!(code, TRAP, "{kind:?} {class:#x} {iss:#x}");
                        let esr = host.vcpu(0).arch.fault.esr_el2;
                        assert_eq!(esr, (class << 26) | (1 << 25) | iss, "{kind:?}");
                    }
                }
            }
        }
        // Nothing is missing that C has.
        handled.dedup();
        let missing: Vec<_> = (0..0x40)
            .filter(|class| has_handler(kind, *class) && !handled.contains(class))
            // ERET is a guest hypervisor's.
            .filter(|class| *class != 0x1a || matches!(kind, Kind::VirtualEl2 { .. }))
            .collect();
        assert!(missing.is_empty(), "{kind:?} {missing:x?}");
    }
}

#[test]
fn exits_that_come_with_an_serror_or_an_interrupt_are_for_the_kernel() {
    for kind in KINDS {
        let mut host = host(kind);
        for class in 0..0x40 {
            for code in [IRQ, 1, 3, TRAP | SERROR_PENDING, IRQ | SERROR_PENDING] {
                let (pc, before) = (0x1000, host.vcpu(0).arch.fault.esr_el2);
                names::set(host.cpu(), "ELR_EL2", pc);
                let mut entries = 0;
                let found = host.enter(0, &mut |cpu, _| {
                    entries += 1;
                    names::set(cpu, "ELR_EL2", pc);
                    names::set(cpu, "SPSR_EL2", 0x3c5);
                    trap(cpu, class, 0);
                    code
                });
                let context = format!("{kind:?} {class:#x} {code:#x}");
                assert_eq!((found, entries), (code, 1), "{context}");

                // An interrupt has no syndrome.
                let is_irq = code & !SERROR_PENDING == IRQ;
                let esr = (class << 26) | (1 << 25);
                let expected = if is_irq { before } else { esr };
                assert_eq!(host.vcpu(0).arch.fault.esr_el2, expected, "{context}");

                // HVC is executed again after an SError: of AArch32 and of
                // AArch64 state.
                let is_hvc = [0x12, HVC64].contains(&class);
                let back = is_hvc && code & SERROR_PENDING != 0 && !is_irq;
                let expected = if back { pc - 4 } else { pc };
                assert_eq!(host.vcpu(0).arch.ctxt.regs.pc, expected, "{context}");
            }
        }
    }
}

#[test]
fn exits_of_a_protected_guest_in_aarch32_state_are_its_last() {
    let mut host = host(Kind::Protected);
    for (code, expected) in [
        (TRAP, 3),
        (IRQ, 3),
        (TRAP | SERROR_PENDING, 3 | SERROR_PENDING),
    ] {
        host.vcpu(0).arch.cflags = 0xff;
        let mut entries = 0;
        let found = host.enter(0, &mut |cpu, _| {
            entries += 1;
            // User mode, in AArch32 state.
            names::set(cpu, "SPSR_EL2", 0x10);
            trap(cpu, 0x07, 0);
            code
        });
        assert_eq!((found, entries), (expected, 1));
        // VCPU_INITIALIZED
        assert_eq!(host.vcpu(0).arch.cflags, 0xfe);
    }
    // Another's may be.
    let mut host = self::host(Kind::Trusting);
    host.vcpu(0).arch.cflags = 0xff;
    host.enter(0, &mut |cpu, _| {
        names::set(cpu, "SPSR_EL2", 0x10);
        IRQ
    });
    assert_eq!(host.vcpu(0).arch.cflags, 0xff);
}

#[test]
fn exits_go_back_to_the_guest_with_a_barrier_on_a_cortex_a77() {
    for erratum in [false, true] {
        for kind in KINDS {
            let mut host = host(kind);
            if erratum {
                host.cpu()
                    .add_capability(bindings::ARM64_WORKAROUND_1508412);
            }
            // Memory copy.
            assert!(leave(&mut host, 0x27, 1, TRAP).0);
            let barrier = crate::Access::Dmb("sy");
            let count = host.cpu().trace().iter().filter(|a| **a == barrier).count();
            assert_eq!(count, usize::from(erratum), "{kind:?}");
        }
    }
}

#[test]
fn exits_take_the_pstate_that_is_right_on_a_cortex_a510() {
    const SS: u64 = 1 << 21;
    const PAC: u64 = 0x09;
    for bits in 0..16 {
        let [erratum, debugged, steps, is_pac] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        let mut host = host(Kind::Vhe);
        if erratum {
            host.cpu()
                .add_capability(bindings::ARM64_WORKAROUND_2077057);
        }
        host.vcpu(0).guest_debug = if debugged { 2 } else { 1 };
        let pstate = 0x3c5 | if steps { SS } else { 0 };
        host.vcpu(0).arch.ctxt.regs.pstate = pstate;
        let wrong = 0x8000_03c5;
        host.enter(0, &mut |cpu, _| {
            names::set(cpu, "SPSR_EL2", wrong);
            trap(cpu, if is_pac { PAC } else { HVC64 }, 0)
        });
        let expected = if bits == 0xf { pstate } else { wrong };
        assert_eq!(host.vcpu(0).arch.ctxt.regs.pstate, expected, "{bits:#b}");
    }
}

#[test]
fn exits_to_the_pmu_of_apple_become_system_register_accesses() {
    for kind in KINDS {
        for erratum in [false, true] {
            let mut host = host(kind);
            if erratum {
                host.cpu()
                    .add_capability(bindings::ARM64_WORKAROUND_PMUV3_IMPDEF_TRAPS);
            }
            let iss = 0x123_4567;
            let high = 0xffff_ffff_fe00_0000;
            host.enter(0, &mut |cpu, _| {
                names::set(cpu, "SPSR_EL2", 0x3c5);
                names::set(cpu, "AFSR1_EL2", high | iss);
                trap(cpu, 0x3f, 0x55)
            });
            let is_vhe = matches!(kind, Kind::Vhe | Kind::VirtualEl2 { .. } | Kind::L2);
            let expected = match erratum && is_vhe {
                true => (SYS64 << 26) | (1 << 25) | iss,
                false => (0x3f << 26) | (1 << 25) | 0x55,
            };
            assert_eq!(host.vcpu(0).arch.fault.esr_el2, expected, "{kind:?}");
        }
    }
}

#[test]
fn exits_by_eret_stay_in_the_guest_if_they_lead_to_virtual_el2() {
    // SPSR_EL1, TGE, ERETAA, its signature, and what it becomes.
    for e2h in [false, true] {
        for nv3 in [false, true] {
            for bits in 0..0x20 * 8 {
                let (mode, flags) = (bits & 0x1f, bits >> 5);
                let [tge, is_eretax, is_right] = [1, 2, 4].map(|bit| flags & bit != 0);
                let mut host = host(Kind::VirtualEl2 { e2h });
                if nv3 {
                    host.cpu().add_capability(bindings::ARM64_HAS_NV3);
                }
                let answers = &mut host.vcpu(0).arch.answers;
                answers.eretax_is_right = is_right;
                answers.eretax_target = 0x7000;
                let kept = if nv3 && e2h { None } else { Some("NVHCR_EL2") };
                let mut entries = 0;
                host.enter(0, &mut |cpu, vcpu| {
                    entries += 1;
                    if entries == 1 {
                        // Where the guest hypervisor has its HCR_EL2.
                        let hcr = if tge { 1 << 27 } else { 0 };
                        match kept {
                            Some(name) => *super::fp_state::kept(vcpu, name) = hcr,
                            None => names::set(cpu, "NVHCR_EL2", hcr),
                        }
                        names::set(cpu, "SPSR_EL2", 0x3c5);
                        names::set(cpu, "SPSR_EL1", 0x6000_0000 | mode);
                        names::set(cpu, "ELR_EL1", 0x5000);
                        return trap(cpu, 0x1a, if is_eretax { 2 } else { 0 });
                    }
                    let expected = match mode {
                        0x0 => 0x0,
                        0x8 => 0x4,
                        0x9 => 0x5,
                        _ => panic!("{mode:#x} is no mode of virtual EL2"),
                    };
                    assert_eq!(names::get(cpu, "SPSR_EL2"), 0x6000_0000 | expected);
                    let target = if is_eretax { 0x7000 } else { 0x5000 };
                    assert_eq!(names::get(cpu, "ELR_EL2"), target);
                    // It is at EL1 of the CPU whatever level that is.
                    names::set(cpu, "SPSR_EL2", 0x3c5);
                    IRQ
                });
                // HCR_EL2 of the guest loses some bits where masks apply.
                let tge = {
                    let hcr = host.vcpus[0].sanitised("NVHCR_EL2", if tge { 1 << 27 } else { 0 });
                    let hcr = if nv3 && e2h && tge { 1 << 27 } else { hcr };
                    host.vcpus[0].sanitised("HCR_EL2", hcr) & (1 << 27) != 0
                };
                let is_el0 = mode == 0 && e2h && tge;
                let leads_there = is_el0 || [0x8, 0x9].contains(&mode);
                let expected = leads_there && !(nv3 && e2h) && (!is_eretax || is_right);
                assert_eq!(entries == 2, expected, "{mode:#x} {flags:#b} {e2h} {nv3}");
            }
        }
    }
}

#[test]
fn exits_by_tlbi_are_carried_out_for_the_level_that_they_are_for() {
    // Two instructions, as sys_reg() numbers them.
    let of_el1 = [1, 0, 8, 7, 0];
    let of_el2 = [1, 4, 8, 7, 0];
    let number = |[op0, op1, crn, crm, op2]: [u64; 5]| {
        ((op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5)) as u32
    };
    for kind in KINDS {
        for bits in 0..8 {
            let [tge, fails, has_vncr_tlbs] = [1, 2, 4].map(|bit| bits & bit != 0);
            for (instruction, is_of_el2) in [(of_el1, false), (of_el2, true)] {
                let mut host = host(kind);
                let answers = &mut host.vcpu(0).arch.answers;
                answers.tlbi_s1e1 = number(of_el1);
                answers.tlbi_s1e2 = number(of_el2);
                set_tlbi_error(if fails { -22 } else { 0 });
                host.vcpus[0].kvm.arch.vncr_tlb_count.counter = i32::from(has_vncr_tlbs);
                let mut entries = 0;
                let mut tge_is_set = false;
                host.enter(0, &mut |cpu, vcpu| {
                    entries += 1;
                    if entries == 2 {
                        assert_eq!(names::get(cpu, "ELR_EL2"), 0x1004);
                        return IRQ;
                    }
                    names::set(cpu, "SPSR_EL2", 0x3c5);
                    names::set(cpu, "ELR_EL2", 0x1000);
                    if matches!(kind, Kind::VirtualEl2 { .. }) {
                        *super::fp_state::kept(vcpu, "NVHCR_EL2") = if tge { !0 } else { 0 };
                    }
                    trap(cpu, SYS64, super::access(instruction, 3, false))
                });
                set_tlbi_error(0);
                if matches!(kind, Kind::VirtualEl2 { .. }) {
                    tge_is_set = *host.vcpus[0].kept("HCR_EL2") & (1 << 27) != 0;
                }
                let own_host = kind == Kind::VirtualEl2 { e2h: true } && tge_is_set;
                let is_for_el2 = matches!(kind, Kind::VirtualEl2 { .. }) && (is_of_el2 || own_host);
                let handled = is_for_el2 && !fails && !(own_host && has_vncr_tlbs);
                assert_eq!(entries == 2, handled, "{kind:?} {bits:#b} {is_of_el2}");
                let call = crate::Access::Call("__kvm_tlbi_s1e2");
                let called = host.cpu().trace().contains(&call);
                assert_eq!(called, is_for_el2, "{kind:?} {bits:#b} {is_of_el2}");
            }
        }
    }
}

#[test]
fn exits_by_eret_of_an_l2_are_for_the_kernel() {
    for mode in [0x0, 0x4, 0x5, 0x8, 0x9] {
        let mut host = host(Kind::L2);
        names::set(host.cpu(), "SPSR_EL1", mode);
        assert_eq!(leave(&mut host, 0x1a, 0, TRAP), (false, TRAP), "{mode:#x}");
    }
}

#[test]
fn exits_from_virtual_el2_have_the_pstate_of_that_level() {
    for e2h in [false, true] {
        for (in_cpu, expected) in [
            (0x6000_03c4, 0x6000_03c8),
            (0x6000_03c5, 0x6000_03c9),
            (0x6000_03c0, 0x6000_03c0),
        ] {
            let mut host = host(Kind::VirtualEl2 { e2h });
            host.enter(0, &mut |cpu, _| {
                names::set(cpu, "SPSR_EL2", in_cpu);
                IRQ
            });
            let found = host.vcpu(0).arch.ctxt.regs.pstate;
            assert_eq!(found, expected, "{e2h} {in_cpu:#x}");
        }
    }
}

#[test]
fn exits_from_virtual_el2_to_another_level_cannot_be() {
    let mut host = host(Kind::VirtualEl2 { e2h: true });
    let message = super::super::panic_of(|| {
        host.enter(0, &mut |cpu, vcpu| {
            vcpu.arch.answers.is_hyp_ctxt = false;
            names::set(cpu, "SPSR_EL2", 0x3c5);
            IRQ
        });
    });
    assert_eq!(message, "BUG()");
}
