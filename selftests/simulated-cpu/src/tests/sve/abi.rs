// SPDX-License-Identifier: GPL-2.0
//! Every call comes to what the model of the ABI says.

use super::host::{alike, Host, Vcpu};
use crate::{live_allocations, sve, with_sharing, HostLengths, Sharing};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sve_abi::call::{Call, Errno, Memory, Outcome, SVE};
use sve_abi::{id, model, random};

/// Whether a call is about a register that is C's.
fn is_of_c(call: &Call) -> bool {
    match call {
        Call::Get { id, .. } | Call::Set { id, .. } => {
            // The size is left.
            id & !(0xf << id::SIZE_SHIFT) & !0xf000_ffff != id::ARM64 | id::SVE
        }
        _ => false,
    }
}

/// Makes `calls` calls at random on vCPUs of a host.
fn at_random(seed: u64, lengths: HostLengths, calls: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut host = Host::new(lengths);
    let model = model::Host {
        lengths: lengths.all,
        longest: lengths.guests_longest(),
    };
    for vcpu_number in 0..calls / 500 {
        let sve = lengths.all != 0 && rng.random_ratio(3, 4);
        let (mut vcpu, mut modelled) = (Vcpu::new(), model::Vcpu::new(model));
        for number in 0..500 {
            let call = random::call(&mut rng, &model, sve);
            if is_of_c(&call) {
                continue;
            }
            let (is, must) = (host.call(&mut vcpu, &call), modelled.call(&call));
            assert_eq!(
                is, must,
                "{lengths:x?}, seed {seed}, vCPU {vcpu_number}, call {number}: {call:x?}"
            );
        }
        host.for_vcpu(&mut vcpu, sve::destroy);
        assert_eq!(live_allocations(), 0);
        assert_eq!(with_sharing(|sharing| sharing.clone()), Sharing::default());
    }
}

#[test]
fn b31_b32_b33_b34_calls_at_random_come_to_what_the_model_says() {
    for lengths in [0xffff, 0x808b, 0x0001, 0x000b, 0x000f, 0x00ff, 0x0000] {
        at_random(lengths.into(), alike(lengths), 40_000);
    }
    // Some CPUs have a length that others do not.
    for (all, some) in [
        (0xffff, 0xffff),
        (0x00ff, 0x0fff),
        (0x008b, 0x00ab),
        (0x808b, 0x800f),
    ] {
        at_random(0x5e, HostLengths { all, some }, 40_000);
    }
}

/// A vCPU that is initialised with SVE.
fn with_sve(host: &mut Host) -> Vcpu {
    let mut vcpu = Vcpu::new();
    let done = host.call(&mut vcpu, &Call::Init { sve: true });
    assert_eq!(done, Outcome::Done);
    vcpu
}

fn get(host: &mut Host, vcpu: &mut Vcpu, id: u64) -> Outcome {
    let to = Memory::Bytes(vec![0xaa; id::size(id)]);
    host.call(vcpu, &Call::Get { id, to })
}

fn set(host: &mut Host, vcpu: &mut Vcpu, id: u64, bytes: &[u8]) -> Outcome {
    let from = Memory::ReadOnly(bytes.to_vec());
    host.call(vcpu, &Call::Set { id, from })
}

#[test]
fn b31_the_best_set_is_the_default_and_init_brings_it_back() {
    let lengths = HostLengths {
        all: 0x808b,
        some: 0x80ab,
    };
    let mut host = Host::new(lengths);
    let mut vcpu = with_sve(&mut host);
    // 6 quadwords are some CPUs' alone, and cannot be hidden: none that is as long.
    let mut best = vec![0; 64];
    best[0] = 0x0b;
    let lengths = id::VECTOR_LENGTHS;
    assert_eq!(
        get(&mut host, &mut vcpu, lengths),
        Outcome::Read(best.clone())
    );
    let mut shorter = vec![0; 64];
    shorter[0] = 0x01;
    assert_eq!(set(&mut host, &mut vcpu, lengths, &shorter), Outcome::Done);
    assert_eq!(get(&mut host, &mut vcpu, lengths), Outcome::Read(shorter));
    host.call(&mut vcpu, &Call::Init { sve: true });
    assert_eq!(get(&mut host, &mut vcpu, lengths), Outcome::Read(best));
}

#[test]
fn b33_every_register_is_where_the_fp_core_keeps_it() {
    for quadwords in 1..=16 {
        let mut host = Host::new(alike(((1u32 << quadwords) - 1) as u16));
        let mut vcpu = with_sve(&mut host);
        assert_eq!(
            host.call(&mut vcpu, &Call::Finalize { feature: SVE }),
            Outcome::Done
        );
        // One byte of each register, by its place: Z0 to Z31, P0 to P15 and FFR, without gaps.
        let mut place = 0;
        for id in id::all().skip(1) {
            let length = match id::size(id) {
                256 => 16 * quadwords,
                _ => 2 * quadwords,
            };
            let value: Vec<u8> = (0..id::size(id)).map(|n| n as u8 ^ place as u8).collect();
            assert_eq!(set(&mut host, &mut vcpu, id, &value), Outcome::Done);
            let state = vcpu.vcpu.arch.sve_state.cast::<u8>();
            // SAFETY: The state is there, and as long.
            let kept = unsafe { std::slice::from_raw_parts(state.add(place), length) };
            assert_eq!(kept, &value[..length], "{id:#x} of {quadwords} quadwords");
            place += length;
        }
        assert_eq!(place, crate::FpRegisters::sve_size(16 * quadwords));
        host.for_vcpu(&mut vcpu, sve::destroy);
    }
}

#[test]
fn b33_memory_that_ends_within_a_register_leaves_it_as_it_is() {
    let mut host = Host::new(alike(0xffff));
    let mut vcpu = with_sve(&mut host);
    host.call(&mut vcpu, &Call::Finalize { feature: SVE });
    let before = get(&mut host, &mut vcpu, id::z(5, 0));
    let after = set(&mut host, &mut vcpu, id::z(5, 0), &[0xff; 255]);
    assert_eq!(after, Outcome::Failed(Errno::EFAULT));
    assert_eq!(get(&mut host, &mut vcpu, id::z(5, 0)), before);
    host.for_vcpu(&mut vcpu, sve::destroy);
}

#[test]
fn b33_behind_ffr_there_is_no_register() {
    let mut host = Host::new(alike(0xffff));
    let mut vcpu = with_sve(&mut host);
    host.call(&mut vcpu, &Call::Finalize { feature: SVE });
    assert_eq!(id::ffr(0), id::p(16, 0));
    let found = get(&mut host, &mut vcpu, id::p(17, 0));
    assert_eq!(found, Outcome::Failed(Errno::EINVAL));
    host.for_vcpu(&mut vcpu, sve::destroy);
}

#[test]
fn b31_a_set_without_the_shortest_vectors_is_none() {
    let mut host = Host::new(alike(0x0b));
    let mut vcpu = with_sve(&mut host);
    let mut set_of = vec![0; 64];
    set_of[0] = 0x0a;
    let found = set(&mut host, &mut vcpu, id::VECTOR_LENGTHS, &set_of);
    assert_eq!(found, Outcome::Failed(Errno::EINVAL));
}
