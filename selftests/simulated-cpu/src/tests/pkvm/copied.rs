// SPDX-License-Identifier: GPL-2.0
//! Which registers host and EL2 hand to each other: those that the guest has, and
//! no others.

use super::super::host::Host;
use super::super::machine::{self, mark, Cpus, Features};
use super::super::world_switch::{all_features, plain};
use crate::{bindings, Mode};

/// `HCR_EL2.APK`, `API`, `RW` and `ATA`.
const APK: u64 = 1 << 40;
const API: u64 = 1 << 41;
const RW: u64 = 1 << 31;
const ATA: u64 = 1 << 56;

/// Registers, and whether they are to be copied.
fn copied(has: Features, is_protected: bool, hcr: u64) -> Vec<(&'static str, bool)> {
    let keys = hcr & (API | APK) != 0;
    let aarch32 = hcr & RW == 0;
    vec![
        ("SCTLR_EL1", true),
        ("TCR2_EL1", has.tcr2),
        ("PIR_EL1", has.tcr2 && has.s1pie),
        ("PIRE0_EL1", has.tcr2 && has.s1pie),
        ("POR_EL1", has.tcr2 && has.s1poe),
        ("POR_EL0", has.s1poe),
        ("SCTLR2_EL1", has.sctlr2),
        ("DISR_EL1", has.ras),
        ("TPIDR_EL0", is_protected),
        ("TPIDRRO_EL0", is_protected),
        ("TFSR_EL1", has.mte),
        ("TFSRE0_EL1", has.mte && is_protected),
        ("RGSR_EL1", hcr & ATA != 0),
        ("GCR_EL1", hcr & ATA != 0),
        ("APIAKEYLO_EL1", keys),
        ("APGAKEYHI_EL1", keys),
        ("ZCR_EL1", has.sve),
        ("FPMR", has.fpmr),
        ("spsr_abt", aarch32),
        ("spsr_fiq", aarch32),
        ("DACR32_EL2", aarch32),
        ("IFSR32_EL2", aarch32),
    ]
}

#[test]
fn b22_registers_that_a_guest_does_not_have_stay_where_they_are() {
    for bits in 0..1 << 8 {
        for flags in 0..1 << 4 {
            let bit = |number: u32| flags & (1 << number) != 0;
            // None has a virtual EL2.
            let has = Features {
                nv: false,
                fpmr: bit(3),
                ..Features::from_bits(bits)
            };
            let is_protected = bit(0);
            let hcr = [0, API, APK, API | APK][(flags >> 1) & 3];
            let hcr = hcr | if bit(3) { ATA } else { RW };
            let cpus = Cpus {
                have: Features {
                    ras: has.ras,
                    ..Features::from_bits(!0)
                },
                ..all_features(Mode::Nvhe, true)
            };
            let guest = machine::Guest {
                is_protected,
                ..plain(has)
            };
            let mut host = Host::with_guests(cpus, &[guest]);
            host.vcpus[1].vcpu.arch.hcr_el2 = hcr;
            host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
            host.flush(0, 1);
            for (name, is_copied) in copied(has, is_protected, hcr) {
                let owner = if is_copied { "host's 0" } else { "EL2's 0" };
                let found = *host.vcpus[1].kept(name);
                assert_eq!(
                    found,
                    mark(owner, name),
                    "{name} {has:?} {hcr:#x} {is_protected}"
                );
            }
        }
    }
}
