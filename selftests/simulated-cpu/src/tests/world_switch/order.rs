// SPDX-License-Identifier: GPL-2.0
//! What has to be done in a certain order, and what is left to C: as
//! `__kvm_vcpu_run()` does it in `arch/arm64/kvm/hyp/nvhe/switch.c` and
//! `vhe/switch.c`.

use super::super::host::{Host, Image};
use super::super::machine::Features;
use super::super::names;
use super::{all_features, plain, IRQ, MODES};
use crate::{bindings, set_static_keys, Access, Cpu, Mode};

/// Registers whose writes are looked at, beside calls and barriers.
const WRITES: [&str; 10] = [
    "CNTHCTL_EL2",
    "HCR_EL2",
    "VTTBR_EL2",
    "MDCR_EL2",
    "PMCNTENSET_EL0",
    "PMCNTENCLR_EL0",
    "ICC_PMR_EL1",
    "TTBR0_EL1",
    "TTBR0_EL12",
    "HSTR_EL2",
];

fn steps(cpu: &Cpu) -> Vec<String> {
    let steps = cpu.trace().iter().filter_map(|access| match access {
        Access::Call(name) => Some((*name).to_owned()),
        Access::Guest | Access::Dsb(_) => Some(access.to_string()),
        Access::Write { name, .. } if WRITES.contains(name) => Some((*name).to_owned()),
        _ => None,
    });
    steps.collect()
}

