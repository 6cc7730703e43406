// SPDX-License-Identifier: GPL-2.0
//! Aborts: which addresses the kernel gets to know, and whether the guest tries
//! again.

use super::super::host::Host;
use super::super::machine::{mark, Features};
use super::super::names;
use super::{all_features, plain, trap, IRQ, MODES};
use crate::{bindings, set_static_keys, Access, Mode, Translation};

/// Exception classes: of instruction aborts, data aborts and watchpoints.
const CLASSES: [u64; 3] = [IABT_LOW, DABT_LOW, WATCHPT_LOW];
const IABT_LOW: u64 = 0x20;
const DABT_LOW: u64 = 0x24;
const WATCHPT_LOW: u64 = 0x34;

const FNV: u64 = 1 << 10;
const S1PTW: u64 = 1 << 7;
const ISV: u64 = 1 << 24;
/// `HPFAR_EL2_NS`: there is an address.
const NS: u64 = 1 << 63;

/// What is done about a fault, from `arch/arm64/kvm/hyp/include/hyp/fault.h` and
/// `arch/arm64/include/asm/esr.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    /// `HPFAR_EL2` has it.
    Hpfar,
    /// `AT` finds it.
    Translate,
    /// There is none.
    None,
}

/// `__hpfar_valid()` and `__fault_safe_to_translate()`.
fn address(fsc: u64, s1ptw: bool, fnv: bool, erratum_834220: bool) -> Address {
    match fsc {
        // Translation, levels 0 to 3, and -1.
        0x04..=0x07 | 0x2b => match erratum_834220 {
            true => Address::Translate,
            false => Address::Hpfar,
        },
        // Access flag.
        0x08..=0x0b => Address::Hpfar,
        // Permission.
        0x0c..=0x0f if s1ptw => Address::Hpfar,
        // Address size, levels 0 to 3, and -1.
        0x00..=0x03 | 0x29 => Address::Hpfar,
        // External abort and ECC error of a walk, levels 0 to 3, and -1.
        0x14..=0x17 | 0x13 | 0x1c..=0x1f | 0x1b => Address::None,
        0x10 if fnv => Address::None,
        _ => Address::Translate,
    }
}

#[test]
fn faults_have_the_address_that_they_have_in_c() {
    let addresses = [
        // Where a translation leads to, with attributes around it.
        (
            Translation::Par(0xff0f_1234_5678_9b80),
            Some(0xf_1234_5678_9000),
        ),
        // PAR_EL1.F.
        (Translation::Par(0x80f), None),
        (Translation::Exception, None),
    ];
    for (mode, pkvm) in MODES {
        for erratum in [false, true] {
            let cpus = all_features(mode, pkvm);
            let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
            if erratum {
                host.cpu().add_capability(bindings::ARM64_WORKAROUND_834220);
            }
            host.load(0);
            for iss in 0..0x40 * 4 {
                let class = CLASSES[iss as usize % 3];
                let (fsc, flags) = (iss & 0x3f, iss >> 6);
                let (s1ptw, fnv) = (flags & 1 != 0, flags & 2 != 0);
                let iss = fsc | if s1ptw { S1PTW } else { 0 } | if fnv { FNV } else { 0 };
                let (translation, ipa) = addresses[(fsc + flags) as usize % 3];
                let expected = address(fsc, s1ptw, fnv, erratum);
                let context = format!("{mode:?} {class:#x} {iss:#x} {expected:?} {translation:?}");

                let (far, hpfar) = (mark(&context, "FAR"), mark(&context, "HPFAR") & !NS);
                let par = mark(&context, "PAR");
                let mut entries = 0;
                host.cpu().translation = translation;
                host.enter(0, &mut |cpu, _| {
                    entries += 1;
                    if entries == 2 {
                        return IRQ;
                    }
                    names::set(cpu, "FAR_EL2", far);
                    names::set(cpu, "HPFAR_EL2", hpfar);
                    names::set(cpu, "PAR_EL1", par);
                    trap(cpu, class, iss)
                });
                let runs = host.runs(0);
                let fault = host.vcpu(0).arch.fault.clone();
                assert_eq!(fault.far_el2, far, "{context}");
                let (again, found) = match expected {
                    Address::Hpfar => (false, hpfar | NS),
                    Address::None => (false, 0),
                    Address::Translate => match ipa {
                        Some(ipa) => (false, (ipa >> 8) | NS),
                        None => (true, 0),
                    },
                };
                assert_eq!(fault.hpfar_el2, found, "{context}");
                assert_eq!(entries == 2, again, "{context}");
                // The guest's own PAR_EL1, which is in the CPU under VHE.
                let own = match mode {
                    Mode::Vhe => names::get(host.cpu(), "PAR_EL1"),
                    Mode::Nvhe | Mode::Hvhe => *host.vcpus[runs].kept("PAR_EL1"),
                };
                assert_eq!(own, par, "{context}");
                let translated = host.cpu().trace().contains(&Access::At {
                    address: far,
                    // With permission overlays: all_features() has them.
                    ignoring_permissions: true,
                });
                assert_eq!(translated, expected == Address::Translate, "{context}");
            }
        }
    }
}

#[test]
fn faults_are_translated_without_overlays_where_there_are_none() {
    let mut cpus = all_features(Mode::Vhe, false);
    cpus.have.s1poe = false;
    let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
    host.load(0);
    host.enter(0, &mut |cpu, _| {
        names::set(cpu, "FAR_EL2", 0x1000);
        cpu.translation = Translation::Par(0x2000);
        // Permission.
        trap(cpu, DABT_LOW, 0xf)
    });
    assert!(host.cpu().trace().contains(&Access::At {
        address: 0x1000,
        ignoring_permissions: false,
    }));
}

#[test]
fn faults_on_a_gicv2_are_passed_on_if_they_are_accesses() {
    // 1: done, 0: none, -1: not allowed, which is an SError to the guest.
    for (is_trapped, answer, iss, expected) in [
        (true, 1, ISV | 0x7, (2, IRQ)),
        (true, 0, ISV | 0x7, (1, 2)),
        (true, -1, ISV | 0x7, (1, 1)),
        (false, 1, ISV | 0x7, (1, 2)),
        // No valid syndrome, a walk of stage 1, another fault.
        (true, 1, 0x7, (1, 2)),
        (true, 1, ISV | S1PTW | 0x7, (1, 2)),
        (true, 1, ISV | 0xb, (1, 2)),
        (true, 1, ISV | 0x10, (1, 2)),
    ] {
        for (mode, pkvm) in MODES {
            let cpus = all_features(mode, pkvm);
            let mut host = Host::with_guests(cpus, &[plain(Features::default())]);
            host.load(0);
            host.vcpu(0).arch.answers.vgic_v2_access = answer;
            set_static_keys(is_trapped.then_some("vgic_v2_cpuif_trap"));
            let mut entries = 0;
            host.cpu().translation = Translation::Par(0x2000);
            let code = host.enter(0, &mut |cpu, _| {
                entries += 1;
                match entries {
                    1 => trap(cpu, DABT_LOW, iss),
                    _ => IRQ,
                }
            });
            set_static_keys(None);
            assert_eq!((entries, code), expected, "{mode:?} {answer} {iss:#x}");
        }
    }
}
