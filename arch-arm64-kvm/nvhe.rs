// SPDX-License-Identifier: GPL-2.0

//! The hypervisor where the kernel runs at EL1: nVHE, hVHE and pKVM.

mod exits;
pub(crate) mod fp;
// Assembly, which a simulated CPU has no use for.
#[cfg(all(CONFIG_ARM64, not(CONFIG_NVHE_EL2_TRACING)))]
mod host_call;
pub(crate) mod pkvm;
mod pmu;
pub(crate) mod switch;
pub(crate) mod sysreg_sr;
mod timer;
mod traps;
pub(crate) mod view;

pub(crate) use view::{
    GuestContext,
    HostContext,
    HostData,
    HypVcpu,
    VcpuState, //
};
