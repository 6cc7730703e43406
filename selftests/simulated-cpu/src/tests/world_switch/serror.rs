// SPDX-License-Identifier: GPL-2.0
//! Virtual SErrors: pending, and taken.

use super::super::host::Host;
use super::super::machine::{Cpus, Features};
use super::super::names;
use super::{all_features, plain, writes, IRQ};
use crate::Mode;

/// `HCR_EL2.VSE`.
const VSE: u64 = 1 << 8;

/// A host whose CPUs may have the RAS extension, with a guest that may have an
/// SError pending.
fn host(mode: Mode, ras: bool, is_pending: bool) -> Host {
    let all = all_features(mode, false);
    let cpus = Cpus {
        have: Features { ras, ..all.have },
        ..all
    };
    let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
    if is_pending {
        host.vcpus[0].vcpu.arch.hcr_el2 |= VSE;
    }
    host.load(0);
    host
}

#[test]
fn serror_syndromes_are_there_with_ras_and_written_for_those_that_are_pending() {
    for mode in Mode::ALL {
        for (ras, is_pending) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut host = host(mode, ras, is_pending);
            host.enter(0, &mut |_, _| IRQ);
            let expected = usize::from(ras && is_pending);
            let found = writes(host.cpu(), "VSESR_EL2");
            assert_eq!(found, expected, "{mode:?} {ras} {is_pending}");
        }
    }
}

#[test]
fn serrors_can_be_taken_by_a_guest_and_not_made() {
    for mode in Mode::ALL {
        for (is_pending, later, expected) in [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, true),
        ] {
            let mut host = host(mode, true, is_pending);
            host.enter(0, &mut |cpu, _| {
                let hcr = names::get(cpu, "HCR_EL2") & !VSE;
                names::set(cpu, "HCR_EL2", hcr | if later { VSE } else { 0 });
                IRQ
            });
            let found = host.vcpu(0).arch.hcr_el2 & VSE != 0;
            assert_eq!(found, expected, "{mode:?} {is_pending} {later}");
        }
    }
}
