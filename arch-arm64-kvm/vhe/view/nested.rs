// SPDX-License-Identifier: GPL-2.0

//! What is done for a guest hypervisor with the help of C code, or in registers that only it has.

use super::GuestContext;
use crate::hyp::view::Accessed;
use kernel::{
    arm64::{
        registers::*,
        sysreg, //
    },
    bindings, //
};

/// Returns the number that C knows a system register or instruction by: C's `sys_reg()`.
fn sys_reg(instruction: Accessed) -> u32 {
    let name = instruction.name();
    (u32::from(name.op0) << 19)
        | (u32::from(name.op1) << 16)
        | (u32::from(name.crn) << 12)
        | (u32::from(name.crm) << 8)
        | (u32::from(name.op2) << 5)
}

impl GuestContext<'_> {
    /// Sets what the guest hypervisor reads from its `HCR_EL2` with FEAT_NV3.
    #[inline(always)]
    pub(crate) fn write_nvhcr(&self, value: HCR_EL2) {
        let value: u64 = value.into();
        // SAFETY: The CPUs have it. EL2 may write it, with an effect on EL1 only.
        unsafe { sysreg::write(NVHCR_EL2::from(value)) }
    }

    /// Returns what the guest hypervisor has set its `HCR_EL2` to, with FEAT_NV3.
    #[inline(always)]
    pub(crate) fn read_nvhcr(&self) -> NVHCR_EL2 {
        // SAFETY: The CPUs have it. EL2 may read it.
        unsafe { sysreg::read() }
    }

    /// Sets where the registers of virtual EL2 are that the guest hypervisor accesses: in the vCPU.
    #[inline(always)]
    pub(crate) fn write_vncr_of_own_page(&self) {
        // SAFETY: The page belongs to the vCPU, which has one as its guest has a virtual EL2. EL2
        // may write the register, with an effect on EL1 only.
        unsafe {
            let page = (&raw const (*self.vcpu.as_ptr()).arch.ctxt.vncr_array).read();
            sysreg::write(VNCR_EL2::from(page.addr() as u64));
        }
    }

    /// Sets where the registers of virtual EL2 are that L2 accesses, which is a hypervisor itself:
    /// in a page that L1 has chosen, and that is mapped for this CPU.
    #[inline(always)]
    pub(crate) fn write_vncr_of_fixmap(&self) {
        let offset = u64::from(self.get_sanitised::<VNCR_EL2>()) & (bindings::PAGE_SIZE as u64 - 1);
        // SAFETY: Interrupts are masked, so this is the CPU that the page is mapped for, or will be
        // when L2 accesses it. EL2 may write the register, with an effect on EL1 only.
        unsafe {
            let page = bindings::kvm_vncr_fixmap_address();
            sysreg::write(VNCR_EL2::from(page | offset));
        }
    }

    /// Returns where an authenticated ERET goes, if its signature is right and the guest may use
    /// it.
    pub(crate) fn authenticated_eret_target(&self) -> Option<u64> {
        let mut target = 0;
        // SAFETY: By the invariant of `Context`; writes a number.
        unsafe { bindings::kvm_eretax_target(self.vcpu.as_ptr(), &mut target) }.then_some(target)
    }

    /// Sets the guest hypervisor's `CPTR_EL2`, wherever it is.
    pub(crate) fn write_cptr_el2(&mut self, value: CPTR_EL2) {
        // SAFETY: By the invariant of `Context`.
        unsafe {
            bindings::vcpu_write_sys_reg(
                self.vcpu.as_ptr(),
                value.into(),
                bindings::vcpu_sysreg_CPTR_EL2,
            );
        }
    }

    /// Returns whether `instruction` is a TLBI of stage 1 for EL1 that the guest has.
    pub(crate) fn has_tlbi_of_el1(&self, instruction: Accessed) -> bool {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::kvm_supported_tlbi_s1e1_op(self.vcpu.as_ptr(), sys_reg(instruction)) }
    }

    /// Returns whether `instruction` is a TLBI of stage 1 for EL2 that the guest has.
    pub(crate) fn has_tlbi_of_el2(&self, instruction: Accessed) -> bool {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::kvm_supported_tlbi_s1e2_op(self.vcpu.as_ptr(), sys_reg(instruction)) }
    }

    /// Carries `instruction`, a TLBI of virtual EL2 with this operand, out for EL1, where that
    /// level really is. Returns false if it is not known how.
    pub(crate) fn invalidate_tlb_of_el2(&mut self, operand: u64, instruction: Accessed) -> bool {
        // SAFETY: Stage 2 in the CPU is the guest's. NULL says so.
        let error = unsafe {
            let instruction = u64::from(sys_reg(instruction));
            bindings::__kvm_tlbi_s1e2(core::ptr::null_mut(), operand, instruction)
        };
        error == 0
    }

    /// Returns whether KVM keeps translations of pages that guests of the VM have chosen for VNCR.
    pub(crate) fn vm_has_vncr_tlbs(&self) -> bool {
        // SAFETY: The VM lives at least as long as the vCPU. Volatile: other CPUs count as well.
        unsafe {
            let kvm = (*self.vcpu.as_ptr()).kvm;
            (&raw const (*kvm).arch.vncr_tlb_count.counter).read_volatile() != 0
        }
    }
}
