// SPDX-License-Identifier: GPL-2.0
//! When a guest's FP state is in the CPU, and how much of it moves.

use super::super::host::{host_zcr, Host};
use super::super::machine::{self, mark, Features, Level};
use super::super::{names, written};
use super::fp_state::{kept, FpState};
use super::{all_features, plain, trap, FP_ASIMD, HVC64, IRQ, MODES, SVE, TRAP};
use crate::{bindings, Access, Mode};

/// The longest vector of the guests here, in bytes.
const GUESTS_LONGEST: usize = 48;

fn sve(sve: bool, fpmr: bool) -> Features {
    Features {
        sve,
        fpmr,
        ..Features::default()
    }
}

/// A host whose FP registers have a state, with a guest that has another one.
fn host(mode: Mode, pkvm: bool, guest: machine::Guest) -> (Host, FpState, FpState) {
    let mut host = Host::with_guests(all_features(mode, pkvm), &[guest]);
    let (hosts, guests) = (FpState::of("host"), FpState::of("guest"));
    host.give_fp_to_host(&hosts);
    // So that the kernel has saved the host's state. What happens otherwise is in fp_hooks.rs.
    host.vcpus[0].vcpu.arch.has_used_fp = true;
    host.load(0);
    if pkvm {
        host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
    }
    // EL2 has a place of its own for the SVE state.
    host.set_fp_in_memory(0, &guests);
    let runs = host.runs(0);
    host.set_fp_in_memory(runs, &guests);
    (host, hosts, guests)
}

fn touches(trace: &[Access], names: &[&str]) -> bool {
    trace.iter().any(|access| {
        matches!(access, Access::Read { name, .. } | Access::Write { name, .. }
                 if names.contains(name))
    })
}

/// Whether FP or SVE registers move, or their status.
fn moves(trace: &[Access]) -> bool {
    touches(trace, &["FPSR", "FPCR", "FPMR"])
        || trace.iter().any(|access| {
            matches!(
                access,
                Access::SaveV | Access::LoadV | Access::SaveSve { .. } | Access::LoadSve { .. }
            )
        })
}

#[test]
fn b13_the_first_use_of_fp_loads_all_of_the_guests_state() {
    for (mode, pkvm) in MODES {
        for (has, class) in [
            (sve(false, false), FP_ASIMD),
            (sve(false, true), FP_ASIMD),
            (sve(true, false), FP_ASIMD),
            (sve(true, true), FP_ASIMD),
            (sve(true, false), SVE),
            (sve(true, true), SVE),
        ] {
            let (mut host, hosts, guests) = host(mode, pkvm, plain(has));
            let context = format!("{mode:?} {pkvm} {has:?} {class:#x}");
            let mut entries = 0;
            host.enter(0, &mut |cpu, vcpu| {
                entries += 1;
                if entries == 1 {
                    assert!(!cpu.guest_can_use_fp(), "{context}");
                    // Nobody else's has moved yet.
                    assert!(FpState::in_cpu(cpu) == hosts, "{context}");
                    return trap(cpu, class, 0);
                }
                assert!(cpu.guest_can_use_fp(), "{context}");
                assert_eq!(cpu.guest_can_use_sve(), has.sve, "{context}");
                let found = FpState::in_cpu(cpu);
                if has.sve {
                    assert_eq!(found.sve(GUESTS_LONGEST), guests.sve(GUESTS_LONGEST));
                    assert_eq!(cpu.vector_length_at_el2(), GUESTS_LONGEST, "{context}");
                    let zcr = *kept(vcpu, "ZCR_EL1");
                    assert_eq!(names::get(cpu, "ZCR_EL1"), zcr, "{context}");
                } else {
                    assert_eq!(found.v(), guests.v(), "{context}");
                }
                if has.fpmr {
                    assert_eq!(found.fpmr(), guests.fpmr(), "{context}");
                } else {
                    assert_eq!(found.fpmr(), hosts.fpmr(), "{context}");
                }
                IRQ
            });
            assert_eq!(entries, 2, "{context}");
            assert_eq!(host.guest_owns_fp(), !pkvm, "{context}");
        }
    }
}

