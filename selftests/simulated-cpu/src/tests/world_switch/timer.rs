// SPDX-License-Identifier: GPL-2.0
//! The physical timer under VHE where the CPU applies the guest's offset, and traps of timers
//! without VHE.

use super::super::host::Host;
use super::super::machine::{self, mark, Features, Level};
use super::super::names;
use super::{all_features, behind_last_write, nested, plain, writes, IRQ, MODES};
use crate::{bindings, set_static_keys, Access, Cpu, Mode};

/// `timer_apply_offset()` of `include/kvm/arm_arch_timer.h`.
fn for_host(cval: u64, offset: u64, now: u64) -> u64 {
    if now.wrapping_sub(offset) >= cval {
        return 0;
    }
    // One that wraps around is after all that there will be.
    match cval.wrapping_add(offset) {
        value if value > now => value,
        _ => u64::MAX,
    }
}

#[test]
fn the_compare_value_is_the_guests_in_it_and_without_its_offset_for_the_host() {
    let now = 0x1000_0000;
    for level in Level::ALL {
        for cntpoff in [false, true] {
            for offset in [0, 1, 0x800_0000, now, now + 1, u64::MAX - 5] {
                for cval in [
                    0,
                    1,
                    0x7ff_ffff,
                    0x800_0001,
                    now - 1,
                    now + 5,
                    u64::MAX - 7,
                    !0,
                ] {
                    let mut host = nested(level);
                    if cntpoff {
                        host.cpu().add_capability(bindings::ARM64_HAS_ECV_CNTPOFF);
                    }
                    host.load(0);
                    names::set(host.cpu(), "CNTPOFF_EL2", offset);
                    let in_cpu = mark("loaded by the timer", "CVAL");
                    names::set(host.cpu(), "CNTP_CVAL_EL0", in_cpu);
                    let own = match level {
                        Level::VirtualEl2 { .. } => "CNTHP_CVAL_EL2",
                        Level::El1 | Level::L2 { .. } => "CNTP_CVAL_EL0",
                    };
                    *host.vcpus[0].kept(own) = mark("guest", own);
                    let has_in_memory = host.vcpus[0].sanitised(own, mark("guest", own));
                    let context = format!("{level:?} {cntpoff} {offset:#x} {cval:#x}");
                    // Nobody may go on with what was there before.
                    let is_synchronised = |cpu: &Cpu| {
                        let behind = behind_last_write(cpu, "CNTP_CVAL_EL02");
                        writes(cpu, "CNTP_CVAL_EL02") == 0 || behind == Some(&Access::Isb)
                    };
                    host.enter(0, &mut |cpu, _| {
                        assert_eq!(writes(cpu, "CNTP_CVAL_EL02") == 1, cntpoff, "{context}");
                        assert!(is_synchronised(cpu), "{context}");
                        cpu.counter = now - 1;
                        let expected = if cntpoff { has_in_memory } else { in_cpu };
                        let found = names::get(cpu, "CNTP_CVAL_EL0");
                        assert_eq!(found, expected, "{context}");
                        names::set(cpu, "CNTP_CVAL_EL0", cval);
                        IRQ
                    });
                    assert!(is_synchronised(host.cpu()), "{context}");
                    let kept = *host.vcpus[0].kept(own);
                    let found = names::get(host.cpu(), "CNTP_CVAL_EL0");
                    if cntpoff {
                        assert_eq!(kept, host.vcpus[0].sanitised(own, cval), "{context}");
                        let expected = match offset {
                            0 => cval,
                            _ => for_host(cval, offset, now),
                        };
                        assert_eq!(found, expected, "{context}");
                    } else {
                        assert_eq!(kept, mark("guest", own), "{context}");
                        assert_eq!(found, cval, "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn timers_and_counters_trap_without_vhe_as_in_c() {
    const EL1PCTEN: u64 = 1 << 0;
    const EL1PCEN: u64 = 1 << 1;
    const VIRTUAL: u64 = (1 << 13) | (1 << 14);
    for (mode, pkvm) in MODES.into_iter().filter(|(mode, _)| *mode != Mode::Vhe) {
        for bits in 0..16 {
            let [is_protected, physical, virtual_, broken] =
                [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let guest = machine::Guest {
                is_protected: is_protected && pkvm,
                ..plain(Features::default())
            };
            let mut host = Host::with_guests(all_features(mode, pkvm), &[guest]);
            let runs = host.runs(0);
            for (offsets, has) in host.vcpus[runs]
                .offsets
                .iter_mut()
                .zip([physical, virtual_])
            {
                *offsets = if has { [3, 4] } else { [0, 0] };
            }
            host.vcpus[runs].link();
            let keys: &[&'static str] = if broken { &["broken_cntvoff_key"] } else { &[] };
            set_static_keys(keys.iter().copied());
            host.load(0);
            // What other bits there are stays.
            let before = names::get(host.cpu(), "CNTHCTL_EL2") | (1 << 40);
            names::set(host.cpu(), "CNTHCTL_EL2", before);
            let shift = if mode == Mode::Hvhe { 10 } else { 0 };
            let mut expected = before & !((EL1PCTEN | EL1PCEN) << shift);
            if guest.is_protected || !physical {
                expected |= EL1PCTEN << shift;
            }
            if broken && virtual_ {
                expected |= VIRTUAL;
            }
            host.enter(0, &mut |cpu, _| {
                assert_eq!(names::get(cpu, "CNTHCTL_EL2"), expected, "{mode:?} {bits}");
                IRQ
            });
            set_static_keys(None);
            assert_eq!(
                names::get(host.cpu(), "CNTHCTL_EL2"),
                before,
                "{mode:?} {bits}"
            );
        }
    }
}
