// SPDX-License-Identifier: GPL-2.0

//! What a running kernel says of this code.

#![forbid(unsafe_code)]

#[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
use kernel::debugfs::Dir;
use kernel::prelude::*;

/// Says at boot which implementation runs, and keeps the controls in debugfs.
#[pin_data]
pub(crate) struct Status {
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    #[pin]
    faults: crate::faults::Control,
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    #[pin]
    hostile_host: crate::hostile_host::Control,
    /// Parent of the controls, so it goes last.
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    dir: Dir,
}

impl kernel::InPlaceModule for Status {
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        say();
        pin_init::pin_init_scope(|| {
            let dir = Dir::new(c"kvm_arm64_rust");
            Ok(try_pin_init!(Self {
                faults <- crate::faults::Control::new(&dir),
                hostile_host <- crate::hostile_host::Control::new(&dir),
                dir: dir.clone(),
            }))
        })
    }

    #[cfg(not(CONFIG_KVM_ARM64_RUST_FAULTS))]
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        say();
        try_pin_init!(Self {})
    }
}

fn say() {
    pr_info!("FP/SIMD handling and world switch in Rust\n");
}
