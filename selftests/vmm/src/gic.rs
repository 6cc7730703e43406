// SPDX-License-Identifier: GPL-2.0

//! KVM's GICv3.

use anyhow::{Context, Result};
use kvm_bindings::{
    kvm_create_device, kvm_device_attr, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
    KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_DEV_ARM_VGIC_GRP_CTRL,
    KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, KVM_VGIC_V3_ADDR_TYPE_DIST,
    KVM_VGIC_V3_ADDR_TYPE_REDIST,
};
use kvm_ioctls::{DeviceFd, VmFd};

use crate::layout::{GIC_DISTRIBUTOR, GIC_MAINTENANCE_PPI, GIC_REDISTRIBUTOR};

/// All interrupts, SGIs and PPIs included; KVM's smallest number.
const INTERRUPTS: u32 = 64;

/// Number of the first PPI among all interrupts.
const FIRST_PPI: u32 = 16;

/// Creates and initialises the GIC, with what a guest with `el2` needs to have guests. All vCPUs
/// must have been created before, and none of them may have run.
pub fn create(vm: &VmFd, el2: bool) -> Result<DeviceFd> {
    let mut device = kvm_create_device {
        type_: kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
        ..Default::default()
    };
    let gic = vm
        .create_device(&mut device)
        .context("KVM does not give a GICv3 (the host needs one itself)")?;
    set(&gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &INTERRUPTS)
        .context("cannot set the GIC's number of interrupts")?;
    for (kind, address) in [
        (KVM_VGIC_V3_ADDR_TYPE_DIST, GIC_DISTRIBUTOR),
        (KVM_VGIC_V3_ADDR_TYPE_REDIST, GIC_REDISTRIBUTOR),
    ] {
        set(&gic, KVM_DEV_ARM_VGIC_GRP_ADDR, kind, &address)
            .with_context(|| format!("cannot put the GIC at {address:#x}"))?;
    }
    if el2 {
        let interrupt = FIRST_PPI + GIC_MAINTENANCE_PPI;
        set(&gic, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &interrupt)
            .context("cannot set the GIC's maintenance interrupt")?;
    }
    set(
        &gic,
        KVM_DEV_ARM_VGIC_GRP_CTRL,
        KVM_DEV_ARM_VGIC_CTRL_INIT,
        &0u64,
    )
    .context("cannot initialise the GIC")?;
    Ok(gic)
}

fn set<T>(gic: &DeviceFd, group: u32, attr: u32, value: &T) -> Result<()> {
    gic.set_device_attr(&kvm_device_attr {
        flags: 0,
        group,
        attr: u64::from(attr),
        addr: std::ptr::from_ref(value) as u64,
    })
    .map_err(Into::into)
}
