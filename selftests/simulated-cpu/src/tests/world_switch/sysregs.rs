// SPDX-License-Identifier: GPL-2.0
//! Trapped accesses to system registers that EL2 answers, and how it goes past
//! them.

use super::super::host::Host;
use super::super::machine::{mark, Features, Level};
use super::super::names;
use super::fp_state::FpState;
use super::{access, all_features, nested, plain, trap, writes, IRQ, MODES, SYS64};
use crate::{bindings, Access, Cpu};

const CNTPCT: [u64; 5] = [3, 3, 14, 0, 1];
const CNTVCT: [u64; 5] = [3, 3, 14, 0, 2];
const CNTPCTSS: [u64; 5] = [3, 3, 14, 0, 5];
const CNTVCTSS: [u64; 5] = [3, 3, 14, 0, 6];
const CNTP_CTL: [u64; 5] = [3, 3, 14, 2, 1];
const CNTP_CVAL: [u64; 5] = [3, 3, 14, 2, 2];
const CNTV_CTL: [u64; 5] = [3, 3, 14, 3, 1];
const CNTV_CVAL: [u64; 5] = [3, 3, 14, 3, 2];
const CNTP_CTL_EL02: [u64; 5] = [3, 5, 14, 2, 1];
const CNTP_CVAL_EL02: [u64; 5] = [3, 5, 14, 2, 2];
const CNTV_CTL_EL02: [u64; 5] = [3, 5, 14, 3, 1];
const CNTV_CVAL_EL02: [u64; 5] = [3, 5, 14, 3, 2];
const TCR_EL1: [u64; 5] = [3, 0, 2, 0, 2];
const CPACR_EL1: [u64; 5] = [3, 0, 1, 0, 2];
const ZCR_EL2: [u64; 5] = [3, 4, 1, 2, 0];

/// What a guest writes to `CNTP_CVAL_EL0` before it is left for an access.
fn written_cval(encoding: [u64; 5]) -> u64 {
    mark("guest's CVAL", &format!("{encoding:?}"))
}

/// The guest's registers after an access that it traps by, if EL2 has answered
/// it. `x` is what is in each register before.
fn answered(host: &mut Host, encoding: [u64; 5], rt: u64, is_read: bool) -> Option<[u64; 31]> {
    let mut entries = 0;
    let mut after = None;
    host.enter(0, &mut |cpu, vcpu| {
        entries += 1;
        if entries == 2 {
            assert_eq!(names::get(cpu, "ELR_EL2"), 0x1004);
            assert_eq!(names::get(cpu, "SPSR_EL2"), 0x3c5);
            after = Some(vcpu.arch.ctxt.regs.regs);
            return IRQ;
        }
        for (n, x) in vcpu.arch.ctxt.regs.regs.iter_mut().enumerate() {
            *x = mark("guest", &format!("X{n}"));
        }
        names::set(cpu, "ELR_EL2", 0x1000);
        // It may write to its timer.
        names::set(cpu, "CNTP_CVAL_EL0", written_cval(encoding));
        // With a step pending, behind a branch.
        names::set(cpu, "SPSR_EL2", 0x3c5 | (1 << 21) | (0b10 << 10));
        trap(cpu, SYS64, access(encoding, rt, is_read))
    });
    after
}

/// What register X`rt` is after an access that reads, which changes no other.
fn read(host: &mut Host, encoding: [u64; 5], rt: u64) -> Option<u64> {
    let after = answered(host, encoding, rt, true)?;
    for (n, x) in after.into_iter().enumerate() {
        if n as u64 != rt {
            assert_eq!(x, mark("guest", &format!("X{n}")), "X{n}");
        }
    }
    Some(after.get(rt as usize).copied().unwrap_or(0))
}

#[test]
fn sysregs_counters_are_read_with_the_offset_of_the_right_timer() {
    for (mode, pkvm) in MODES {
        for (encoding, timer) in [(CNTPCT, 0), (CNTPCTSS, 0), (CNTVCT, 1), (CNTVCTSS, 1)] {
            for bits in 0..4 {
                let has = Features::default();
                let mut host = Host::with_guests(all_features(mode, pkvm), &[plain(has)]);
                let runs = host.runs(0);
                let [vm, vcpu] = [1, 2].map(|bit| if bits & bit != 0 { bit * 0x100 } else { 0 });
                for (n, offsets) in host.vcpus[runs].offsets.iter_mut().enumerate() {
                    *offsets = match n == timer {
                        true => [vm, vcpu],
                        false => [0x1111_0000, 0x2222_0000],
                    };
                }
                host.vcpus[runs].link();
                host.load(0);
                for rt in [0, 7, 30, 31] {
                    let found = read(&mut host, encoding, rt).expect("an answer");
                    if rt != 31 {
                        let expected = host.cpu().counter.wrapping_sub(vm + vcpu);
                        assert_eq!(found, expected, "{mode:?} {encoding:?} {bits}");
                    }
                }
            }
        }
    }
}

