// SPDX-License-Identifier: GPL-2.0

//! FP, SIMD and SVE of a guest: loaded when it first uses them, and then left alone.
//!
//! A guest's first FP instruction after `vcpu_load()` traps. If the registers are the host's still,
//! its state is saved; the guest's is loaded, the traps are opened, and from there on exits and
//! entries move no FP register, and traps stay as they are while the guest runs. The kernel takes
//! the state out when it needs the registers, see `fpsimd`; pKVM's EL2 takes it out at the end of
//! each run.
//!
//! C header: [`hyp/switch.h`](srctree/arch/arm64/kvm/hyp/include/hyp/switch.h)

#![forbid(unsafe_code)]

use super::{
    cptr,
    exits::ExitCode,
    view::{
        fp::{
            change_zcr_el2,
            set_world_zcr_el2,
            set_zcr_el1,
            zcr_el1,
            FpOwnership,
            FpRegisters,
            Free,
            GuestOwned,
            HostOwned, //
        },
        Class,
        Context,
        FpEvent,
        Guest,
        HostData, //
    }, //
};
use crate::vector_length::VectorLength;
use kernel::arm64::{
    cpucap,
    fp_access::FpAccess,
    registers::{
        CPACR_EL1,
        ZCR_EL1,
        ZCR_EL2, //
    },
    world::Hyp, //
};

/// How the host's FP registers are saved, before a guest's are loaded.
pub(crate) trait SaveHost: Hyp + Sized {
    /// Saves the host's FP registers, or has it done.
    ///
    /// Returns None where only the kernel can, and runs at EL1: the guest has to be left for that.
    fn save_host<'a>(
        guest: &mut Context<'_, Self, Guest>,
        registers: FpRegisters<'a, Self, HostOwned>,
        access: &FpAccess,
    ) -> Option<FpRegisters<'a, Self, Free>>;
}

/// Handles a trapped FP or SVE instruction: loads the guest's state, and opens the traps.
///
/// Returns false where the guest has to see the trap, or an undefined instruction; and where the
/// kernel has to save the host's state first. The exit is one for an interrupt then: the kernel has
/// nothing to emulate, and comes back to the same instruction.
#[inline(never)]
pub(crate) fn handle_trap<W: SaveHost>(
    guest: &mut Context<'_, W, Guest>,
    host: &mut HostData<'_, W>,
    exit_code: &mut ExitCode,
) -> bool {
    if !cpucap::system_supports_fpsimd() {
        return false;
    }

    let has_sve = guest.features().has_sve();
    match guest.syndrome().class() {
        Class::FpAsimd => {
            if guest_hypervisor_traps(guest, |cptr| cptr.fpen().get()) {
                return false;
            }
        }
        // A system register access is one to ZCR_EL2.
        Class::Sve | Class::Sys64 => {
            if !has_sve || guest_hypervisor_traps(guest, |cptr| cptr.zen().get()) {
                return false;
            }
        }
        _ => return false,
    }

    guest.note_fp_use();
    let access = cptr::deactivate::<W>().synchronise();

    let registers = match host.fp_registers() {
        FpOwnership::Free(registers) => Some(registers),
        FpOwnership::Host(registers) => {
            let Some(registers) = W::save_host(guest, registers, &access) else {
                *exit_code = exit_code.replaced_by(ExitCode::IRQ);
                return false;
            };
            Some(registers)
        }
        // What is in memory is old then.
        FpOwnership::Guest(_) => None,
    };
    if let Some(registers) = registers {
        load(guest, &registers, &access);
        registers.given_to_guest();
        guest.count_fp(FpEvent::GuestLoaded);
    }

    // The traps that a guest hypervisor has set among them. The ERET synchronises it.
    access.end();
    cptr::activate(guest, true);
    true
}

/// Loads all that belongs to the guest's FP state.
fn load<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    registers: &FpRegisters<'_, W, Free>,
    access: &FpAccess,
) {
    if guest.features().has_sve() {
        // The state in memory is always for the longest vector.
        let longest = guest.sve_max_vl().zcr();
        change_zcr_el2(longest, access);
        guest.load_sve(registers, access);
        if guest.is_nested_ctxt() {
            change_zcr_el2(longest.min(guest.get_sanitised::<ZCR_EL2>().into()), access);
        }
        set_zcr_el1::<W>(guest_zcr(guest), access);
    } else {
        guest.load_fpsimd(registers, access);
    }

    if guest.features().has_fpmr() {
        guest.load_fpmr(registers, access);
    }

    if guest.el1_is_32bit() {
        guest.load_fpexc32(registers, access);
    }
}

/// Returns the vector length that the guest has set at its EL1, or at its virtual EL2.
#[inline(always)]
fn guest_zcr<W: Hyp>(guest: &Context<'_, W, Guest>) -> ZCR_EL1 {
    if guest.is_hyp_ctxt() {
        let value: u64 = guest.get_sanitised::<ZCR_EL2>().into();
        ZCR_EL1::from(value)
    } else {
        guest.get_sanitised::<ZCR_EL1>()
    }
}

/// Sets the vector lengths of a guest whose registers are in the CPU.
#[inline(always)]
pub(crate) fn lazy_switch_to_guest<W: Hyp>(
    guest: &Context<'_, W, Guest>,
    _: &FpRegisters<'_, W, GuestOwned>,
    access: &FpAccess,
) {
    if !guest.features().has_sve() {
        return;
    }

    let mut length = guest.sve_max_vl().zcr();
    if guest.is_nested_ctxt() {
        length = length.min(guest.get_sanitised::<ZCR_EL2>().into());
    }
    set_world_zcr_el2::<W>(length, access);
    set_zcr_el1::<W>(guest_zcr(guest), access);
}

/// Takes note of the vector length that a guest has set whose registers are in the CPU, and sets
/// those with which the kernel can save them.
///
/// `host_max` is the host's own longest vector, where the kernel is at EL1.
#[inline(always)]
pub(crate) fn lazy_switch_to_host<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    _: &FpRegisters<'_, W, GuestOwned>,
    host_max: Option<VectorLength>,
    access: &FpAccess,
) {
    if !guest.features().has_sve() {
        return;
    }

    let set = zcr_el1::<W>(access);
    if guest.is_hyp_ctxt() {
        let value: u64 = set.into();
        guest.set_sanitised(ZCR_EL2::from(value));
    } else {
        guest.set_sanitised(set);
    }

    // The kernel saves the guest's state for its longest vector. That must be in force for it then,
    // without limiting what the kernel can have for others.
    let longest = guest.sve_max_vl().zcr();
    match host_max {
        None => set_world_zcr_el2::<W>(longest, access),
        Some(host_max) => {
            set_world_zcr_el2::<W>(host_max.zcr(), access);
            set_zcr_el1::<W>(ZCR_EL1::from(longest), access);
        }
    }
}

/// Returns whether the guest hypervisor has set a trap for its guest, or for itself, by the field
/// that `field` takes from its `CPTR_EL2`.
#[inline(always)]
fn guest_hypervisor_traps<W: Hyp>(
    guest: &Context<'_, W, Guest>,
    field: impl FnOnce(CPACR_EL1) -> u64,
) -> bool {
    if !guest.has_nv() {
        return false;
    }
    match field(guest.sanitised_cptr_el2()) {
        0b00 | 0b10 => true,
        // Open to EL2 only.
        0b01 => guest.el2_tge_is_set() && !guest.is_el2(),
        _ => false,
    }
}
