// SPDX-License-Identifier: GPL-2.0
//! FP and SVE of a guest hypervisor and of its guest: whose business a trap is.

use super::super::host::Host;
use super::super::machine::{self, Features, Level};
use super::super::names;
use super::fp_state::kept;
use super::{access, all_features, plain, trap, FP_ASIMD, IRQ, SVE, SYS64, TRAP};
use crate::{bindings, Mode};

/// `HCR_EL2.TGE`.
const TGE: u64 = 1 << 27;

/// `guest_hyp_fpsimd_traps_enabled()` and `guest_hyp_sve_traps_enabled()` of
/// `arch/arm64/include/asm/kvm_nested.h`, of a field of `CPTR_EL2`.
fn is_guest_hypervisors(field: u64, tge: bool, is_el2: bool) -> bool {
    match field & 0b11 {
        0b01 => tge && !is_el2,
        0b11 => false,
        _ => true,
    }
}

#[test]
fn b13_a_trap_that_a_guest_hypervisor_has_set_is_left_to_it() {
    for level in Level::nested() {
        for bits in 0..64u64 {
            let [fpen, zen] = [bits & 3, (bits >> 2) & 3];
            let [tge, is_el0] = [16, 32].map(|bit| bits & bit != 0);
            for class in [FP_ASIMD, SVE] {
                let has = Features {
                    nv: true,
                    sve: true,
                    ..Features::default()
                };
                let guest = machine::Guest {
                    has,
                    level: *level,
                    pstate: 0x3c9,
                    ..plain(has)
                };
                let mut host = Host::with_guests(all_features(Mode::Vhe, false), &[guest]);
                let cptr = (fpen << 20) | (zen << 16);
                *host.vcpus[0].kept("CPTR_EL2") = cptr;
                let at_el2 = matches!(level, Level::VirtualEl2 { .. });
                let hcr = if tge { TGE } else { 0 };
                if !at_el2 {
                    *host.vcpus[0].kept("HCR_EL2") = hcr;
                }
                host.load(0);
                let e2h = host.vcpus[0].vcpu.arch.answers.vcpu_el2_e2h_is_set;
                let set = match e2h {
                    true => cptr,
                    // SAFETY: A stand-in.
                    false => unsafe { bindings::translate_cptr_el2_to_cpacr_el1(cptr) },
                };
                let mut entries = 0;
                let code = host.enter(0, &mut |cpu, vcpu| {
                    entries += 1;
                    if entries == 2 {
                        return IRQ;
                    }
                    if at_el2 {
                        *kept(vcpu, "NVHCR_EL2") = hcr;
                    }
                    names::set(cpu, "SPSR_EL2", if is_el0 { 0x3c0 } else { 0x3c5 });
                    trap(cpu, class, 0)
                });
                let tge = *host.vcpus[0].kept("HCR_EL2") & TGE != 0;
                let is_el2 = at_el2 && !is_el0;
                let field = if class == FP_ASIMD {
                    set >> 20
                } else {
                    set >> 16
                };
                let expected = is_guest_hypervisors(field, tge, is_el2);
                let context = format!("{level:?} {fpen:#b} {zen:#b} {tge} {is_el0} {class:#x}");
                assert_eq!(entries == 1, expected, "{context}");
                assert_eq!(code == TRAP, expected, "{context}");
                assert_eq!(host.guest_owns_fp(), !expected, "{context}");
            }
        }
    }
}

/// A host with a guest at a level, whose hypervisor traps no FP and has set
/// `ZCR_EL2`.
fn with_zcr(level: Level, zcr: u64) -> Host {
    let has = Features {
        nv: true,
        sve: true,
        ..Features::default()
    };
    let guest = machine::Guest {
        has: Features {
            nv: level != Level::El1,
            ..has
        },
        level,
        ..plain(has)
    };
    let mut host = Host::with_guests(all_features(Mode::Vhe, false), &[guest]);
    *host.vcpus[0].kept("CPTR_EL2") = !0;
    *host.vcpus[0].kept("ZCR_EL2") = zcr;
    host.load(0);
    host
}

#[test]
fn b13_an_l2_has_no_longer_vectors_than_its_hypervisor_lets_it() {
    for level in Level::ALL {
        for zcr in [0, 1, 2, 3, 0xf] {
            let mut host = with_zcr(level, zcr);
            let longest = u64::from(host.vcpus[0].vcpu.arch.sve_max_vl / 16 - 1);
            let expected = match level {
                Level::L2 { .. } => longest.min(zcr),
                Level::El1 | Level::VirtualEl2 { .. } => longest,
            };
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                names::set(cpu, "SPSR_EL2", 0x3c5);
                if entries == 1 {
                    return trap(cpu, SVE, 0);
                }
                assert_eq!(names::get(cpu, "ZCR_EL2"), expected, "{level:?} {zcr}");
                IRQ
            });
            assert_eq!(entries, 2, "{level:?} {zcr}");
        }
    }
}

#[test]
fn b13_another_access_than_to_zcr_el2_loads_nothing() {
    // CPACR_EL1 of a guest hypervisor may be answered.
    for encoding in [[3, 0, 2, 0, 2], [3, 4, 1, 1, 2], [3, 0, 1, 2, 0]] {
        for level in Level::ALL {
            let mut host = with_zcr(level, 0);
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                names::set(cpu, "SPSR_EL2", 0x3c5);
                match entries {
                    1 => trap(cpu, SYS64, access(encoding, 0, true)),
                    _ => IRQ,
                }
            });
            assert!(!host.guest_owns_fp(), "{level:?} {encoding:?}");
        }
    }
}
