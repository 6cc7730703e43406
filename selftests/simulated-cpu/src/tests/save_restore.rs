// SPDX-License-Identifier: GPL-2.0
//! Guest and host take turns in a CPU without VHE: each finds its own
//! registers, for every set of features.

use super::functions::*;
use super::host::Host;
use super::machine::{self, mark, DebugOwner, Vcpu};
use super::world_switch::runs::hosts::UNUSED_AT_A_CALL;
use super::{names, runner, written};
use crate::arm64::registers::TCR_EL1;
use crate::{Access, Mode};
use std::collections::BTreeMap;

/// Registers that guest and host take turns in, and when they do. All but
/// `SCTLR_EL1` and `TCR_EL1`, which an erratum makes special.
fn shared(host: &Host) -> Vec<(&'static str, bool)> {
    let has = host.vcpus[0].features;
    let guest = host.vcpus[0].guest;
    // The host has no AArch32 state at EL1: the guest's may stay.
    let debugged = guest.debug_owner != DebugOwner::Free;
    let mut registers: Vec<_> = has.el1_registers().collect();
    registers.retain(|(name, _)| !["SCTLR_EL1", "TCR_EL1"].contains(name));
    registers.extend([
        ("PAR_EL1", true),
        ("TPIDR_EL1", true),
        ("TPIDR_EL0", true),
        ("TPIDRRO_EL0", true),
        ("POR_EL0", has.s1poe),
        ("DACR32_EL2", guest.aarch32),
        ("IFSR32_EL2", guest.aarch32),
        ("DBGVCR32_EL2", guest.aarch32 && debugged),
    ]);
    registers
}

/// As `vcpu_load()` and `__kvm_vcpu_run()` enter a guest.
fn enter(host: &mut Host) {
    for function in [
        NVHE_LOAD,
        NVHE_SAVE_HOST,
        NVHE_RESTORE_32BIT,
        NVHE_RESTORE_GUEST,
    ] {
        host.call(0, function);
    }
    if host.cpus.speculative_at {
        // As __activate_traps().
        for name in ["SCTLR_EL1", "TCR_EL1"] {
            names::set(host.cpu(), name, mark("guest", name));
        }
    }
}

/// As `__kvm_vcpu_run()` leaves one, and `vcpu_put()`.
fn exit(host: &mut Host) {
    for function in [
        NVHE_SAVE_GUEST,
        NVHE_SAVE_32BIT,
        NVHE_RESTORE_HOST,
        NVHE_PUT,
    ] {
        host.call(0, function);
    }
}

/// What is in the registers of the CPU.
fn registers(host: &mut Host) -> BTreeMap<&'static str, u64> {
    let registers = names::REGISTERS.iter();
    registers
        .map(|name| (*name, names::get(host.cpu(), name)))
        .collect()
}