#[test]
fn b13_sve_is_refused_to_a_guest_without_it() {
    for (mode, pkvm) in MODES {
        let (mut host, hosts, _) = host(mode, pkvm, plain(sve(false, false)));
        let mut entries = 0;
        let code = host.enter(0, &mut |cpu, _| {
            entries += 1;
            trap(cpu, SVE, 0)
        });
        assert_eq!((code, entries), (TRAP, 1), "{mode:?}");
        assert!(!host.guest_owns_fp());
        assert!(FpState::in_cpu(host.cpu()) == hosts, "{mode:?}");
        assert!(!moves(host.cpu().trace()), "{mode:?}");
        assert_eq!(host.vcpu(0).arch.fault.esr_el2 >> 26, SVE);
    }
}

#[test]
fn b12_zcr_el1_is_switched_for_guests_with_sve_alone() {
    for (mode, pkvm) in MODES {
        for has_sve in [false, true] {
            let (mut host, _, _) = host(mode, pkvm, plain(sve(has_sve, false)));
            let before = names::get(host.cpu(), "ZCR_EL1");
            let mut entries = 0;
            host.enter(0, &mut |cpu, vcpu| {
                entries += 1;
                if entries == 1 {
                    return trap(cpu, FP_ASIMD, 0);
                }
                if has_sve {
                    assert_eq!(names::get(cpu, "ZCR_EL1"), *kept(vcpu, "ZCR_EL1"));
                    names::set(cpu, "ZCR_EL1", 1);
                }
                IRQ
            });
            let runs = host.runs(0);
            let kept = *host.vcpus[runs].kept("ZCR_EL1");
            if has_sve {
                assert_eq!(kept, 1, "{mode:?} {pkvm}");
            } else if !pkvm {
                // pKVM's EL2 saves the host's, whatever the guest has.
                assert!(!touches(
                    host.cpu().trace(),
                    &["ZCR_EL1", "ZCR_EL12", "ZCR_EL2"]
                ));
                assert_eq!(names::get(host.cpu(), "ZCR_EL1"), before, "{mode:?}");
            }
            if pkvm {
                assert_eq!(names::get(host.cpu(), "ZCR_EL1"), before, "{mode:?}");
                continue;
            }
            // And at each entry from then on.
            host.enter(0, &mut |cpu, _| {
                if has_sve {
                    assert_eq!(names::get(cpu, "ZCR_EL1"), 1, "{mode:?}");
                    assert_eq!(cpu.vector_length_at_el1(), 32, "{mode:?}");
                    names::set(cpu, "ZCR_EL1", 2);
                }
                IRQ
            });
            let kept = *host.vcpus[0].kept("ZCR_EL1");
            assert_eq!(kept == 2, has_sve, "{mode:?}");
        }
    }
}

