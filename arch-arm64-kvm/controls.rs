// SPDX-License-Identifier: GPL-2.0

//! What a test can switch on in a running kernel.
//!
//! Compiled in only under `CONFIG_KVM_ARM64_RUST_FAULTS`.

#![forbid(unsafe_code)]

use kernel::{
    debugfs::Dir,
    prelude::*, //
};

/// Keeps the controls in debugfs.
#[pin_data]
pub(crate) struct Controls {
    #[pin]
    faults: crate::faults::Control,
    #[pin]
    hostile_host: crate::hostile_host::Control,
    /// Parent of the controls, so it goes last.
    dir: Dir,
}

impl kernel::InPlaceModule for Controls {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let dir = Dir::new(c"kvm_arm64_rust");
            Ok(try_pin_init!(Self {
                faults <- crate::faults::Control::new(&dir),
                hostile_host <- crate::hostile_host::Control::new(&dir),
                dir: dir.clone(),
            }))
        })
    }
}
