// SPDX-License-Identifier: GPL-2.0
//! A trap control that changes is synchronised before what it guards is touched.
//!
//! The simulated CPU panics where it may not have been. So every test here and
//! in the other files asks for it; these show that the CPU does notice.

use super::super::panic_of;
use super::plain;
use super::{all_features, trap, FP_ASIMD, IRQ, MODES};
use crate::arm64::barrier::isb;
use crate::arm64::fp_access::FpTrapsOpened;
use crate::arm64::registers::*;
use crate::arm64::sysreg::{read, write};
use crate::{user_fpsimd_state, Cpu, Mode};

/// `CPTR_EL2` that traps FP alone, SVE alone, and nothing, in the layout of a
/// mode.
fn cptr(mode: Mode) -> [u64; 3] {
    match mode {
        Mode::Nvhe => [(1 << 10) | 0x33ff & !0x500, (1 << 8) | 0x22ff, 0x22ff],
        Mode::Vhe | Mode::Hvhe => [0b11 << 16, 0b11 << 20, (0b11 << 20) | (0b11 << 16)],
    }
}

/// Writes `CPTR_EL2`, by its own name.
fn set(value: u64) {
    // SAFETY: On the simulated CPU.
    unsafe { write(CPTR_EL2::from(value)) }
}

/// An access to what FP guards, as the code at EL2 has it.
fn save() {
    let mut state = user_fpsimd_state::default();
    // SAFETY: On the simulated CPU, which is to notice if this is not true.
    unsafe {
        FpTrapsOpened::assume_written()
            .assume_synchronised()
            .save_fpsimd(&raw mut state);
    }
}

/// Accesses to what FP, or SVE, guards.
fn accesses() -> Vec<(&'static str, bool, fn())> {
    // SAFETY: On the simulated CPU.
    unsafe {
        vec![
            ("V registers", false, save),
            ("FPSR", false, || _ = read::<FPSR>()),
            ("FPCR", false, || write(FPCR::from(0))),
            ("FPMR", false, || write(FPMR::from(0))),
            ("FPEXC32_EL2", false, || _ = read::<FPEXC32_EL2>()),
            ("ZCR_EL2", true, || _ = read::<ZCR_EL2>()),
            ("ZCR_EL2", true, || write(ZCR_EL2::from(0))),
        ]
    }
}

#[test]
fn b19_an_access_that_may_trap_is_noticed() {
    for mode in Mode::ALL {
        let [fp_traps, sve_traps, open] = cptr(mode);
        for (what, is_sve, access) in accesses() {
            let traps = if is_sve { sve_traps } else { fp_traps };
            let run = |code: &dyn Fn()| {
                Cpu::new(mode).run(|| {
                    set(open);
                    isb();
                    code();
                })
            };
            let expect_panic = |code: &dyn Fn()| {
                let message = panic_of(|| run(code));
                assert!(message.contains("may trap at EL2"), "{what}: {message}");
            };
            run(&access);
            // Closed, for certain and perhaps.
            expect_panic(&|| {
                set(traps);
                isb();
                access();
            });
            expect_panic(&|| {
                set(traps);
                access();
            });
            // Opened again, perhaps and for certain.
            expect_panic(&|| {
                set(traps);
                set(open);
                access();
            });
            run(&|| {
                set(traps);
                set(open);
                isb();
                access();
            });
        }
    }
}

#[test]
fn b19_the_traps_are_open_for_certain_when_the_registers_move() {
    for (mode, pkvm) in MODES {
        for bits in 0..8u16 {
            let [sve, fpmr, aarch32] = [1, 2, 4].map(|bit| bits & bit != 0);
            let has = super::Features {
                sve,
                fpmr,
                ..Default::default()
            };
            let guest = match aarch32 && !sve {
                true => super::aarch32(has),
                false => plain(has),
            };
            let mut host = super::Host::with_guests(all_features(mode, pkvm), &[guest]);
            host.load(0);
            for _ in 0..2 {
                host.enter(0, &mut |cpu, _| match cpu.guest_can_use_fp() {
                    false => trap(cpu, FP_ASIMD, 0),
                    true => IRQ,
                });
            }
            host.put(0);
        }
    }
}