/// The steps of a run of the guest, which leaves at once.
fn run(host: &mut Host, keys: &[&'static str]) -> Vec<String> {
    host.load(0);
    set_static_keys(keys.iter().copied());
    host.enter(0, &mut |_, _| IRQ);
    set_static_keys(None);
    steps(host.cpu())
}

fn host(mode: Mode, pkvm: bool) -> Host {
    let mut host = Host::with_guests(all_features(mode, pkvm), &[plain(Features::default())]);
    host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
    host
}

/// As [`host`], where all is asked for that is seldom needed: by the kernel, which has something
/// pended, by userspace, which debugs the guest, and by what else uses the CPU.
fn busy_host(mode: Mode, pkvm: bool) -> Host {
    let mut host = host(mode, pkvm);
    host.data(Image::Hyp).flags |= 1 << bindings::KVM_HOST_DATA_FLAG_HAS_SPE;
    for vcpu in &mut host.vcpus {
        vcpu.vcpu.arch.iflags |= bindings::INCREMENT_PC;
        vcpu.vcpu.arch.debug_owner = bindings::kvm_vcpu_arch_VCPU_DEBUG_HOST_OWNED;
    }
    host
}

#[test]
fn the_steps_under_vhe_are_those_of_c() {
    let mut host = busy_host(Mode::Vhe, false);
    let expected = [
        "HCR_EL2",
        "__kvm_adjust_pc",
        "__debug_switch_to_guest",
        "guest",
        "HCR_EL2",
        "__debug_switch_to_host",
    ];
    assert_eq!(run(&mut host, &["gicv3_cpuif"]), expected);
}

#[test]
fn the_steps_without_vhe_are_those_of_c() {
    for (mode, pkvm) in MODES.into_iter().filter(|(mode, _)| *mode != Mode::Vhe) {
        let mut host = busy_host(mode, pkvm);
        let el1 = if mode == Mode::Nvhe {
            "TTBR0_EL1"
        } else {
            "TTBR0_EL12"
        };
        let expected = [
            "__debug_save_host_buffers_nvhe",
            "dsb nsh",
            "__kvm_adjust_pc",
            el1,
            "VTTBR_EL2",
            "HCR_EL2",
            "MDCR_EL2",
            "HSTR_EL2",
            "__vgic_v3_activate_traps",
            "__vgic_v3_restore_state",
            "CNTHCTL_EL2",
            "__debug_switch_to_guest",
            "kvm_trace_guest_entry",
            "guest",
            "kvm_trace_guest_exit",
            "CNTHCTL_EL2",
            "__vgic_v3_save_state",
            "__vgic_v3_deactivate_traps",
            "dsb nsh",
            "MDCR_EL2",
            "HSTR_EL2",
            "HCR_EL2",
            "VTTBR_EL2",
            el1,
            "__debug_switch_to_host",
            "__debug_restore_host_buffers_nvhe",
        ];
        assert_eq!(
            run(&mut host, &["gicv3_cpuif"]),
            expected,
            "{mode:?} {pkvm}"
        );
    }
}

#[test]
fn c_is_called_for_what_is_asked_for_alone() {
    const PC: &[&str] = &["__kvm_adjust_pc"];
    const DEBUG: &[&str] = &["__debug_switch_to_guest", "__debug_switch_to_host"];
    const BUFFERS: &[&str] = &[
        "__debug_save_host_buffers_nvhe",
        "__debug_restore_host_buffers_nvhe",
    ];
    type Asks = fn(&mut Host);
    fn flags(host: &mut Host, flag: u32) {
        host.data(Image::Hyp).flags |= 1 << flag;
    }
    fn vcpus(host: &mut Host, asks: fn(&mut crate::kvm_vcpu_arch)) {
        host.vcpus
            .iter_mut()
            .for_each(|vcpu| asks(&mut vcpu.vcpu.arch));
    }
    let cases: &[(Asks, &[&str])] = &[
        (|_| (), &[]),
        (|h| vcpus(h, |v| v.iflags |= bindings::INCREMENT_PC), PC),
        (
            |h| vcpus(h, |v| v.iflags |= bindings::PENDING_EXCEPTION),
            PC,
        ),
        (|h| vcpus(h, |v| v.debug_owner = 1), DEBUG),
        (|h| vcpus(h, |v| v.debug_owner = 2), DEBUG),
        (|h| flags(h, bindings::KVM_HOST_DATA_FLAG_HAS_SPE), BUFFERS),
        (|h| flags(h, bindings::KVM_HOST_DATA_FLAG_HAS_BRBE), BUFFERS),
        (
            |h| flags(h, bindings::KVM_HOST_DATA_FLAG_TRBE_ENABLED),
            BUFFERS,
        ),
        (
            |h| flags(h, bindings::KVM_HOST_DATA_FLAG_EL1_TRACING_CONFIGURED),
            BUFFERS,
        ),
    ];
    let seldom: Vec<&str> = [PC, DEBUG, BUFFERS].concat();
    for (mode, pkvm) in MODES {
        for (asks, expected) in cases {
            let mut host = host(mode, pkvm);
            asks(&mut host);
            let called = run(&mut host, &[]);
            let called: Vec<&str> = called
                .iter()
                .map(String::as_str)
                .filter(|name| seldom.contains(name))
                .collect();
            // Under VHE the kernel sees to the buffers.
            let expected: &[&str] = match mode {
                Mode::Vhe if *expected == BUFFERS => &[],
                _ => expected,
            };
            assert_eq!(called, expected, "{mode:?} {pkvm}");
        }
    }
}

#[test]
fn the_vgic_that_the_guest_has_is_switched() {
    for (model, keys, expected) in [
        (16, &["gicv3_cpuif"][..], ["v5", "v5", "v5", "v5"].to_vec()),
        (16, &[], ["v5", "v5", "v5", "v5"].to_vec()),
        (7, &["gicv3_cpuif"], ["v3", "v3", "v3", "v3"].to_vec()),
        (5, &[], Vec::new()),
    ] {
        for (mode, pkvm) in MODES.into_iter().filter(|(mode, _)| *mode != Mode::Vhe) {
            let mut host = host(mode, pkvm);
            for vcpu in &mut host.vcpus {
                vcpu.kvm.arch.vgic.vgic_model = model;
            }
            let steps = run(&mut host, keys);
            let found: Vec<&str> = steps
                .iter()
                .filter_map(|step| step.strip_prefix("__vgic_")?.get(..2))
                .collect();
            assert_eq!(found, expected, "{mode:?} {model}");
        }
    }
}

#[test]
fn counters_of_the_host_stop_and_those_of_the_guest_run_meanwhile() {
    for (of_host, of_guest) in [
        (0, 0),
        (1, 0),
        (0, 1),
        (0b101, 0),
        (0, 0b1010),
        (0b101, 0b1010),
    ] {
        let mut host = host(Mode::Nvhe, false);
        let events = &mut host.vcpus[0].vcpu.arch.pmu.events;
        events.events_host = of_host;
        events.events_guest = of_guest;
        host.load(0);
        host.enter(0, &mut |_, _| IRQ);
        let writes: Vec<(&str, u64)> = host
            .cpu()
            .trace()
            .iter()
            .filter_map(|access| match access {
                Access::Write { name, value } if name.starts_with("PMCNTEN") => {
                    Some((*name, *value))
                }
                _ => None,
            })
            .collect();
        let mut expected = Vec::new();
        for (name, value) in [
            ("PMCNTENCLR_EL0", of_host),
            ("PMCNTENSET_EL0", of_guest),
            ("PMCNTENCLR_EL0", of_guest),
            ("PMCNTENSET_EL0", of_host),
        ] {
            if value != 0 {
                expected.push((name, value));
            }
        }
        assert_eq!(writes, expected);
    }
}

#[test]
fn interrupts_that_are_masked_by_priority_can_end_the_guests_run() {
    for relaxed in [false, true] {
        let mut host = host(Mode::Nvhe, false);
        host.cpu()
            .add_capability(bindings::ARM64_HAS_GIC_PRIO_MASKING);
        if relaxed {
            host.cpu()
                .add_capability(bindings::ARM64_HAS_GIC_PRIO_RELAXED_SYNC);
        }
        host.load(0);
        host.enter(0, &mut |cpu, _| {
            // GIC_PRIO_IRQON | GIC_PRIO_PSR_I_SET
            assert_eq!(names::get(cpu, "ICC_PMR_EL1"), 0xf0);
            IRQ
        });
        // GIC_PRIO_IRQOFF
        assert_eq!(names::get(host.cpu(), "ICC_PMR_EL1"), 0xc0);
        let steps = steps(host.cpu());
        let first: Vec<&str> = steps.iter().take(2).map(String::as_str).collect();
        // Or the one in front of the guest's tables.
        let then = if relaxed { "dsb nsh" } else { "dsb sy" };
        assert_eq!(first, ["ICC_PMR_EL1", then]);
        assert_eq!(steps.last().expect("a step"), "ICC_PMR_EL1");
    }
}

#[test]
fn the_hosts_stage_2_is_back_where_pkvm_has_given_it_one() {
    for (mode, pkvm) in MODES.into_iter().filter(|(mode, _)| *mode != Mode::Vhe) {
        for is_initialised in [false, true] {
            let mut host = host(mode, pkvm);
            let keys: &[&'static str] = match is_initialised {
                true => &["kvm_protected_mode_initialized"],
                false => &[],
            };
            run(&mut host, keys);
            let found = names::get(host.cpu(), "VTTBR_EL2");
            // SAFETY: Nobody writes it.
            let tables = unsafe { (&raw const bindings::host_mmu.arch.mmu.pgd_phys).read() };
            assert_eq!(found, if is_initialised { tables } else { 0 }, "{mode:?}");
        }
    }
}

#[test]
fn the_host_is_noted_to_run_no_vcpu_when_it_does() {
    for (mode, _) in MODES.into_iter().filter(|(mode, _)| *mode != Mode::Vhe) {
        let mut host = host(mode, false);
        run(&mut host, &[]);
        let context = host.context(super::Image::Hyp);
        assert!(context.__hyp_running_vcpu.is_null(), "{mode:?}");
    }
}

#[test]
fn exceptions_go_to_the_kernels_own_vectors_where_it_is_unmapped_for_userspace() {
    let mut host = host(Mode::Vhe, false);
    host.cpu()
        .add_capability(bindings::ARM64_UNMAP_KERNEL_AT_EL0);
    run(&mut host, &[]);
    let vectors = (&raw const bindings::vectors).addr() as u64;
    assert_eq!(names::get(host.cpu(), "VBAR_EL2"), vectors);
}

#[test]
fn hcr_el2_is_written_between_barriers_on_an_ampereone() {
    for (mode, pkvm) in MODES {
        for erratum in [false, true] {
            let mut host = host(mode, pkvm);
            if erratum {
                host.cpu()
                    .add_capability(bindings::ARM64_WORKAROUND_AMPERE_AC04_CPU_23);
            }
            run(&mut host, &[]);
            let trace = host.cpu().trace();
            let is_hcr = |a: &Access| {
                matches!(
                    a,
                    Access::Write {
                        name: "HCR_EL2",
                        ..
                    }
                )
            };
            let writes: Vec<usize> = (0..trace.len()).filter(|n| is_hcr(&trace[*n])).collect();
            assert_eq!(writes.len(), 2, "{mode:?}");
            for at in writes {
                let around = [&trace[at - 1], &trace[at + 1]];
                let expected = [&Access::Dsb("nsh"), &Access::Isb];
                assert_eq!(around == expected, erratum, "{mode:?} {around:?}");
            }
        }
    }
}

#[test]
fn stage_1_of_a_guest_comes_when_stage_2_is_there_on_a_cortex_a57() {
    for pkvm in [false, true] {
        let mut cpus = all_features(Mode::Nvhe, pkvm);
        cpus.speculative_at = true;
        let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
        host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
        run(&mut host, &[]);
        let trace = host.cpu().trace();
        let order: Vec<String> = trace
            .iter()
            .filter_map(|access| match access {
                Access::Write { name, value } => match *name {
                    // EPD0 and EPD1; M.
                    "TCR_EL1" => {
                        let epd = (1 << 7) | (1 << 23);
                        Some(format!("tcr {}", u8::from(value & epd == epd)))
                    }
                    "SCTLR_EL1" => Some(format!("sctlr {}", value & 1)),
                    "HCR_EL2" | "VTTBR_EL2" => Some((*name).to_owned()),
                    _ => None,
                },
                Access::Isb => Some("isb".to_owned()),
                Access::Guest => Some("guest".to_owned()),
                _ => None,
            })
            .collect();
        let at = |what: &str| {
            let found = order.iter().position(|step| step == what);
            found.unwrap_or_else(|| panic!("no {what}: {order:?}"))
        };
        // No walks before stage 2 is the guest's and on, then its MMU, then walks.
        let (before, after) = order.split_at(at("guest"));
        let stage2 = before.iter().rposition(|step| step == "HCR_EL2");
        let then = &before[stage2.expect("stage 2 comes on") + 1..];
        assert_eq!(then.first().map(String::as_str), Some("isb"), "{order:?}");
        let names: Vec<&str> = then
            .iter()
            .map(|step| step.split(' ').next().expect("a word"))
            .collect();
        assert_eq!(names, ["isb", "sctlr", "isb", "tcr"], "{order:?}");
        assert_eq!(before[0], "tcr 1", "{order:?}");
        // The other way around.
        let steps: Vec<&str> = after[1..].iter().map(String::as_str).collect();
        assert_eq!(steps[..5], ["tcr 1", "isb", "sctlr 1", "isb", "HCR_EL2"]);
    }
}