/// Runs `check` for many machines, the same ones each time.
fn for_machines(check: impl Fn(Host)) {
    let machines = (machine::cpus(&[Mode::Nvhe, Mode::Hvhe]), machine::guest());
    let outcome = runner().run(&machines, |(cpus, guest)| {
        check(Host::new(cpus, vec![Vcpu::new("guest", &cpus, guest)]));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn b24_b29_a_guest_finds_its_own_registers() {
    for_machines(|mut host| {
        let hosts = registers(&mut host);
        enter(&mut host);
        for (name, is_guests) in shared(&host) {
            let expected = if is_guests {
                mark("guest", name)
            } else {
                hosts[name]
            };
            assert_eq!(names::get(host.cpu(), name), expected, "{name}");
        }
        let mdscr = match host.vcpus[0].guest.debug_owner {
            DebugOwner::Host => "external_mdscr_el1",
            _ => "MDSCR_EL1",
        };
        for (name, kept) in [
            ("SCTLR_EL1", "SCTLR_EL1"),
            ("TCR_EL1", "TCR_EL1"),
            ("VMPIDR_EL2", "MPIDR_EL1"),
            ("ELR_EL2", "pc"),
            ("MDSCR_EL1", mdscr),
        ] {
            assert_eq!(names::get(host.cpu(), name), mark("guest", kept), "{name}");
        }
        if host.cpus.have.ras {
            let found = names::get(host.cpu(), "VDISR_EL2");
            assert_eq!(found, mark("guest", "DISR_EL1"));
        }
    });
}

#[test]
fn b24_b29_the_host_finds_its_own_registers_and_the_guest_keeps_its() {
    for_machines(|mut host| {
        let hosts = registers(&mut host);
        enter(&mut host);
        let shared = shared(&host);
        for (name, is_guests) in &shared {
            if *is_guests {
                names::set(host.cpu(), name, mark("later", name));
            }
        }
        exit(&mut host);
        let is_protected = host.vcpus[0].is_protected;
        for (name, is_guests) in shared {
            let stays = is_guests
                && (name.ends_with("32_EL2")
                    || (UNUSED_AT_A_CALL.contains(&name) && !is_protected));
            let expected = if stays {
                mark("later", name)
            } else {
                hosts[name]
            };
            assert_eq!(names::get(host.cpu(), name), expected, "CPU's {name}");

            let owner = if is_guests { "later" } else { "guest" };
            let kept = *host.vcpus[0].kept(name);
            assert_eq!(kept, mark(owner, name), "guest's {name}");
        }
        for name in ["SCTLR_EL1", "TCR_EL1", "MDSCR_EL1"] {
            assert_eq!(names::get(host.cpu(), name), hosts[name], "{name}");
        }
    });
}

#[test]
fn walks_are_forbidden_before_the_tables_change_and_until_stage_2_has() {
    for_machines(|mut host| {
        if !host.cpus.speculative_at {
            return;
        }
        host.call(0, NVHE_LOAD);
        host.call(0, NVHE_SAVE_HOST);
        host.call(0, NVHE_RESTORE_GUEST);
        let trace = host.cpu().trace();
        let at = |name| written(trace, name);
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
        host.call(0, NVHE_RESTORE_HOST);
        let trace = host.cpu().trace();
        let at = |name| written(trace, name);
        let sctlr = at("SCTLR_EL1").expect("SCTLR_EL1 is written");
        assert_eq!(trace[sctlr - 1], Access::Isb);
        assert_eq!(trace[sctlr + 1], Access::Isb);
        assert_eq!(at("TCR_EL1"), Some(sctlr + 2));
        assert!(at("TTBR0_EL1") < Some(sctlr) && at("TTBR1_EL1") < Some(sctlr));
    });
}

#[test]
fn features_are_worked_out_with_each_load_until_a_vcpu_has_run() {
    for_machines(|mut host| {
        assert_eq!(host.vcpus[0].vcpu.arch.hyp_features, 0);
        let features = |host: &mut Host, id_registers, flags| {
            host.vcpus[0].kvm.arch.id_regs = [id_registers; 56];
            host.vcpus[0].kvm.arch.flags = flags;
            enter(host);
            exit(host);
            host.vcpus[0].vcpu.arch.hyp_features
        };
        // Userspace may still change them.
        let none = features(&mut host, 0, 0);
        let all = features(&mut host, u64::MAX, 0);
        assert_ne!(none, 0);
        let has = host.cpus.have;
        let some = has.tcr2 || has.s1pie || has.s1poe || has.sctlr2 || has.ras || has.fpmr;
        assert_eq!(all != none, some, "{:?}", host.cpus);
        // Nobody may any more, and so nobody looks.
        let ran = 1 << bindings::KVM_ARCH_FLAG_HAS_RAN_ONCE;
        let last = features(&mut host, u64::MAX, ran);
        assert_eq!(features(&mut host, 0, ran), last);
        assert_eq!(features(&mut host, 0, 0), last);
    });
}
