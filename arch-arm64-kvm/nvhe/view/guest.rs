// SPDX-License-Identifier: GPL-2.0

//! What C code at EL2 does for a guest, and what pKVM does with a protected one.

use super::GuestContext;
use crate::hyp::exits::ExitCode;
use kernel::{
    arm64::{
        sysreg::El1Register,
        world::{
            Nvhe,
            World, //
        }, //
    },
    bindings,
    static_branch_unlikely, //
};

impl GuestContext<'_> {
    /// Returns the CPU's `R`.
    #[inline(always)]
    pub(crate) fn read_el1<R: El1Register>(&self) -> R {
        // SAFETY: EL2 may read the registers of EL1.
        unsafe { Nvhe::read_el1() }
    }

    /// Drains and stops the buffers of SPE and TRBE, and BRBE, which are the host's.
    #[inline(always)]
    pub(crate) fn save_host_buffers(&mut self) {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::__debug_save_host_buffers_nvhe(self.vcpu.as_ptr()) }
    }

    /// Undoes [`Self::save_host_buffers`].
    #[inline(always)]
    pub(crate) fn restore_host_buffers(&mut self) {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::__debug_restore_host_buffers_nvhe(self.vcpu.as_ptr()) }
    }

    /// Takes the guest's interrupts from the CPU interface of its GIC.
    #[inline(always)]
    pub(crate) fn save_vgic_state(&mut self) {
        // SAFETY: By the invariant of `Context`: the part of the union is the one of the model, and
        // where there is no GICv3, nothing uses it.
        unsafe {
            let vgic = &raw mut (*self.vcpu.as_ptr()).arch.vgic_cpu.__bindgen_anon_1;
            if self.features().has_gicv5() {
                bindings::__vgic_v5_save_state(&raw mut (*vgic).vgic_v5);
                bindings::__vgic_v5_save_ppi_state(&raw mut (*vgic).vgic_v5);
            } else if has_gicv3_cpuif() {
                bindings::__vgic_v3_save_state(&raw mut (*vgic).vgic_v3);
                bindings::__vgic_v3_deactivate_traps(&raw mut (*vgic).vgic_v3);
            }
        }
    }

    /// Puts the guest's interrupts into the CPU interface of its GIC.
    #[inline(always)]
    pub(crate) fn restore_vgic_state(&mut self) {
        // SAFETY: As for `save_vgic_state`.
        unsafe {
            let vgic = &raw mut (*self.vcpu.as_ptr()).arch.vgic_cpu.__bindgen_anon_1;
            if self.features().has_gicv5() {
                bindings::__vgic_v5_restore_state(&raw mut (*vgic).vgic_v5);
                bindings::__vgic_v5_restore_ppi_state(&raw mut (*vgic).vgic_v5);
            } else if has_gicv3_cpuif() {
                bindings::__vgic_v3_activate_traps(&raw mut (*vgic).vgic_v3);
                bindings::__vgic_v3_restore_state(&raw mut (*vgic).vgic_v3);
            }
        }
    }

    /// Returns the counters that count for the host only, and those that count for the guest only,
    /// a bit each.
    #[cfg(CONFIG_HW_PERF_EVENTS)]
    #[inline(always)]
    pub(crate) fn pmu_events(&self) -> (u64, u64) {
        // SAFETY: Fields of the vCPU, by the invariant of `Context`.
        unsafe {
            let events = &raw const (*self.vcpu.as_ptr()).arch.pmu.events;
            (
                (&raw const (*events).events_host).read(),
                (&raw const (*events).events_guest).read(),
            )
        }
    }

    /// Returns that there are no counters: the kernel does not use the PMU, and the vCPU has no
    /// place for them.
    #[cfg(not(CONFIG_HW_PERF_EVENTS))]
    #[inline(always)]
    pub(crate) fn pmu_events(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Has the vCPU count as not initialised.
    #[inline(always)]
    pub(crate) fn invalidate(&mut self) {
        // SAFETY: A field of the vCPU, by the invariant of `Context`.
        unsafe {
            let flags = &raw mut (*self.vcpu.as_ptr()).arch.cflags;
            flags.write(flags.read() & !bindings::VCPU_INITIALIZED);
        }
    }

    /// Handles a hypercall of a protected guest that is for pKVM.
    #[inline(always)]
    pub(crate) fn handle_protected_hvc(&mut self, exit_code: &mut ExitCode) -> bool {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::kvm_handle_pvm_hvc64(self.vcpu.as_ptr(), &mut exit_code.0) }
    }

    /// Handles a system register access of a protected guest, as far as pKVM offers the register.
    #[inline(always)]
    pub(crate) fn handle_protected_sysreg(&mut self, exit_code: &mut ExitCode) -> bool {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::kvm_handle_pvm_sysreg(self.vcpu.as_ptr(), &mut exit_code.0) }
    }

    /// Makes an instruction undefined to a protected guest.
    #[inline(always)]
    pub(crate) fn handle_restricted(&mut self, exit_code: &mut ExitCode) -> bool {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::kvm_handle_pvm_restricted(self.vcpu.as_ptr(), &mut exit_code.0) }
    }
}

/// Returns whether the CPU has the system registers of a GICv3.
#[inline(always)]
fn has_gicv3_cpuif() -> bool {
    // SAFETY: A static key of both images.
    unsafe {
        static_branch_unlikely!(
            bindings::kvm_vgic_global_state,
            bindings::vgic_global,
            gicv3_cpuif
        )
    }
}
