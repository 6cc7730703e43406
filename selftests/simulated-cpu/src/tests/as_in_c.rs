// SPDX-License-Identifier: GPL-2.0
//! Every access to a register, in its order, and everything in memory is as
//! with the C: see [`super::specification`].

use super::functions::*;
use super::host::{Host, Image};
use super::machine::{self, fill_cpu, Cpus, DebugOwner, Features, Guest, Level, Vcpu};
use super::runner;
use crate::Mode;

/// From `vcpu_load()` to `vcpu_put()`, with an exit in between. Before each
/// step every register of the CPU gets another value.
fn run_under_vhe(cpus: Cpus, guest: Guest) {
    let mut host = Host::new(cpus, vec![Vcpu::new("guest", &cpus, guest)]);
    for (who, function) in [
        ("host", LOAD),
        ("host, loaded", SAVE_HOST),
        ("host, saved", RESTORE_GUEST),
        ("guest, running", SAVE_GUEST),
        ("guest, saved", RESTORE_HOST),
        ("host, back", SAVE_HOST),
        ("host, again", RESTORE_GUEST),
        ("guest, again", SAVE_GUEST),
        ("guest, once more", RESTORE_HOST),
        ("guest, loaded", PUT),
    ] {
        fill_cpu(host.cpu(), who);
        host.call_as_c(0, function);
    }
}

/// From `vcpu_load()` to `vcpu_put()` without VHE, with a world switch there and
/// back in between.
fn run_without_vhe(cpus: Cpus, guest: Guest) {
    let mut host = Host::new(cpus, vec![Vcpu::new("guest", &cpus, guest)]);
    for (who, function) in [
        ("host", NVHE_LOAD),
        ("host, loaded", NVHE_SAVE_HOST),
        ("host, saved", NVHE_RESTORE_32BIT),
        ("host, saved", NVHE_RESTORE_GUEST),
        ("guest", NVHE_SAVE_GUEST),
        ("guest, saved", NVHE_SAVE_32BIT),
        ("guest, saved", NVHE_RESTORE_HOST),
        ("host, back", NVHE_PUT),
    ] {
        fill_cpu(host.cpu(), who);
        if function.image == Image::Kernel {
            host.set_this_cpu_offsets();
        }
        host.call_as_c(0, function);
    }
}

/// A guest with features that it alone decides on, and the rest by turns.
fn nth_guest(number: usize, has: Features, level: Level) -> Guest {
    let mode = match level {
        Level::El1 => [0x0, 0x4, 0x5, 0x13, 0xd][number % 5],
        Level::VirtualEl2 { .. } => [0x0, 0x8, 0x9, 0xd][number % 4],
        Level::L2 { .. } => [0x0, 0x4, 0x5][number % 3],
    };
    Guest {
        has: Features {
            nv: level != Level::El1,
            ..has
        },
        level,
        pstate: 0xf000_03c0 | mode,
        aarch32: level == Level::El1 && number % 2 == 0,
        debug_owner: DebugOwner::ALL[number % 3],
        writable_imp_id_regs: number / 3 % 2 == 0,
        is_protected: false,
    }
}

#[test]
fn vhe_is_as_in_c_with_each_set_of_features_at_each_level() {
    let mut number = 0;
    for features in 0..1 << 6 {
        for level in Level::ALL {
            for nv2p1 in [false, true] {
                number += 1;
                let cpus = Cpus {
                    mode: Mode::Vhe,
                    have: Features::from_bits(!0),
                    nv2p1,
                    mpam: number / 2 % 3 == 0,
                    speculative_at: number / 2 % 5 == 0,
                    pkvm: false,
                };
                run_under_vhe(
                    cpus,
                    nth_guest(number, Features::from_bits(features), level),
                );
            }
        }
    }
}

#[test]
fn vhe_is_as_in_c_whatever_cpus_and_guest_have() {
    let machines = (machine::cpus(&[Mode::Vhe]), machine::guest());
    let outcome = runner().run(&machines, |(cpus, guest)| {
        run_under_vhe(cpus, guest);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn nvhe_is_as_in_c_with_each_set_of_features() {
    for features in 0..1 << 6 {
        for (number, mode) in [Mode::Nvhe, Mode::Hvhe, Mode::Nvhe].into_iter().enumerate() {
            for debug_owner in DebugOwner::ALL {
                for [aarch32, is_protected] in [0, 1, 2, 3].map(|n| [n & 1 != 0, n & 2 != 0]) {
                    let cpus = Cpus {
                        mode,
                        have: Features::from_bits(!0),
                        nv2p1: false,
                        mpam: false,
                        speculative_at: number == 2,
                        pkvm: is_protected || features % 2 == 0,
                    };
                    let has = Features::from_bits(features);
                    let guest = Guest {
                        debug_owner,
                        aarch32,
                        is_protected,
                        ..nth_guest(features.into(), has, Level::El1)
                    };
                    run_without_vhe(cpus, guest);
                }
            }
        }
    }
}

#[test]
fn nvhe_is_as_in_c_whatever_cpus_and_guest_have() {
    let machines = (machine::cpus(&[Mode::Nvhe, Mode::Hvhe]), machine::guest());
    let outcome = runner().run(&machines, |(cpus, guest)| {
        run_without_vhe(cpus, guest);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
