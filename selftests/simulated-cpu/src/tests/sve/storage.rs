// SPDX-License-Identifier: GPL-2.0
//! Storage for SVE state: who has it, and until when.

use super::host::{alike, Host, Vcpu};
use crate::{live_allocations, set_allocations_failing, sve, with_sharing, EPERM};
use sve_abi::call::{Call, Errno, Outcome, SVE};

const FINALIZE: Call = Call::Finalize { feature: SVE };

fn with_sve(host: &mut Host) -> Vcpu {
    let mut vcpu = Vcpu::new();
    host.call(&mut vcpu, &Call::Init { sve: true });
    vcpu
}

fn shared() -> usize {
    with_sharing(|sharing| sharing.shared.len())
}

#[test]
fn b16_storage_is_shared_at_finalisation_and_until_destruction() {
    let mut host = Host::new(alike(0x000b));
    let mut vcpu = with_sve(&mut host);
    assert_eq!((live_allocations(), shared()), (0, 0));
    assert_eq!(host.call(&mut vcpu, &FINALIZE), Outcome::Done);
    assert_eq!(live_allocations(), 1);
    let start = vcpu.vcpu.arch.sve_state as usize;
    let range = start..start + crate::FpRegisters::sve_size(64);
    assert_eq!(with_sharing(|sharing| sharing.shared.clone()), [range]);
    host.for_vcpu(&mut vcpu, sve::destroy);
    assert_eq!((live_allocations(), shared()), (0, 0));
}

#[test]
fn b16_a_vcpu_without_storage_can_be_destroyed() {
    let mut host = Host::new(alike(0x000b));
    let (mut fresh, mut with_sve) = (Vcpu::new(), with_sve(&mut host));
    host.for_vcpu(&mut fresh, sve::destroy);
    host.for_vcpu(&mut with_sve, sve::destroy);
    assert_eq!((live_allocations(), shared()), (0, 0));
}

#[test]
fn b32_without_memory_a_vcpu_stays_as_it_is_and_can_try_again() {
    let mut host = Host::new(alike(0x000b));
    let mut vcpu = with_sve(&mut host);
    set_allocations_failing(true);
    let refused = host.call(&mut vcpu, &FINALIZE);
    set_allocations_failing(false);
    assert_eq!(refused, Outcome::Failed(Errno::ENOMEM));
    assert_eq!(
        host.call(&mut vcpu, &Call::Run),
        Outcome::Failed(Errno::EPERM)
    );
    assert_eq!(host.call(&mut vcpu, &FINALIZE), Outcome::Done);
    host.for_vcpu(&mut vcpu, sve::destroy);
    assert_eq!(live_allocations(), 0);
}

#[test]
fn b16_storage_that_el2_does_not_take_is_freed() {
    let mut host = Host::new(alike(0x000b));
    let mut vcpu = with_sve(&mut host);
    with_sharing(|sharing| sharing.error = -(EPERM as i32));
    let refused = host.call(&mut vcpu, &FINALIZE);
    with_sharing(|sharing| sharing.error = 0);
    assert_eq!(refused, Outcome::Failed(Errno::EPERM));
    assert_eq!((live_allocations(), shared()), (0, 0));
    assert!(vcpu.vcpu.arch.sve_state.is_null());
    assert_eq!(host.call(&mut vcpu, &FINALIZE), Outcome::Done);
    host.for_vcpu(&mut vcpu, sve::destroy);
}
