// SPDX-License-Identifier: GPL-2.0

//! A guest with a virtual EL2: at which level it is, and what it has set there.
//!
//! Only VHE runs such guests. In the other world each question here has the answer of a guest
//! without a virtual EL2, which the compiler knows.

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
        world::Hyp, //
    },
    bindings, //
};

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns whether the guest is at its virtual EL2, or at EL0 below it: C's `is_hyp_ctxt()`.
    #[inline(always)]
    pub(crate) fn is_hyp_ctxt(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        self.has_nv() && unsafe { bindings::kvm_is_hyp_ctxt(self.vcpu.as_ptr()) }
    }

    /// Returns whether the guest is a guest hypervisor's: C's `is_nested_ctxt()`.
    #[inline(always)]
    pub(crate) fn is_nested_ctxt(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        self.has_nv() && !unsafe { bindings::kvm_is_hyp_ctxt(self.vcpu.as_ptr()) }
    }

    /// Returns whether PSTATE in memory is that of virtual EL2: C's `vcpu_is_el2()`.
    #[inline(always)]
    pub(crate) fn is_el2(&self) -> bool {
        let mode = self.cpsr() as u32 & (bindings::PSR_MODE_MASK | bindings::PSR_MODE32_BIT);
        mode == bindings::PSR_MODE_EL2h || mode == bindings::PSR_MODE_EL2t
    }

    /// Returns whether `HCR_EL2.E2H` is set at the guest's virtual EL2, by the guest or for good:
    /// C's `vcpu_el2_e2h_is_set()`.
    #[inline(always)]
    pub(crate) fn el2_e2h_is_set(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        W::VHE && unsafe { bindings::kvm_vcpu_el2_e2h_is_set(self.vcpu.as_ptr()) }
    }

    /// Returns whether the guest has set `HCR_EL2.TGE` for its virtual EL2.
    #[inline(always)]
    pub(crate) fn el2_tge_is_set(&self) -> bool {
        self.get::<HCR_EL2>().tge().into()
    }

    /// Returns the value of `R` in memory, as the guest has it: bits that it lacks are RES0 or
    /// RES1.
    #[inline(always)]
    pub(crate) fn get_sanitised<R: ContextRegister>(&self) -> R {
        R::from(self.apply_reg_masks::<R>(self.get::<R>().into()))
    }

    /// Sets the value of `R` in memory, with bits that the guest lacks RES0 or RES1.
    #[inline(always)]
    pub(crate) fn set_sanitised<R: ContextRegister>(&mut self, value: R) {
        self.set(R::from(self.apply_reg_masks::<R>(value.into())));
    }

    /// Returns `value` of `R` with bits that the guest lacks RES0 or RES1: C's
    /// `kvm_vcpu_apply_reg_masks()`.
    #[inline(always)]
    pub(crate) fn apply_reg_masks<R: ContextRegister>(&self, value: u64) -> u64 {
        if !self.has_nv() || R::PLACE < bindings::vcpu_sysreg___SANITISED_REG_START__ {
            return value;
        }
        // SAFETY: By the invariant of `Context`; a register that there are masks for.
        unsafe { bindings::kvm_vcpu_apply_reg_masks(self.vcpu.as_ptr(), R::PLACE, value) }
    }

    /// Returns the guest hypervisor's `CPTR_EL2` in the layout that it has with `HCR_EL2.E2H`.
    #[inline(always)]
    pub(crate) fn sanitised_cptr_el2(&self) -> CPACR_EL1 {
        // SAFETY: By the invariant of `Context`. The register may be in the CPU.
        let value = unsafe {
            bindings::vcpu_read_sys_reg(self.vcpu.as_ptr(), bindings::vcpu_sysreg_CPTR_EL2)
        };
        if self.el2_e2h_is_set() {
            return CPACR_EL1::from(value);
        }
        super::translate::cptr(CPTR_EL2::from(value))
    }
}