#[test]
fn b12_a_guest_hypervisor_has_zcr_el2_there_and_limits_its_guest() {
    for level in Level::nested() {
        let has = Features {
            nv: true,
            ..sve(true, false)
        };
        let guest = machine::Guest {
            has,
            level: *level,
            pstate: 0x3c5,
            ..plain(has)
        };
        let mut host = Host::with_guests(all_features(Mode::Vhe, false), &[guest]);
        // L1 has opened FP and SVE for L2.
        *host.vcpus[0].kept("CPTR_EL2") = !0;
        *host.vcpus[0].kept("ZCR_EL1") = 0xf;
        *host.vcpus[0].kept("ZCR_EL2") = 1;
        let at_el2 = matches!(level, Level::VirtualEl2 { .. });
        // What that comes to, with the bits that the guest has.
        let is_open = {
            let set = host.vcpus[0].sanitised("CPTR_EL2", !0);
            let e2h = host.vcpus[0].vcpu.arch.answers.vcpu_el2_e2h_is_set;
            let set = match e2h {
                true => set,
                // SAFETY: A stand-in.
                false => unsafe { bindings::translate_cptr_el2_to_cpacr_el1(set) },
            };
            set & (1 << 20) != 0 && set & (1 << 16) != 0
        };
        host.load(0);
        host.give_fp_to_guest(0);
        let [zcr_el1, zcr_el2] = ["ZCR_EL1", "ZCR_EL2"].map(|name| {
            let value = *host.vcpus[0].kept(name);
            host.vcpus[0].sanitised(name, value)
        });
        host.enter(0, &mut |cpu, _| {
            let own = if at_el2 { zcr_el2 } else { zcr_el1 };
            assert_eq!(names::get(cpu, "ZCR_EL1"), own, "{level:?}");
            let longest = (GUESTS_LONGEST / 16 - 1) as u64;
            let limit = if at_el2 {
                longest
            } else {
                longest.min(zcr_el2)
            };
            assert_eq!(names::get(cpu, "ZCR_EL2"), limit, "{level:?}");
            assert!(at_el2 || cpu.guest_can_use_sve() == is_open, "{level:?}");
            names::set(cpu, "ZCR_EL1", 0);
            IRQ
        });
        // For the kernel to save the state.
        assert_eq!(
            host.cpu().vector_length_at_el2(),
            GUESTS_LONGEST,
            "{level:?}"
        );
        let (own, other) = match at_el2 {
            true => ("ZCR_EL2", "ZCR_EL1"),
            false => ("ZCR_EL1", "ZCR_EL2"),
        };
        let changed = host.vcpus[0].sanitised(own, 0);
        assert_eq!(*host.vcpus[0].kept(own), changed, "{level:?}");
        let before = if at_el2 { 0xf } else { 1 };
        assert_eq!(*host.vcpus[0].kept(other), before, "{level:?}");
    }
}

#[test]
fn b15_the_kernel_at_el1_can_save_the_guests_state_and_has_its_own_longest_vector() {
    for mode in [Mode::Nvhe, Mode::Hvhe] {
        let (mut host, _, _) = host(mode, false, plain(sve(true, true)));
        let guests = FpState::of("guest, changed");
        let mut entries = 0;
        host.enter(0, &mut |cpu, _| {
            entries += 1;
            if entries == 1 {
                return trap(cpu, SVE, 0);
            }
            guests.put(cpu);
            names::set(cpu, "ZCR_EL1", 0);
            IRQ
        });
        assert_eq!(*host.vcpus[0].kept("ZCR_EL1"), 0, "{mode:?}");
        assert_eq!(names::get(host.cpu(), "ZCR_EL2"), host_zcr(), "{mode:?}");
        assert_eq!(
            host.cpu().vector_length_at_el1(),
            GUESTS_LONGEST,
            "{mode:?}"
        );

        // It is noted before it changes.
        let trace = host.cpu().trace();
        let (_, after) = {
            let left = trace.iter().rposition(|a| *a == Access::Guest);
            trace.split_at(left.expect("the guest ran"))
        };
        let name = if mode == Mode::Nvhe {
            "ZCR_EL1"
        } else {
            "ZCR_EL12"
        };
        let is_read = |a: &Access| matches!(a, Access::Read { name: n, .. } if *n == name);
        let read = after.iter().position(is_read);
        assert!(read.is_some() && read < written(after, name), "{mode:?}");

        host.put(0);
        assert_eq!(host.vcpus[0].sve_state, guests.sve(GUESTS_LONGEST).0);
    }
}

