// SPDX-License-Identifier: GPL-2.0
//! `CPTR_EL2` while a guest runs and afterwards, value for value, and
//! `FPEXC32_EL2`, which goes with it.

use super::super::host::Host;
use super::super::machine::{Features, Level};
use super::super::names;
use super::{aarch32, all_features, c, plain, trap, FP_ASIMD, IRQ, MODES};
use crate::{bindings, Access, Cpu, Mode};

/// `FPEXC.EN`.
const EN: u64 = 1 << 30;

/// What is in `CPTR_EL2` at each entry of a run in which the guest uses FP, and
/// after the run.
fn values(host: &mut Host) -> (Vec<u64>, u64) {
    let mut found = Vec::new();
    host.load(0);
    host.enter(0, &mut |cpu, _| {
        found.push(names::get(cpu, "CPTR_EL2"));
        match found.len() {
            1 => trap(cpu, FP_ASIMD, 0),
            _ => IRQ,
        }
    });
    (found, names::get(host.cpu(), "CPTR_EL2"))
}

#[test]
fn b20_each_mode_writes_cptr_el2_as_c_does_in_the_layout_that_it_has() {
    for (mode, pkvm) in MODES {
        for bits in 0..16 {
            let [cpu_sve, guest_sve, sme, poe] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let mut cpus = all_features(mode, pkvm);
            cpus.have.sve = cpu_sve;
            cpus.have.s1poe = poe;
            let has = Features {
                sve: guest_sve,
                ..Features::default()
            };
            let mut host = Host::with_guests(cpus, &[plain(has)]);
            if sme {
                host.cpu().add_capability(bindings::ARM64_SME);
            }
            let (found, after) = values(&mut host);

            let has_sve = cpu_sve && guest_sve;
            let expected = match mode {
                Mode::Nvhe => (
                    [false, true].map(|owns| c::activate_nvhe(owns, has_sve)),
                    c::deactivate_nvhe(cpu_sve, sme),
                ),
                Mode::Vhe | Mode::Hvhe => (
                    [false, true].map(|owns| c::activate_e2h(owns, has_sve, None)),
                    c::deactivate_e2h(cpu_sve, sme, poe),
                ),
            };
            let context = format!("{mode:?} {pkvm} {bits:#b}");
            assert_eq!(found, expected.0, "{context}");
            assert_eq!(after, expected.1, "{context}");

            // By the name that has that layout at EL2, and by no other.
            let name = if mode == Mode::Nvhe {
                "CPTR_EL2"
            } else {
                "CPACR_EL1"
            };
            let trace = host.cpu().trace();
            let written = |name: &str| {
                let is_it = |a: &&Access| matches!(a, Access::Write { name: n, .. } if *n == name);
                trace.iter().filter(is_it).count()
            };
            assert_eq!(written(name), 4, "{context}");
            let others = ["CPTR_EL2", "CPACR_EL1"].map(written);
            // nVHE restores CPACR_EL1 of EL1 twice.
            let of_el1 = if mode == Mode::Nvhe { 2 } else { 0 };
            assert_eq!(others.iter().sum::<usize>(), 4 + of_el1, "{context}");
        }
    }
}

