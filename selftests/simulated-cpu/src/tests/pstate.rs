// SPDX-License-Identifier: GPL-2.0
//! The PSTATE that a guest is entered with.

use super::functions::{NVHE_LOAD, NVHE_RESTORE_GUEST};
use super::host::Host;
use super::machine::{Cpus, DebugOwner, Features, Guest, Level, Vcpu};
use super::names;
use crate::Mode;

const MODE: u64 = 0x1f;
const AARCH32: u64 = 1 << 4;
const IL: u64 = 1 << 20;

/// The PSTATE that a guest is entered with which has this one in memory.
fn to_hw_pstate(pstate: u64) -> u64 {
    let cpus = Cpus {
        mode: Mode::Hvhe,
        have: Features::default(),
        nv2p1: false,
        mpam: false,
        speculative_at: false,
        pkvm: false,
    };
    let guest = Guest {
        has: Features::default(),
        level: Level::El1,
        pstate,
        aarch32: false,
        debug_owner: DebugOwner::Free,
        writable_imp_id_regs: false,
        is_protected: false,
    };
    let mut host = Host::new(cpus, vec![Vcpu::new("guest", &cpus, guest)]);
    host.call(0, NVHE_LOAD);
    host.call(0, NVHE_RESTORE_GUEST);
    names::get(host.cpu(), "SPSR_EL2")
}

/// All modes that can be written down, each with some other bits.
fn all() -> impl Iterator<Item = u64> {
    (0..=MODE).flat_map(|mode| [0, 0x3c0, 0xf000_0000, !MODE].map(|rest| mode | rest))
}

#[test]
fn no_pstate_leads_to_el2_or_beyond() {
    for pstate in all() {
        let entered = to_hw_pstate(pstate);
        let el = (entered & MODE) >> 2;
        let legal = entered & AARCH32 != 0 || el < 2;
        assert!(
            legal || entered & IL != 0,
            "{pstate:#x} becomes {entered:#x}"
        );
    }
}

#[test]
fn virtual_el2_is_el1_and_el3_is_illegal() {
    assert_eq!(to_hw_pstate(0x3c8), 0x3c4, "EL2t");
    assert_eq!(to_hw_pstate(0x3c9), 0x3c5, "EL2h");
    for el3 in [0x3cc, 0x3cd] {
        assert_eq!(to_hw_pstate(el3), 0x9 | IL, "{el3:#x}");
    }
}

#[test]
fn everything_below_stays_as_it_is() {
    for pstate in all().filter(|p| p & AARCH32 != 0 || (p & MODE) < 8) {
        assert_eq!(to_hw_pstate(pstate), pstate);
    }
}
