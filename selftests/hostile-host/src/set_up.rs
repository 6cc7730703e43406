// SPDX-License-Identifier: GPL-2.0

//! Lies about what EL2 takes from the host when it makes its own vCPU, at the first KVM_RUN.

use anyhow::{bail, ensure, Context, Result};
use kvm_bindings::{kvm_vcpu_init, KVM_ARM_VCPU_PSCI_0_2, KVM_ARM_VCPU_SVE};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use nix::errno::Errno;

use crate::controls::{Controls, LieOn};

/// A vCPU with SVE, ready for its first KVM_RUN, which returns before the guest runs.
fn vcpu(vm: &VmFd, index: u64) -> Result<VcpuFd> {
    let mut init = kvm_vcpu_init::default();
    vm.get_preferred_target(&mut init)
        .context("KVM names no vCPU type (KVM_ARM_PREFERRED_TARGET)")?;
    init.features[0] = (1 << KVM_ARM_VCPU_PSCI_0_2) | (1 << KVM_ARM_VCPU_SVE);
    let mut vcpu = vm
        .create_vcpu(index)
        .with_context(|| format!("cannot create vCPU {index}"))?;
    vcpu.vcpu_init(&init)
        .with_context(|| format!("cannot initialise vCPU {index} with SVE"))?;
    vcpu.vcpu_finalize(&(KVM_ARM_VCPU_SVE as i32))
        .with_context(|| format!("cannot finalise SVE of vCPU {index}"))?;
    vcpu.set_kvm_immediate_exit(1);
    Ok(vcpu)
}

/// Runs it until before the guest's first instruction. That is EINTR where all is well.
fn set_up(vcpu: &mut VcpuFd) -> Errno {
    match vcpu.run() {
        Ok(_) => Errno::UnknownErrno,
        Err(error) => Errno::from_raw(error.errno()),
    }
}

/// Sets up a vCPU while the host tells `lie` about it; returns the error of KVM_RUN.
///
/// The lie is told when another vCPU of the VM is loaded, and taken back in the same way.
pub fn with_lie(controls: &Controls, lie: &str) -> Result<Errno> {
    let kvm = Kvm::new().context("cannot open /dev/kvm")?;
    let vm = kvm.create_vm_with_type(0).context("cannot create a VM")?;
    let mut first = vcpu(&vm, 0)?;
    let mut second = vcpu(&vm, 1)?;
    let before = controls.told()?;
    let refused = {
        let _lie = LieOn::new(controls, lie)?;
        ensure!(
            set_up(&mut first) == Errno::EINTR,
            "the vCPU that nobody lies about cannot be set up"
        );
        set_up(&mut second)
    };
    ensure!(
        controls.told()?.told > before.told,
        "the lie was never told"
    );
    // Before anything can fail: the host itself would choke on the lie when the vCPU goes away.
    ensure!(
        set_up(&mut first) == Errno::EINTR,
        "the vCPU that nobody lies about does not run any more"
    );
    if refused == Errno::EINTR {
        bail!("EL2 made a vCPU of it");
    }
    // The same vCPU, and the truth.
    let truth = set_up(&mut second);
    ensure!(
        truth == Errno::EINTR,
        "told the truth, EL2 still refuses the vCPU: {truth}"
    );
    Ok(refused)
}