#[test]
fn sysregs_counters_of_an_l2_are_read_if_its_hypervisor_lets_it() {
    for (encoding, is_physical) in [
        (CNTPCT, true),
        (CNTPCTSS, true),
        (CNTVCT, false),
        (CNTVCTSS, false),
    ] {
        for e2h in [false, true] {
            let bits = [0, 10, 13, 14].map(|bit: u32| 1 << bit);
            let without = bits.map(|bit: u64| !bit);
            for cnthctl in bits.into_iter().chain(without).chain([0, !0]) {
                let level = Level::L2 {
                    takes_serrors: false,
                    nv3: e2h,
                };
                let mut host = nested(level);
                assert_eq!(host.vcpus[0].vcpu.arch.answers.vcpu_el2_e2h_is_set, e2h);
                *host.vcpus[0].kept("CNTHCTL_EL2") = cnthctl;
                let cnthctl = host.vcpus[0].sanitised("CNTHCTL_EL2", cnthctl);
                host.load(0);
                let bit = match (is_physical, e2h) {
                    (true, false) => cnthctl & 1 != 0,
                    (true, true) => cnthctl & (1 << 10) != 0,
                    // EL1TVCT; bit 13 is EL1TVT, which is about the timer.
                    (false, _) => cnthctl & (1 << 14) == 0,
                };
                let found = read(&mut host, encoding, 3).is_some();
                assert_eq!(found, bit, "{encoding:?} {e2h} {cnthctl:#x}");
            }
        }
    }
}

#[test]
fn sysregs_timers_of_a_guest_hypervisor_are_read_as_in_c() {
    for e2h in [false, true] {
        for cntpoff in [false, true] {
            for has_offset in [false, true] {
                for fired in [false, true] {
                    let mut host = nested(Level::VirtualEl2 { e2h });
                    if cntpoff {
                        host.cpu().add_capability(bindings::ARM64_HAS_ECV_CNTPOFF);
                    }
                    let hp_offset = if has_offset { 0x40 } else { 0 };
                    *host.vcpus[0].offsets = [[0x10, 0], [0, 0x20], [0x30, 3], [hp_offset, 0]];
                    host.vcpus[0].link();
                    let cval = if fired { 5 } else { u64::MAX };
                    for (name, value) in [
                        ("CNTP_CTL_EL0", 0xf1),
                        ("CNTV_CTL_EL0", 0xf9),
                        ("CNTP_CVAL_EL0", cval),
                        ("CNTV_CVAL_EL0", cval),
                        ("CNTHP_CVAL_EL2", 0x7777),
                    ] {
                        *host.vcpus[0].kept(name) = value;
                    }
                    let [p_ctl, v_ctl, p_cval, v_cval, hp_cval] = [
                        "CNTP_CTL_EL0",
                        "CNTV_CTL_EL0",
                        "CNTP_CVAL_EL0",
                        "CNTV_CVAL_EL0",
                        "CNTHP_CVAL_EL2",
                    ]
                    .map(|name| {
                        let value = *host.vcpus[0].kept(name);
                        host.vcpus[0].sanitised(name, value)
                    });
                    host.load(0);
                    let in_cpu = |name: &str| mark("in the CPU", name);
                    for name in [
                        "CNTP_CTL_EL0",
                        "CNTP_CVAL_EL0",
                        "CNTV_CTL_EL0",
                        "CNTV_CVAL_EL0",
                    ] {
                        names::set(host.cpu(), name, in_cpu(name));
                    }
                    // The physical timer fires this very moment, or at the next.
                    let start = p_cval
                        .wrapping_add(0x10)
                        .wrapping_sub(if fired { 1 } else { 2 });
                    // ISTATUS, by the counters of EL1.
                    let status = |ctl: u64, cval: u64, offset: u64| {
                        let has_fired = cval <= (start + 1).wrapping_sub(offset);
                        ctl & !4 | if has_fired { 4 } else { 0 }
                    };
                    let emulated_p = status(p_ctl, p_cval, 0x10);
                    let emulated_v = status(v_ctl, v_cval, 0x20);
                    // What is in the CPU has the offset in it, unless the CPU has one.
                    let own_p_cval = match !cntpoff && has_offset {
                        true => hp_cval,
                        false => written_cval(CNTP_CVAL),
                    };
                    let own = |cpu: u64, emulated: u64| if e2h { cpu } else { emulated };
                    for (encoding, expected) in [
                        (CNTP_CTL_EL02, emulated_p),
                        (CNTP_CTL, own(in_cpu("CNTP_CTL_EL0"), emulated_p)),
                        (CNTP_CVAL_EL02, p_cval),
                        (CNTP_CVAL, own(own_p_cval, p_cval)),
                        (CNTV_CTL_EL02, emulated_v),
                        (CNTV_CTL, own(in_cpu("CNTV_CTL_EL0"), emulated_v)),
                        (CNTV_CVAL_EL02, v_cval),
                        (CNTV_CVAL, own(in_cpu("CNTV_CVAL_EL0"), v_cval)),
                        (CNTPCT, (start + 1).wrapping_sub(hp_offset)),
                        (CNTPCTSS, (start + 1).wrapping_sub(hp_offset)),
                        (CNTVCT, (start + 1).wrapping_sub(0x33)),
                        (CNTVCTSS, (start + 1).wrapping_sub(0x33)),
                    ] {
                        host.cpu().counter = start;
                        names::set(host.cpu(), "CNTPOFF_EL2", 0);
                        let found = read(&mut host, encoding, 9);
                        let context = format!("{encoding:?} {e2h} {cntpoff} {has_offset} {fired}");
                        assert_eq!(found, Some(expected), "{context}");
                        let found = answered(&mut host, encoding, 9, false);
                        assert!(found.is_none(), "a write: {context}");
                    }
                }
            }
        }
    }
}