#[test]
fn b21_fpmr_is_switched_for_guests_that_have_it_alone() {
    for (mode, pkvm) in MODES {
        for (has_sve, has_fpmr) in [(false, false), (false, true), (true, false), (true, true)] {
            let (mut host, hosts, guests) = host(mode, pkvm, plain(sve(has_sve, has_fpmr)));
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                if entries == 1 {
                    return trap(cpu, FP_ASIMD, 0);
                }
                let of = if has_fpmr { &guests } else { &hosts };
                assert_eq!(names::get(cpu, "FPMR"), of.fpmr(), "{mode:?} {has_fpmr}");
                if has_fpmr {
                    names::set(cpu, "FPMR", mark("guest, changed", "FPMR"));
                }
                IRQ
            });
            assert_eq!(touches(host.cpu().trace(), &["FPMR"]), has_fpmr);
            if pkvm {
                assert_eq!(names::get(host.cpu(), "FPMR"), hosts.fpmr());
                let runs = host.runs(0);
                let kept = *host.vcpus[runs].kept("FPMR");
                let changed = mark("guest, changed", "FPMR");
                assert_eq!(kept == changed, has_fpmr, "{mode:?}");
            }
        }
    }
}

/// The accesses between one entry of the guest and the next, of a run.
fn between_entries(trace: &[Access]) -> Vec<Vec<Access>> {
    let runs = trace.split(|access| *access == Access::Guest);
    runs.map(<[Access]>::to_vec).collect()
}

#[test]
fn b23_once_the_guest_owns_the_registers_exits_and_entries_move_none() {
    for mode in Mode::ALL {
        for has in [sve(false, true), sve(true, true)] {
            let (mut host, _, _) = host(mode, false, plain(has));
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                match entries {
                    1 => trap(cpu, FP_ASIMD, 0),
                    _ => trap(cpu, HVC64, 0),
                }
            });
            let mut states = Vec::new();
            for _ in 0..2 {
                let guests = FpState::of(&format!("guest, run {}", states.len()));
                let mut entries = 0;
                host.enter(0, &mut |cpu, _| {
                    entries += 1;
                    assert!(cpu.guest_can_use_fp());
                    states.push(names::get(cpu, "CPTR_EL2"));
                    if entries == 1 {
                        guests.put(cpu);
                        // Something that EL2 handles.
                        return trap(cpu, 0x27, 1);
                    }
                    assert!(FpState::in_cpu(cpu) == guests, "{mode:?} {has:?}");
                    IRQ
                });
                assert_eq!(entries, 2);
                let trace = host.cpu().trace();
                assert!(!moves(trace), "{mode:?} {has:?}");
                let between = &between_entries(trace)[1];
                assert!(
                    !touches(between, &["CPTR_EL2", "CPACR_EL1", "ZCR_EL1", "ZCR_EL2"]),
                    "{mode:?} {between:?}"
                );
                assert!(FpState::in_cpu(host.cpu()) == guests, "{mode:?} {has:?}");
            }
            assert!(states.iter().all(|cptr| *cptr == states[0]), "{states:x?}");
        }
    }
}

#[test]
fn b25_the_guest_has_its_state_again_after_the_kernel_took_the_registers() {
    for mode in Mode::ALL {
        for has in [sve(false, false), sve(true, true)] {
            let (mut host, _, _) = host(mode, false, plain(has));
            let guests = FpState::of("guest, changed");
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                if entries == 1 {
                    return trap(cpu, FP_ASIMD, 0);
                }
                guests.put(cpu);
                IRQ
            });
            host.kernel_uses_fp();

            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                if entries == 1 {
                    assert!(!cpu.guest_can_use_fp());
                    return trap(cpu, FP_ASIMD, 0);
                }
                let found = FpState::in_cpu(cpu);
                match has.sve {
                    true => assert_eq!(found.sve(GUESTS_LONGEST), guests.sve(GUESTS_LONGEST)),
                    false => assert_eq!(found.v(), guests.v()),
                }
                IRQ
            });
            assert_eq!(entries, 2);
        }
    }
}
