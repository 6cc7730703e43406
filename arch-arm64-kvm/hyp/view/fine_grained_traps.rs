// SPDX-License-Identifier: GPL-2.0

//! The registers of fine-grained traps, and where their values are kept.

use super::{
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
        sysreg,
        world::Hyp, //
    },
    bindings, //
};

context_registers! {
    HAFGRTR_EL2 HDFGRTR2_EL2 HDFGRTR_EL2 HDFGWTR2_EL2 HDFGWTR_EL2 HFGITR2_EL2 HFGITR_EL2 HFGRTR2_EL2
    HFGRTR_EL2 HFGWTR2_EL2 HFGWTR_EL2 ICH_HFGITR_EL2 ICH_HFGRTR_EL2 ICH_HFGWTR_EL2
}

/// A register of fine-grained traps: of those for reads and of instructions, or of those for
/// writes.
pub(crate) trait FineGrainedTrap: ContextRegister {
    /// Its place in a vCPU: a value of `enum fgt_group_id`.
    const GROUP: usize;
    /// Whether it is for writes.
    const IS_FOR_WRITES: bool;
}

macro_rules! fine_grained_traps {
    ($($register:ident: $group:ident, $writes:literal;)*) => {
        $(impl FineGrainedTrap for $register {
            const GROUP: usize = bindings::$group as usize;
            const IS_FOR_WRITES: bool = $writes;
        })*
    };
}

fine_grained_traps! {
    HFGRTR_EL2: fgt_group_id_HFGRTR_GROUP, false;
    HFGWTR_EL2: fgt_group_id_HFGRTR_GROUP, true;
    HFGITR_EL2: fgt_group_id_HFGITR_GROUP, false;
    HDFGRTR_EL2: fgt_group_id_HDFGRTR_GROUP, false;
    HDFGWTR_EL2: fgt_group_id_HDFGRTR_GROUP, true;
    HAFGRTR_EL2: fgt_group_id_HAFGRTR_GROUP, false;
    HFGRTR2_EL2: fgt_group_id_HFGRTR2_GROUP, false;
    HFGWTR2_EL2: fgt_group_id_HFGRTR2_GROUP, true;
    HFGITR2_EL2: fgt_group_id_HFGITR2_GROUP, false;
    HDFGRTR2_EL2: fgt_group_id_HDFGRTR2_GROUP, false;
    HDFGWTR2_EL2: fgt_group_id_HDFGRTR2_GROUP, true;
    ICH_HFGRTR_EL2: fgt_group_id_ICH_HFGRTR_GROUP, false;
    ICH_HFGWTR_EL2: fgt_group_id_ICH_HFGRTR_GROUP, true;
    ICH_HFGITR_EL2: fgt_group_id_ICH_HFGITR_GROUP, false;
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns what the vCPU is to run with in `R`.
    #[inline(always)]
    fn fine_grained_trap<R: FineGrainedTrap>(&self) -> R {
        // SAFETY: A field of the vCPU, by the type invariant of `Context`; the array has an element
        // for each group.
        unsafe {
            let group = (&raw const (*self.vcpu.as_ptr()).arch.fgt)
                .cast::<bindings::kvm_vcpu_arch__bindgen_ty_1>()
                .add(R::GROUP);
            R::from(if R::IS_FOR_WRITES {
                (*group).w
            } else {
                (*group).r
            })
        }
    }
}

/// Saves the host's `R`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn save<W: Hyp, R: FineGrainedTrap>(host: &mut Context<'_, W, Host>) {
    // SAFETY: EL2 may read it where the CPU has it.
    host.set(unsafe { sysreg::read::<R>() });
}

/// Sets the guest's `R`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn activate<W: Hyp, R: FineGrainedTrap>(guest: &Context<'_, W, Guest>) {
    // SAFETY: EL2 may write it where the CPU has it, and it has no effect on EL2.
    unsafe { sysreg::write(guest.fine_grained_trap::<R>()) }
}

/// Restores the host's `R`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn deactivate<W: Hyp, R: FineGrainedTrap>(host: &Context<'_, W, Host>) {
    // SAFETY: EL2 may write it where the CPU has it, and it has no effect on EL2.
    unsafe { sysreg::write(host.get::<R>()) }
}
