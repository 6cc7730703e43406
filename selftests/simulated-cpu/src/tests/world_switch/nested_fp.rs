// SPDX-License-Identifier: GPL-2.0
//! FP and SVE of a guest hypervisor and of its guest: whose business a trap is.

use super::super::host::Host;
use super::super::machine::{self, Features, Level};
use super::super::names;
use super::fp_state::kept;
use super::{all_features, plain, trap, FP_ASIMD, IRQ, SVE, TRAP};
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