#[test]
fn sysregs_of_stage_1_are_written_for_the_guest_on_a_thunderx2() {
    let registers: [(&str, [u64; 5]); 12] = [
        ("SCTLR_EL1", [3, 0, 1, 0, 0]),
        ("TTBR0_EL1", [3, 0, 2, 0, 0]),
        ("TTBR1_EL1", [3, 0, 2, 0, 1]),
        ("TCR_EL1", TCR_EL1),
        ("ESR_EL1", [3, 0, 5, 2, 0]),
        ("FAR_EL1", [3, 0, 6, 0, 0]),
        ("AFSR0_EL1", [3, 0, 5, 1, 0]),
        ("AFSR1_EL1", [3, 0, 5, 1, 1]),
        ("MAIR_EL1", [3, 0, 10, 2, 0]),
        ("AMAIR_EL1", [3, 0, 10, 3, 0]),
        ("CONTEXTIDR_EL1", [3, 0, 13, 0, 1]),
        // Not one of them.
        ("VBAR_EL1", [3, 0, 12, 0, 0]),
    ];
    for (mode, pkvm) in MODES {
        for (erratum, traps) in [(false, false), (true, false), (true, true)] {
            for (name, encoding) in registers {
                for rt in [4, 31] {
                    let mut host =
                        Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
                    if erratum {
                        host.cpu()
                            .add_capability(bindings::ARM64_WORKAROUND_CAVIUM_TX2_219_TVM);
                    }
                    for vcpu in &mut host.vcpus {
                        // HCR_TVM: the kernel wants to see it.
                        vcpu.vcpu.arch.hcr_el2 |= if traps { 1 << 26 } else { 0 };
                    }
                    host.load(0);
                    let others = registers.map(|(other, _)| other);
                    let others = others.into_iter().filter(|other| *other != name);
                    let of_others = |cpu: &Cpu| -> Vec<u64> {
                        others.clone().map(|other| names::get(cpu, other)).collect()
                    };
                    let mut before = Vec::new();
                    let mut found = None;
                    let mut entries = 0;
                    host.enter(0, &mut |cpu, vcpu| {
                        entries += 1;
                        if entries == 2 {
                            found = Some(names::get(cpu, name));
                            assert_eq!(of_others(cpu), before, "{mode:?} {name}");
                            assert_eq!(names::get(cpu, "ELR_EL2"), 0x1004, "{mode:?} {name}");
                            return IRQ;
                        }
                        before = of_others(cpu);
                        names::set(cpu, "ELR_EL2", 0x1000);
                        vcpu.arch.ctxt.regs.regs[4] = 0x1234_5678;
                        trap(cpu, SYS64, access(encoding, rt, false))
                    });
                    if entries == 1 {
                        assert_eq!(host.vcpu(0).arch.ctxt.regs.pc, 0x1000, "{mode:?} {name}");
                    }
                    let value = if rt == 31 { 0 } else { 0x1234_5678 };
                    let is_written = erratum && !traps && name != "VBAR_EL1";
                    let expected = is_written.then_some(value);
                    assert_eq!(found, expected, "{mode:?} {name}");
                }
            }
        }
    }
}

