// SPDX-License-Identifier: GPL-2.0
//! pKVM's EL2 saves and restores the host's FP registers itself: the host cannot
//! tell whether a guest has used FP.

use super::super::host::{host_zcr, Host, Image};
use super::super::machine::{self, Features};
use super::super::{names, runner};
use super::fp_state::FpState;
use super::{all_features, plain, trap, traps_once, FP_ASIMD, IRQ, SVE};
use crate::{bindings, Access, Mode};
use proptest::prelude::*;

/// What the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Nothing,
    Fp,
    Sve,
}

/// How the host finds the CPU's FP registers.
fn seen(host: &mut Host) -> (FpState, Vec<u8>, [u64; 2]) {
    let cpu = host.cpu();
    let longest = (host_zcr() as usize + 1) * 16;
    let lengths = ["ZCR_EL1", "ZCR_EL2"].map(|name| names::get(cpu, name));
    let bytes = cpu.fp().sve(longest);
    (FpState::in_cpu(cpu), bytes, lengths)
}

/// Runs a guest that uses FP like that, and checks what the host sees.
fn check(mode: Mode, cpus_have: Features, guest: machine::Guest, uses: Use) {
    let mut cpus = all_features(mode, true);
    cpus.have = cpus_have;
    let mut host = Host::with_guests(cpus, &[guest]);
    host.give_fp_to_host(&FpState::of("host"));
    let guests = FpState::of("guest");
    let runs = host.runs(0);
    host.set_fp_in_memory(0, &guests);
    host.set_fp_in_memory(runs, &guests);
    host.vcpus[0].vcpu.arch.iflags |= bindings::PKVM_HOST_STATE_DIRTY;
    host.load(0);
    let context = format!("{mode:?} {guest:?} on {cpus_have:?} {uses:?}");

    for run in 0..2 {
        let before = seen(&mut host);
        let changed = FpState::of(&format!("guest, run {run}"));
        let has = host.vcpus[runs].features;
        let mut entries = 0;
        host.enter(0, &mut |cpu, _| {
            entries += 1;
            match (uses, entries) {
                (Use::Fp, 1) => return trap(cpu, FP_ASIMD, 0),
                (Use::Sve, 1) => return trap(cpu, SVE, 0),
                _ => (),
            }
            if cpu.guest_can_use_fp() {
                let fpmr = names::get(cpu, "FPMR");
                changed.put(cpu);
                names::set(cpu, "ZCR_EL1", 0);
                // Without it, its accesses trap by HCRX_EL2.
                if !has.fpmr {
                    names::set(cpu, "FPMR", fpmr);
                }
            }
            IRQ
        });
        let after = seen(&mut host);
        // Without SVE, nobody can see more than V registers; what is beyond the
        // host's longest vector nobody can, either.
        if cpus_have.sve {
            assert!(after.1 == before.1, "{context}");
            assert_eq!(after.2, before.2, "{context}");
        }
        assert_eq!(after.0.v(), before.0.v(), "{context}");
        assert_eq!(after.0.fpmr(), before.0.fpmr(), "{context}");
        let owner = host.data(Image::Hyp).fp_owner;
        assert_eq!(owner, bindings::kvm_host_data_FP_STATE_HOST_OWNED);

        // And the guest's is where EL2 keeps it.
        let allowed = match uses {
            Use::Nothing => false,
            Use::Fp => true,
            Use::Sve => has.sve && !guest.is_protected,
        };
        let length = host.vcpus[runs].vcpu.arch.sve_max_vl as usize;
        let expected = if allowed { &changed } else { &guests };
        if has.sve {
            assert!(host.vcpus[runs].sve_state == expected.sve(length).0);
        } else {
            let vregs = host.vcpus[runs].vcpu.arch.ctxt.fp_regs.vregs;
            let bytes = vregs.map(u128::to_le_bytes);
            assert_eq!(bytes.as_flattened(), expected.v().0);
        }
        // EL2 has the guest's registers now.
        host.vcpus[0].vcpu.arch.iflags &= !bindings::PKVM_HOST_STATE_DIRTY;
    }
}

#[test]
fn b22_the_host_sees_no_difference_whether_the_guest_used_fp_or_not() {
    for mode in [Mode::Nvhe, Mode::Hvhe] {
        for bits in 0..16 {
            let [cpu_sve, cpu_fpmr, sve, fpmr] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let features = |sve, fpmr| Features {
                sve,
                fpmr,
                ..Features::default()
            };
            for uses in [Use::Nothing, Use::Fp, Use::Sve] {
                for is_protected in [false, true] {
                    let guest = machine::Guest {
                        is_protected,
                        ..plain(features(sve, fpmr))
                    };
                    check(mode, features(cpu_sve, cpu_fpmr), guest, uses);
                }
            }
        }
    }
}

#[test]
fn b15_b22_lengths_are_saved_before_the_state_and_each_state_moves_with_its_own() {
    for mode in [Mode::Nvhe, Mode::Hvhe] {
        let has = Features {
            sve: true,
            ..Features::default()
        };
        let mut host = Host::with_guests(all_features(mode, true), &[plain(has)]);
        // As when a CPU has come up: longer than what all CPUs have.
        names::set(host.cpu(), "ZCR_EL2", 0xf);
        host.load(0);
        host.enter(0, &mut traps_once(SVE));
        let trace = host.cpu().trace();
        let moves: Vec<&Access> = trace
            .iter()
            .filter(|a| matches!(a, Access::SaveSve { .. } | Access::LoadSve { .. }))
            .collect();
        let [hosts, guests] = [(host_zcr() as usize + 1) * 16, 48];
        assert_eq!(
            moves,
            [
                &Access::SaveSve { length: hosts },
                &Access::LoadSve { length: guests },
                &Access::SaveSve { length: guests },
                &Access::LoadSve { length: hosts },
            ]
        );
        // ZCR_EL1 is read before either save, and written behind either load.
        let name = if mode == Mode::Nvhe {
            "ZCR_EL1"
        } else {
            "ZCR_EL12"
        };
        let order: String = trace
            .iter()
            .filter_map(|access| match access {
                Access::SaveSve { .. } => Some('s'),
                Access::LoadSve { .. } => Some('l'),
                Access::Read { name: n, .. } if *n == name => Some('r'),
                Access::Write { name: n, .. } if *n == name => Some('w'),
                _ => None,
            })
            .collect();
        assert_eq!(order, "rslwrslw", "{mode:?}");
    }
}

#[test]
fn b22_holds_for_any_states() {
    let cases = (
        prop::sample::select(vec![Mode::Nvhe, Mode::Hvhe]),
        machine::guest(),
        any::<u16>(),
        prop::sample::select(vec![Use::Nothing, Use::Fp, Use::Sve]),
    );
    let mut runner = runner();
    let outcome = runner.run(&cases, |(mode, guest, have, uses)| {
        let guest = machine::Guest {
            // Protected guests that are in AArch32 state are not run again.
            aarch32: guest.aarch32 && !guest.is_protected,
            pstate: 0x3c5,
            ..guest
        };
        check(mode, Features::from_bits(have), guest, uses);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}
