// SPDX-License-Identifier: GPL-2.0

//! The guests whose exits are measured, one for each kind of exit.

mod first_fp;
mod first_sve;
mod hypercall;
mod ipi;
mod run_fp;
mod run_fp_fp_guest;
mod run_idle;
mod run_idle_fp_guest;
mod timer;
mod vcpu_switch;
mod vgic_mmio;
mod vmm_mmio;
