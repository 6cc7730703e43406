// SPDX-License-Identifier: GPL-2.0
//! Registers of MPAM are touched only where they are.

use super::super::host::Host;
use super::super::machine::{Cpus, Features};
use super::{all_features, plain, writes, IRQ, MODES};
use crate::bindings;

#[test]
fn mpam_registers_are_written_only_where_they_are() {
    for (mode, pkvm) in MODES {
        for (mpam, hcr) in [(false, false), (true, false), (true, true)] {
            let cpus = Cpus {
                mpam,
                ..all_features(mode, pkvm)
            };
            let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
            if hcr {
                host.cpu().add_capability(bindings::ARM64_MPAM_HCR);
            }
            let mut counts = [0; 2];
            let names = ["MPAM2_EL2", "MPAMHCR_EL2"];
            let mut count = |host: &mut Host| {
                for (count, name) in counts.iter_mut().zip(names) {
                    *count += writes(host.cpu(), name);
                }
            };
            host.load(0);
            count(&mut host);
            host.enter(0, &mut |_, _| IRQ);
            count(&mut host);
            host.put(0);
            count(&mut host);
            let expected = [mpam, hcr].map(|is_there| if is_there { 2 } else { 0 });
            assert_eq!(counts, expected, "{mode:?} {pkvm} {mpam} {hcr}");
        }
    }
}
