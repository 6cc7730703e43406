// SPDX-License-Identifier: GPL-2.0
//! What EL2 takes of the host's SVE when it makes a vCPU of its own.

use super::super::panic_of;
use crate::nvhe::pkvm::sve;
use crate::nvhe::VcpuState;
use crate::{bindings, kvm, kvm_vcpu, with_sharing, Cpu, FpRegisters, Mode, EINVAL, EPERM};
use std::ptr::{self, NonNull};

/// The host's vCPU and EL2's, with and without SVE, and storage that the host
/// shares.
struct Vcpus {
    host: Box<kvm_vcpu>,
    hyp: Box<kvm_vcpu>,
    _kvm: Box<kvm>,
    storage: Vec<u8>,
}

impl Vcpus {
    fn new(has_sve: bool) -> Self {
        let [mut host, mut hyp] = [(); 2].map(|()| Box::<kvm_vcpu>::default());
        let mut kvm = Box::<kvm>::default();
        kvm.arch.vcpu_features[0] = u64::from(has_sve) << bindings::KVM_ARM_VCPU_SVE;
        hyp.kvm = &raw mut *kvm;
        // EL2 takes this from the host before it comes here.
        hyp.arch.cflags = bindings::VCPU_INITIALIZED | bindings::VCPU_SVE_FINALIZED;
        let mut storage = vec![0; FpRegisters::sve_size(64)];
        host.arch.sve_max_vl = 64;
        host.arch.sve_state = storage.as_mut_ptr().cast();
        let start = storage.as_ptr() as usize;
        with_sharing(|sharing| {
            *sharing = Default::default();
            sharing.shared.push(start..start + storage.len());
        });
        Self {
            host,
            hyp,
            _kvm: kvm,
            storage,
        }
    }

    /// Has EL2 take it.
    fn init(&mut self) -> Result<(), i32> {
        let [host, hyp] = [&raw mut *self.host, &raw mut *self.hyp].map(NonNull::new);
        let (host, hyp) = (host.expect("not NULL"), hyp.expect("not NULL"));
        // SAFETY: They are there, and used by nobody else.
        let code = || unsafe { sve::init(&mut VcpuState::new(hyp), Some(&VcpuState::new(host))) };
        Cpu::new(Mode::Hvhe).run(code).1
    }

    /// Has EL2 give it back.
    fn destroy(&mut self) {
        let hyp = NonNull::new(&raw mut *self.hyp).expect("not NULL");
        // SAFETY: It is there, and used by nobody else.
        Cpu::new(Mode::Hvhe).run(|| sve::destroy(&mut unsafe { VcpuState::new(hyp) }));
    }

    fn pinned(&self) -> usize {
        with_sharing(|sharing| sharing.pinned.len())
    }
}

#[test]
fn b16_el2_pins_what_the_host_shares_until_the_vcpu_goes() {
    let mut vcpus = Vcpus::new(true);
    assert_eq!(vcpus.init(), Ok(()));
    assert_eq!(vcpus.hyp.arch.sve_max_vl, 64);
    assert_eq!(vcpus.hyp.arch.sve_state, vcpus.host.arch.sve_state);
    let start = vcpus.storage.as_ptr() as usize;
    let range = start..start + vcpus.storage.len();
    assert_eq!(with_sharing(|sharing| sharing.pinned.clone()), [range]);
    // Whatever the host says by then.
    vcpus.host.arch.sve_max_vl = 16;
    vcpus.host.arch.sve_state = ptr::null_mut();
    vcpus.destroy();
    assert_eq!(vcpus.pinned(), 0);
}

#[test]
fn b16_a_vcpu_without_sve_gets_none() {
    let mut vcpus = Vcpus::new(false);
    assert_eq!(vcpus.init(), Ok(()));
    assert_eq!(vcpus.hyp.arch.cflags, bindings::VCPU_INITIALIZED);
    assert!(vcpus.hyp.arch.sve_state.is_null());
    assert_eq!(vcpus.pinned(), 0);
    vcpus.destroy();
}

#[test]
fn b36_what_the_host_says_of_sve_is_checked() {
    let einval = -(EINVAL as i32);
    for (vl, result) in [
        (0, Err(einval)),
        (17, Err(einval)),
        (16, Ok(())),
        (32, Ok(())),
    ] {
        let mut vcpus = Vcpus::new(true);
        vcpus.host.arch.sve_max_vl = vl;
        assert_eq!(vcpus.init(), result, "{vl}");
        assert_eq!(vcpus.pinned(), usize::from(result.is_ok()));
        vcpus.destroy();
    }
    // Not longer than EL2's own, which is 64 here.
    let mut vcpus = Vcpus::new(true);
    vcpus.host.arch.sve_max_vl = u32::MAX;
    assert_eq!(vcpus.init(), Ok(()));
    assert_eq!(vcpus.hyp.arch.sve_max_vl, 64);
    vcpus.destroy();

    let mut vcpus = Vcpus::new(true);
    vcpus.host.arch.sve_state = ptr::null_mut();
    assert_eq!(vcpus.init(), Err(einval));
}

#[test]
fn b36_a_vcpu_where_none_can_be_is_refused() {
    for has_sve in [false, true] {
        let mut vcpus = Vcpus::new(has_sve);
        let hyp = NonNull::new(&raw mut *vcpus.hyp).expect("not NULL");
        for address in [ptr::null_mut(), (&raw mut *vcpus.host).wrapping_byte_add(1)] {
            // SAFETY: No vCPU can be at the address. EL2's is used by nobody else.
            let code = || unsafe {
                sve::init(
                    &mut VcpuState::new(hyp),
                    VcpuState::of_host(address).as_ref(),
                )
            };
            let result = Cpu::new(Mode::Hvhe).run(code).1;
            assert_eq!(result, Err(-(EINVAL as i32)));
        }
        assert_eq!(vcpus.pinned(), 0);
        vcpus.destroy();
    }
}

#[test]
fn b36_storage_that_the_host_does_not_share_is_refused() {
    let mut vcpus = Vcpus::new(true);
    // The last byte is not.
    with_sharing(|sharing| sharing.shared[0].end -= 1);
    assert_eq!(vcpus.init(), Err(-(EPERM as i32)));
    assert!(vcpus.hyp.arch.sve_state.is_null());
    assert_eq!(vcpus.pinned(), 0);
}

#[test]
fn storage_that_el2_uses_cannot_be_unshared() {
    let mut vcpus = Vcpus::new(true);
    vcpus.init().unwrap();
    let start = vcpus.storage.as_mut_ptr();
    let end = start.wrapping_add(vcpus.storage.len());
    // SAFETY: Needs none.
    let unshare = || unsafe { bindings::kvm_unshare_hyp(start.cast(), end.cast()) };
    assert_eq!(panic_of(unshare), "EL2 still uses it");
    vcpus.destroy();
}
