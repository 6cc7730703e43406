// SPDX-License-Identifier: GPL-2.0

//! What the kernel keeps for each physical CPU, as far as the switch under VHE needs it.

use crate::hyp::view::{
    self,
    traps::write_vbar, //
};
use core::ptr::NonNull;
use kernel::{
    arm64::{
        cpucap,
        fp_access::{
            FpAccess,
            FpTrapsOpened, //
        },
        percpu::this_cpu_ptr,
        world::Vhe, //
    },
    bindings, //
};

/// `struct kvm_host_data` of this CPU.
pub(crate) type HostData<'a> = view::HostData<'a, Vhe>;

/// Where exceptions go that are taken to EL2.
pub(crate) enum Vectors {
    /// To the hypervisor, which was left for a guest.
    Hypervisor,
    /// To the kernel.
    Kernel,
}

impl HostData<'_> {
    /// Sets where exceptions go that are taken to EL2.
    #[inline(always)]
    pub(crate) fn set_vectors(&self, vectors: Vectors) {
        // SAFETY: This code runs at EL2 and stays on this CPU. All exceptions are masked, so that
        // those that may come now are ones that either vectors are good for; the per-CPU
        // variables hold the addresses of vectors since boot.
        unsafe {
            let address = match vectors {
                Vectors::Hypervisor => {
                    this_cpu_ptr::<Vhe, _>(&raw mut bindings::kvm_hyp_vector).read()
                }
                Vectors::Kernel if cpucap::arm64_kernel_unmapped_at_el0() => {
                    (&raw const bindings::vectors).addr()
                }
                Vectors::Kernel => this_cpu_ptr::<Vhe, _>(&raw mut bindings::this_cpu_vector)
                    .read()
                    .addr(),
            };
            write_vbar::<Vhe>(address as u64);
        }
    }

    /// Returns the proof that FP instructions do not trap before the traps for a guest are set.
    #[inline(always)]
    pub(crate) fn kernel_fp_access(&self) -> FpAccess {
        // SAFETY: The kernel lets itself use FP, SVE and SME since boot, and changes `CPACR_EL1`
        // for EL0 only. KVM closes the traps for guests, and has opened them when it left the last,
        // which the ISB that follows has synchronised.
        unsafe { FpTrapsOpened::assume_written().assume_synchronised() }
    }

    /// Notes whether a guest is entered at its virtual EL2.
    #[inline(always)]
    pub(crate) fn set_in_hyp_context(&mut self, is: bool) {
        self.set_flag(bindings::KVM_HOST_DATA_FLAG_VCPU_IN_HYP_CONTEXT, is);
    }

    /// Returns whether the guest was entered at its virtual EL2.
    #[inline(always)]
    pub(crate) fn is_in_hyp_context(&self) -> bool {
        self.flag(bindings::KVM_HOST_DATA_FLAG_VCPU_IN_HYP_CONTEXT)
    }

    /// Kills the kernel if a guest is entered at its virtual EL2 while its VNCR page is mapped, as
    /// it is for L2 only: what L1 accessed then would be L2's.
    #[inline(always)]
    pub(crate) fn bug_on_mapped_vncr(&self) {
        self.bug_unless(
            !(self.is_in_hyp_context() && self.flag(bindings::KVM_HOST_DATA_FLAG_L1_VNCR_MAPPED)),
        );
    }

    /// Kills the kernel unless `condition` holds.
    #[inline(always)]
    pub(crate) fn bug_unless(&self, condition: bool) {
        if !condition {
            // SAFETY: Always allowed; does not return.
            unsafe { bindings::BUG() }
        }
    }

    /// Notes which vCPU is loaded on this CPU: exceptions from a guest find it there.
    #[inline(always)]
    pub(crate) fn set_loaded_vcpu(&mut self, vcpu: Option<NonNull<bindings::kvm_vcpu>>) {
        let vcpu = vcpu.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: A field of the structure, by the type invariant.
        unsafe { (&raw mut (*self.ptr.as_ptr()).host_ctxt.__hyp_running_vcpu).write(vcpu) }
    }

    /// Returns which vCPU is loaded on this CPU.
    #[inline(always)]
    pub(crate) fn loaded_vcpu(&self) -> Option<NonNull<bindings::kvm_vcpu>> {
        // SAFETY: A field of the structure, by the type invariant.
        NonNull::new(unsafe {
            (&raw const (*self.ptr.as_ptr()).host_ctxt.__hyp_running_vcpu).read()
        })
    }
}
