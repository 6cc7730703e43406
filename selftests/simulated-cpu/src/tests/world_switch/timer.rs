// SPDX-License-Identifier: GPL-2.0
//! The physical timer under VHE where the CPU applies the guest's offset.

use super::super::machine::{mark, Level};
use super::super::names;
use super::{behind_last_write, nested, writes, IRQ};
use crate::{bindings, Access, Cpu};

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
