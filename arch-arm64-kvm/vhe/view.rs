// SPDX-License-Identifier: GPL-2.0

//! What contexts can do under VHE only.

use crate::hyp::view::{
    context::{
        context_registers,
        ContextRegister, //
    },
    Context,
    Guest,
    Host, //
};
use kernel::{
    arm64::{
        registers::*,
        sysreg::{
            self,
            El1Register, //
        },
        world::{
            Vhe,
            World, //
        }, //
    },
    bindings, //
};

pub(crate) type GuestContext<'a> = Context<'a, Vhe, Guest>;
pub(crate) type HostContext<'a> = Context<'a, Vhe, Host>;

context_registers! {
    AFSR0_EL2 AFSR1_EL2 AMAIR_EL2 CNTHCTL_EL2 CONTEXTIDR_EL2 CPTR_EL2 ELR_EL2 ESR_EL2 FAR_EL2
    MAIR_EL2 PIRE0_EL2 PIR_EL2 POR_EL2 SCTLR2_EL2 SCTLR_EL2 SPSR_EL2 SP_EL2 TCR2_EL2 TCR_EL2
    TTBR0_EL2 TTBR1_EL2 VBAR_EL2
}

impl GuestContext<'_> {
    /// Notes with the vCPU whether its registers are in the CPU.
    #[inline(always)]
    pub(crate) fn set_sysregs_on_cpu(&mut self, on_cpu: bool) {
        let flag = bindings::SYSREGS_ON_CPU;
        // SAFETY: A field of the vCPU, by the invariant of `Context`.
        let flags = unsafe { &raw mut (*self.vcpu.as_ptr()).arch.sflags };
        // SAFETY: As above. Volatile, as the flags are read elsewhere without a lock.
        unsafe {
            let others = flags.read_volatile() & !flag;
            flags.write_volatile(if on_cpu { others | flag } else { others });
        }
    }

    /// Returns whether the guest is at its virtual EL2, or at EL0 below it.
    #[inline(always)]
    pub(crate) fn is_at_virtual_el2(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        self.has_nv() && unsafe { bindings::kvm_is_hyp_ctxt(self.vcpu.as_ptr()) }
    }

    /// Returns whether the guest has set `HCR_EL2.E2H` for its virtual EL2.
    #[inline(always)]
    pub(crate) fn virtual_e2h(&self) -> bool {
        // SAFETY: By the invariant of `Context`.
        unsafe { bindings::kvm_vcpu_el2_e2h_is_set(self.vcpu.as_ptr()) }
    }

    /// Returns the partition of the VMM.
    ///
    /// Only where the CPUs have MPAM.
    #[inline(always)]
    pub(crate) fn mpam0_el1(&self) -> MPAM0_EL1 {
        // SAFETY: A register that EL2 may read.
        unsafe { sysreg::read() }
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

    #[inline(always)]
    fn sanitise<R: ContextRegister>(&self, value: u64) -> u64 {
        if R::PLACE < bindings::vcpu_sysreg___SANITISED_REG_START__ {
            return value;
        }
        // SAFETY: By the invariant of `Context`; a register that there are masks for.
        unsafe { bindings::kvm_vcpu_apply_reg_masks(self.vcpu.as_ptr(), R::PLACE, value) }
    }

    /// Returns the CPU's `R`.
    #[inline(always)]
    pub(crate) fn read_el1<R: El1Register>(&self) -> R {
        // SAFETY: EL2 may read the registers of EL1.
        unsafe { Vhe::read_el1() }
    }

    /// Moves `R` from the CPU to the place of `E`, the register of virtual EL2 that it stands for.
    #[inline(always)]
    pub(crate) fn save_el2<E: ContextRegister, R: El1Register>(&mut self) {
        let value: u64 = self.read_el1::<R>().into();
        self.set_sanitised(E::from(value));
    }

    /// Moves `R` from the place of `E`, the register of virtual EL2 that it stands for, to the CPU.
    #[inline(always)]
    pub(crate) fn restore_el2<E: ContextRegister, R: El1Register>(&self) {
        let value: u64 = self.get_sanitised::<E>().into();
        self.write_el1(R::from(value));
    }

    /// Moves `SP_EL1` from the CPU to the place of `SP_EL2`.
    #[inline(always)]
    pub(crate) fn save_sp_el2(&mut self) {
        // SAFETY: EL2 may read it.
        let value: u64 = unsafe { sysreg::read::<SP_EL1>() }.into();
        self.set(SP_EL2::from(value));
    }

    /// Moves `SP_EL1` from the place of `SP_EL2` to the CPU.
    #[inline(always)]
    pub(crate) fn restore_sp_el2(&self) {
        let value: u64 = self.get::<SP_EL2>().into();
        // SAFETY: EL2 may write it, and uses another stack pointer.
        unsafe { sysreg::write(SP_EL1::from(value)) }
    }
}

/// Translations of registers of EL2, as they are without `HCR_EL2.E2H`, to those of EL1.
///
/// C header: [`arch/arm64/include/asm/kvm_nested.h`](srctree/arch/arm64/include/asm/kvm_nested.h)
pub(super) mod translate {
    use super::*;

    macro_rules! translations {
        ($($name:ident: $from:ident => $to:ident by $function:ident,)*) => {
            $(#[doc = concat!("Translates `", stringify!($from), "` to `", stringify!($to), "`.")]
            #[inline(always)]
            pub(crate) fn $name(value: $from) -> $to {
                // SAFETY: Computes a value from a value.
                $to::from(unsafe { bindings::$function(value.into()) })
            })*
        };
    }

    translations! {
        sctlr: SCTLR_EL2 => SCTLR_EL1 by translate_sctlr_el2_to_sctlr_el1,
        cptr: CPTR_EL2 => CPACR_EL1 by translate_cptr_el2_to_cpacr_el1,
        ttbr0: TTBR0_EL2 => TTBR0_EL1 by translate_ttbr0_el2_to_ttbr0_el1,
        tcr: TCR_EL2 => TCR_EL1 by translate_tcr_el2_to_tcr_el1,
    }
}
