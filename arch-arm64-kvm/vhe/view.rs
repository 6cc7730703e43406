// SPDX-License-Identifier: GPL-2.0

//! What contexts can do under VHE only.

mod fp;
mod host_data;
mod nested;
pub(crate) mod panic;
pub(crate) mod timer;

pub(crate) use host_data::{
    HostData,
    Vectors, //
};

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
    AFSR0_EL2 AFSR1_EL2 AMAIR_EL2 CONTEXTIDR_EL2 CPTR_EL2 ESR_EL2 FAR_EL2 MAIR_EL2
    PIRE0_EL2 PIR_EL2 POR_EL2 SCTLR2_EL2 SCTLR_EL2 SPSR_EL2 SP_EL2 TCR2_EL2 TCR_EL2
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

    /// Returns the partition of the VMM.
    ///
    /// Only where the CPUs have MPAM.
    #[inline(always)]
    pub(crate) fn mpam0_el1_of_vmm(&self) -> MPAM0_EL1 {
        // SAFETY: A register that EL2 may read.
        unsafe { sysreg::read() }
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
