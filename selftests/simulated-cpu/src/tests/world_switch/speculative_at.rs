// SPDX-License-Identifier: GPL-2.0
//! What is done against speculative walks is done on the CPUs that need it, and
//! nowhere else: each ISB costs time.

use super::super::host::Host;
use super::super::machine::{Cpus, Features};
use super::{all_features, behind_last_write, plain, writes, IRQ};
use crate::{Access, Mode};

fn host(mode: Mode, speculative_at: bool) -> Host {
    let cpus = Cpus {
        speculative_at,
        ..all_features(mode, false)
    };
    let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
    host.load(0);
    host.enter(0, &mut |_, _| IRQ);
    host
}

#[test]
fn speculative_at_without_vhe_governs_walks_on_cpus_with_the_erratum_alone() {
    for (erratum, sctlr, tcr) in [(false, 2, 2), (true, 3, 4)] {
        let mut host = host(Mode::Nvhe, erratum);
        assert_eq!(writes(host.cpu(), "SCTLR_EL1"), sctlr, "{erratum}");
        assert_eq!(writes(host.cpu(), "TCR_EL1"), tcr, "{erratum}");
    }
}

#[test]
fn speculative_at_under_vhe_completes_the_hosts_hcr_on_cpus_with_the_erratum_alone() {
    for erratum in [false, true] {
        let mut host = host(Mode::Vhe, erratum);
        // The last one that is written is the host's.
        let behind = behind_last_write(host.cpu(), "HCR_EL2").expect("the host's HCR_EL2");
        assert_eq!(*behind == Access::Isb, erratum);
    }
}
