// SPDX-License-Identifier: GPL-2.0

//! What a running kernel says of this code.

use kernel::prelude::*;

/// Says at boot which implementation runs, and keeps the controls in debugfs.
#[pin_data]
pub(crate) struct Status {
    #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
    #[pin]
    faults: crate::faults::Control,
}

impl kernel::InPlaceModule for Status {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("FP/SIMD life cycle and system register switch in Rust\n");
        try_pin_init!(Self {
            #[cfg(CONFIG_KVM_ARM64_RUST_FAULTS)]
            faults <- crate::faults::Control::new(),
        })
    }
}