#[test]
fn b20_a_guest_hypervisors_traps_are_added_as_in_c() {
    let cptrs = [
        0,
        !0,
        1 << 20,
        1 << 16,
        0b10 << 20,
        1 << 29,
        1 << 31,
        0xa5a5_5a5a,
    ];
    for level in Level::nested() {
        for nv2p1 in [false, true] {
            for s1poe in [false, true] {
                for owns in [false, true] {
                    for (has_sve, cptr) in cptrs.map(|cptr| (cptr & 1 == 0, cptr)) {
                        let mut cpus = all_features(Mode::Vhe, false);
                        cpus.nv2p1 = nv2p1;
                        let has = Features {
                            nv: true,
                            sve: has_sve,
                            s1poe,
                            ..Features::default()
                        };
                        let guest = super::machine::Guest {
                            has,
                            level: *level,
                            pstate: if *level == Level::El1 { 0x3c5 } else { 0x3c9 },
                            ..plain(has)
                        };
                        let mut host = Host::with_guests(cpus, &[guest]);
                        *host.vcpus[0].kept("CPTR_EL2") = cptr;
                        host.load(0);
                        if owns {
                            host.give_fp_to_guest(0);
                        }
                        let answers = host.vcpus[0].vcpu.arch.answers.clone();
                        let sanitised = host.vcpus[0].sanitised("CPTR_EL2", cptr);
                        let set = match answers.vcpu_el2_e2h_is_set {
                            true => sanitised,
                            // SAFETY: A stand-in.
                            false => unsafe {
                                bindings::translate_cptr_el2_to_cpacr_el1(sanitised)
                            },
                        };
                        let nested = c::Nested {
                            is_hyp_ctxt: answers.is_hyp_ctxt,
                            e2h: answers.vcpu_el2_e2h_is_set,
                            nv2p1,
                            s1poe,
                            cptr: set,
                        };
                        let expected = c::activate_e2h(owns, has_sve, Some(nested));
                        host.enter(0, &mut |cpu, _| {
                            let found = names::get(cpu, "CPTR_EL2");
                            assert_eq!(found, expected, "{guest:?} {nested:?} {owns}");
                            IRQ
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn b18_no_guest_can_use_sme_and_the_host_can_again() {
    for (mode, pkvm) in MODES {
        let mut host =
            Host::with_guests(all_features(mode, pkvm), &[plain(Features::from_bits(!0))]);
        host.cpu().add_capability(bindings::ARM64_SME);
        let traps = |value: u64| match mode {
            // CPTR_EL2.TSM, or SMEN with its low bit clear.
            Mode::Nvhe => value & (1 << 12) != 0,
            Mode::Vhe | Mode::Hvhe => value & (1 << 24) == 0,
        };
        let (found, after) = values(&mut host);
        assert!(found.into_iter().all(traps), "{mode:?}");
        assert!(!traps(after), "{mode:?}");
    }
}

#[test]
fn b24_fpexc_en_is_set_while_fp_traps_and_the_guests_value_is_back_then() {
    for (mode, pkvm) in MODES {
        let mut host = Host::with_guests(all_features(mode, pkvm), &[aarch32(Features::default())]);
        host.load(0);
        let runs = host.runs(0);
        let own = 0x1234;
        *host.vcpus[runs].kept("FPEXC32_EL2") = own;
        *host.vcpus[0].kept("FPEXC32_EL2") = own;
        host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;

        // It does not use FP: its value stays where it is.
        host.enter(0, &mut |cpu, _| {
            assert_eq!(names::get(cpu, "FPEXC32_EL2"), EN, "{mode:?}");
            IRQ
        });
        assert_eq!(*host.vcpus[runs].kept("FPEXC32_EL2"), own, "{mode:?}");

        let mut entries = 0;
        host.enter(0, &mut |cpu, _| {
            entries += 1;
            match entries {
                1 => {
                    assert_eq!(names::get(cpu, "FPEXC32_EL2"), EN, "{mode:?}");
                    trap(cpu, FP_ASIMD, 0)
                }
                _ => {
                    assert_eq!(names::get(cpu, "FPEXC32_EL2"), own, "{mode:?}");
                    names::set(cpu, "FPEXC32_EL2", 0x5678);
                    IRQ
                }
            }
        });
        assert_eq!(entries, 2);
        assert_eq!(*host.vcpus[runs].kept("FPEXC32_EL2"), 0x5678, "{mode:?}");

        // With pKVM, its FP state is not in the CPU any more.
        if !pkvm {
            host.enter(0, &mut |cpu, _| {
                assert_eq!(names::get(cpu, "FPEXC32_EL2"), 0x5678, "{mode:?}");
                names::set(cpu, "FPEXC32_EL2", 0x9abc);
                IRQ
            });
            assert_eq!(*host.vcpus[runs].kept("FPEXC32_EL2"), 0x9abc, "{mode:?}");
        }
    }
}

#[test]
fn b24_fpexc32_el2_is_not_touched_for_others() {
    let touches = |cpu: &Cpu| {
        let is_it = |a: &Access| {
            matches!(a, Access::Read { name, .. } | Access::Write { name, .. }
                     if *name == "FPEXC32_EL2")
        };
        cpu.trace().iter().any(is_it)
    };
    for (mode, pkvm) in MODES {
        let cpus = all_features(mode, pkvm);
        let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
        values(&mut host);
        assert!(!touches(host.cpu()), "{mode:?}");

        // There is none without FP.
        let mut host = Host::with_guests(cpus, &[aarch32(Features::default())]);
        host.cpu().remove_capability(bindings::ARM64_HAS_FPSIMD);
        let (found, _) = values(&mut host);
        assert_eq!(found.len(), 1, "the trap is the kernel's business");
        assert!(!touches(host.cpu()), "{mode:?}");
    }
}
