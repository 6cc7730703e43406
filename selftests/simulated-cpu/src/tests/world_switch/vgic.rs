// SPDX-License-Identifier: GPL-2.0
//! Accesses to the CPU interface of the GIC that trap.

use super::super::host::Host;
use super::super::machine::{self, Features};
use super::super::names;
use super::{access, all_features, plain, trap, IRQ, MODES, SYS64};
use crate::{set_static_keys, Access};

/// `ICC_PMR_EL1`.
const ICC_PMR: [u64; 5] = [3, 0, 4, 6, 0];

#[test]
fn vgic_accesses_are_carried_out_where_they_trap_and_others_are_left_to_who_comes_next() {
    for (mode, pkvm) in MODES {
        for bits in 0..16 {
            let [traps, answers, is_protected, by_pkvm] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            if is_protected && !pkvm {
                continue;
            }
            let guest = machine::Guest {
                is_protected,
                ..plain(Features::default())
            };
            let mut host = Host::with_guests(all_features(mode, pkvm), &[guest]);
            host.vcpus[0].vcpu.arch.iflags |= crate::bindings::PKVM_HOST_STATE_DIRTY;
            host.load(0);
            let of_c = &mut host.vcpu(0).arch.answers;
            of_c.vgic_v3_access = i32::from(answers);
            of_c.is_handled_by_pkvm = by_pkvm;
            set_static_keys(traps.then_some("vgic_v3_cpuif_trap"));
            let mut entries = 0;
            host.enter(0, &mut |cpu, _| {
                entries += 1;
                names::set(cpu, "SPSR_EL2", 0x3c5);
                match entries {
                    1 => trap(cpu, SYS64, access(ICC_PMR, 0, true)),
                    _ => IRQ,
                }
            });
            set_static_keys(None);
            let context = format!("{mode:?} {pkvm} {bits:#b}");
            let call = Access::Call("__vgic_v3_perform_cpuif_access");
            assert_eq!(host.cpu().trace().contains(&call), traps, "{context}");
            let expected = (traps && answers) || (is_protected && by_pkvm);
            assert_eq!(entries == 2, expected, "{context}");
        }
    }
}
