// SPDX-License-Identifier: GPL-2.0

//! A read of the UART's scratch register, in a machine that has a twin: the VMM answers, and gives
//! the CPU to the vCPU of the other.

/// The guest, as `image!` or `data!`.
#[macro_export]
macro_rules! vcpu_switch {
    ($as:ident) => {
        $crate::vmm_mmio!($as, "vcpu_switch", 8);
    };
}
