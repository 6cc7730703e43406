// SPDX-License-Identifier: GPL-2.0

//! A guest with a virtual EL2: at which level it is, and what it has set there.
//!
//! Only VHE runs such guests. In the other world each question here has the answer of a guest without
//! a virtual EL2, which the compiler knows.

use super::{
    context::ContextRegister,
    Context,
    Guest, //
};
use kernel::{
    arm64::{
        registers::{
            CPACR_EL1,
            CPTR_EL2,
            HCR_EL2, //
        },
        world::World, //
    },
    bindings, //
};

impl<W: World> Context<'_, W, Guest> {
    /// Returns whether the guest is at its virtual EL2, or at EL0 below it: C's `is_hyp_ctxt()`.
    #[inline(always)]
    pub(crate) fn is_at_virtual_el2(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        self.has_nv() && unsafe { bindings::kvm_is_hyp_ctxt(self.vcpu.as_ptr()) }
    }

    /// Returns whether the guest is a guest hypervisor's: C's `is_nested_ctxt()`.
    #[inline(always)]
    pub(crate) fn is_nested(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        self.has_nv() && !unsafe { bindings::kvm_is_hyp_ctxt(self.vcpu.as_ptr()) }
    }

    /// Returns whether PSTATE in memory is that of virtual EL2: C's `vcpu_is_el2()`.
    #[inline(always)]
    pub(crate) fn mode_is_el2(&self) -> bool {
        let mode = self.cpsr() as u32 & (bindings::PSR_MODE_MASK | bindings::PSR_MODE32_BIT);
        mode == bindings::PSR_MODE_EL2h || mode == bindings::PSR_MODE_EL2t
    }

    /// Returns whether the guest has set `HCR_EL2.E2H` for its virtual EL2.
    #[inline(always)]
    pub(crate) fn virtual_e2h(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        W::VHE && unsafe { bindings::kvm_vcpu_el2_e2h_is_set(self.vcpu.as_ptr()) }
    }

    /// Returns whether the guest has set `HCR_EL2.TGE` for its virtual EL2.
    #[inline(always)]
    pub(crate) fn virtual_tge(&self) -> bool {
        self.get::<HCR_EL2>().tge().into()
    }

    /// Returns the value of `R` in memory, without the bits that the guest does not have.
    #[inline(always)]
    pub(crate) fn get_sanitised<R: ContextRegister>(&self) -> R {
        R::from(self.sanitise::<R>(self.get::<R>().into()))
    }

    /// Sets the value of `R` in memory, without the bits that the guest does not have.
    #[inline(always)]
    pub(crate) fn set_sanitised<R: ContextRegister>(&mut self, value: R) {
        self.set(R::from(self.sanitise::<R>(value.into())));
    }

    /// Returns `value` without the bits of `R` that the guest does not have.
    #[inline(always)]
    pub(crate) fn sanitise<R: ContextRegister>(&self, value: u64) -> u64 {
        if !self.has_nv() || R::PLACE < bindings::vcpu_sysreg___SANITISED_REG_START__ {
            return value;
        }
        // SAFETY: By the invariant of `Context`; a register that there are masks for.
        unsafe { bindings::kvm_vcpu_apply_reg_masks(self.vcpu.as_ptr(), R::PLACE, value) }
    }

    /// Returns the guest hypervisor's `CPTR_EL2` in the layout that it has with `HCR_EL2.E2H`.
    #[inline(always)]
    pub(crate) fn virtual_cptr(&self) -> CPACR_EL1 {
        // SAFETY: By the invariant of `Context`. The register may be in the CPU.
        let value = unsafe {
            bindings::vcpu_read_sys_reg(self.vcpu.as_ptr(), bindings::vcpu_sysreg_CPTR_EL2)
        };
        if self.virtual_e2h() {
            return CPACR_EL1::from(value);
        }
        super::translate::cptr(CPTR_EL2::from(value))
    }
}
