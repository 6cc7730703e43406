// SPDX-License-Identifier: GPL-2.0

//! What KVM offers on this host.

use anyhow::{bail, Result};
use kvm_bindings::KVM_CAP_ARM_SVE;
use kvm_ioctls::Kvm;
use nix::errno::Errno;

/// Opens /dev/kvm, which says whether anything can be measured, and whether guests can have SVE.
pub fn has_sve() -> Result<bool> {
    match Kvm::new() {
        Ok(kvm) => Ok(kvm.check_extension_raw(KVM_CAP_ARM_SVE.into()) > 0),
        Err(error) => match Errno::from_raw(error.errno()) {
            Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => bail!(
                "there is no /dev/kvm: the kernel must have CONFIG_KVM and be entered at EL2, \
                 which virtual machines of a cloud are not (take a bare-metal one)"
            ),
            Errno::EACCES | Errno::EPERM => {
                bail!("no permission to open /dev/kvm: run as root, or as a member of its group")
            }
            errno => bail!("cannot open /dev/kvm: {errno}"),
        },
    }
}