#[test]
fn sysregs_tcr_el1_has_no_ha_and_hd_on_an_ampereone() {
    for (mode, pkvm) in MODES {
        for erratum in [false, true] {
            let mut host =
                Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
            if erratum {
                host.cpu()
                    .add_capability(bindings::ARM64_WORKAROUND_AMPERE_AC03_CPU_38);
            }
            host.load(0);
            for encoding in [TCR_EL1, CPACR_EL1] {
                let mut found = None;
                let mut entries = 0;
                host.enter(0, &mut |cpu, vcpu| {
                    entries += 1;
                    if entries == 2 {
                        found = Some(names::get(cpu, "TCR_EL1"));
                        assert_eq!(names::get(cpu, "ELR_EL2"), 0x1004, "{mode:?}");
                        return IRQ;
                    }
                    names::set(cpu, "ELR_EL2", 0x1000);
                    vcpu.arch.ctxt.regs.regs[4] = !0;
                    trap(cpu, SYS64, access(encoding, 4, false))
                });
                let is_answered = erratum && encoding == TCR_EL1;
                let expected = is_answered.then_some(!((1 << 39) | (1 << 40)));
                assert_eq!(found, expected, "{mode:?} {encoding:?}");
            }
        }
    }
}

#[test]
fn sysregs_cptr_el2_is_reached_by_cpacr_el1_without_nv2p1() {
    for nv2p1 in [false, true] {
        for level in Level::nested() {
            let mut host = nested(*level);
            if nv2p1 {
                host.cpu().add_capability(bindings::ARM64_HAS_NV2P1);
            }
            host.load(0);
            let at_el2 = matches!(level, Level::VirtualEl2 { .. });
            let kept = *host.vcpus[0].kept("CPTR_EL2");
            let found = read(&mut host, CPACR_EL1, 5);
            assert_eq!(found, (at_el2 && !nv2p1).then_some(kept), "{level:?}");

            let after = answered(&mut host, CPACR_EL1, 5, false);
            assert_eq!(after.is_some(), at_el2 && !nv2p1, "{level:?}");
            if after.is_some() {
                assert_eq!(*host.vcpus[0].kept("CPTR_EL2"), mark("guest", "X5"));
                // The CPU's traps are set anew.
                assert_eq!(writes(host.cpu(), "CPACR_EL1"), 3, "{level:?}");
            }
        }
    }
}

#[test]
fn sysregs_zcr_el2_is_for_the_kernel_with_the_guests_registers_in_the_cpu() {
    for level in Level::ALL {
        for owns in [false, true] {
            let mut host = nested(level);
            host.load(0);
            let guests = FpState::of("guest");
            host.set_fp_in_memory(0, &guests);
            // Nothing traps by the guest hypervisor's wish.
            *host.vcpus[0].kept("CPTR_EL2") = !0;
            if owns {
                host.give_fp_to_guest(0);
            }
            assert!(answered(&mut host, ZCR_EL2, 0, true).is_none(), "{level:?}");
            let loads = host
                .cpu()
                .trace()
                .iter()
                .any(|access| matches!(access, Access::LoadSve { .. }));
            if owns || level == Level::El1 {
                assert!(!loads, "{level:?}");
                assert_eq!(host.guest_owns_fp(), owns, "{level:?}");
            } else if level == (Level::VirtualEl2 { e2h: true }) {
                assert!(loads && host.guest_owns_fp(), "{level:?}");
            }
        }
    }
}

#[test]
fn sysregs_are_gone_past_in_aarch32_state_as_c_does() {
    for (mode, pkvm) in MODES {
        let mut host = Host::with_guests(
            all_features(mode, pkvm),
            &[super::aarch32(Features::default())],
        );
        host.load(0);
        let mut entries = 0;
        host.enter(0, &mut |cpu, _| {
            entries += 1;
            if entries == 2 {
                // By the stand-in, and a step over it is over.
                assert_eq!(names::get(cpu, "ELR_EL2"), 0x1002);
                assert_eq!(names::get(cpu, "SPSR_EL2"), 0x1d3);
                return IRQ;
            }
            names::set(cpu, "ELR_EL2", 0x1000);
            names::set(cpu, "SPSR_EL2", 0x1d3 | (1 << 21));
            trap(cpu, SYS64, access(CNTVCT, 0, true))
        });
        assert_eq!(entries, 2, "{mode:?}");
    }
}
