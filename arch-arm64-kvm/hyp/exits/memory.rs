// SPDX-License-Identifier: GPL-2.0

//! Aborts of stage 2, and watchpoints.
//!
//! C header: [`hyp/fault.h`](srctree/arch/arm64/kvm/hyp/include/hyp/fault.h)

#![forbid(unsafe_code)]

use super::ExitCode;
use crate::hyp::view::{
    exit,
    vgic,
    Context,
    Guest,
    Syndrome, //
};
use kernel::arm64::{
    cpucap,
    registers::HPFAR_EL2,
    world::Hyp, //
};

/// Notes the addresses of the fault. Returns true if the guest is to try again.
#[inline(never)]
pub(crate) fn handle_fault<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    let syndrome = guest.syndrome();
    let far = exit::far::<W>();
    guest.set_far(far);
    guest.set_hpfar(0);

    let hpfar = if hpfar_is_valid(syndrome) {
        exit::hpfar()
    } else if !may_translate(syndrome) {
        return false;
    } else {
        // As far as the permissions go, stage 1 has let the access through: only where it leads to
        // is of interest.
        match exit::translate_at_el1(far, cpucap::system_supports_poe()) {
            Some(par) if u64::from(par) & PAR_F == 0 => {
                HPFAR_EL2::from((u64::from(par) & PAR_PA) >> 8)
            }
            // Stage 1 has changed meanwhile.
            _ => return true,
        }
    };

    // A bit that is RES0 in Non-secure state says that there is an address.
    guest.set_hpfar(hpfar.with_ns(true).into());
    false
}

/// The bit of `PAR_EL1` that says that there is no translation. Its description has no fields, as
/// they depend on this one.
const PAR_F: u64 = 1;
/// Bits 51 to 12 of an address, as in `PAR_EL1`. `HPFAR_EL2` has them 8 bits further down.
const PAR_PA: u64 = 0x000f_ffff_ffff_f000;

/// Returns whether the CPU has set `HPFAR_EL2`.
///
/// Arm ARM (DDI 0487), rule FKLWR. Erratum 834220 of Cortex-A57: the fault may be one of stage 1's
/// permissions, so stage 1 has to be asked.
fn hpfar_is_valid(syndrome: Syndrome) -> bool {
    let fault = syndrome.fsc();
    if cpucap::cpus_have_workaround_834220() && fault.is_translation() {
        return false;
    }
    fault.is_translation()
        || fault.is_access_flag()
        || (syndrome.s1ptw() && fault.is_permission())
        || fault.is_address_size()
}

/// Returns whether there is an address to translate, and no error that doing so would run into
/// again.
fn may_translate(syndrome: Syndrome) -> bool {
    let fault = syndrome.fsc();
    !(fault.is_external_abort_on_walk()
        || fault.is_ecc_error_on_walk()
        || (fault.is_external_abort() && syndrome.fnv()))
}

/// Handles a data abort. Some of them are accesses to a GICv2 that EL2 passes on.
#[inline(always)]
pub(crate) fn handle_data_abort<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    exit_code: &mut ExitCode,
) -> bool {
    handle_fault(guest) || (vgic::v2_cpuif_traps() && access_v2_cpuif(guest, exit_code))
}

/// Passes an access to the CPU interface of a GICv2 on, if it is one.
#[inline(never)]
pub(crate) fn access_v2_cpuif<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    exit_code: &mut ExitCode,
) -> bool {
    let syndrome = guest.syndrome();
    let fault = syndrome.fsc();
    let is_access = fault.is_translation()
        && syndrome.isv()
        && !fault.is_synchronous_external_abort()
        && !syndrome.s1ptw();
    if !is_access {
        return false;
    }

    match vgic::perform_v2_cpuif_access(guest) {
        vgic::V2Access::Done => return true,
        vgic::V2Access::NotOne => {}
        vgic::V2Access::Illegal => *exit_code = ExitCode::SERROR,
    }
    false
}
