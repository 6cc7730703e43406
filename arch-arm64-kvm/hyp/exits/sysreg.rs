// SPDX-License-Identifier: GPL-2.0

//! Trapped accesses to system registers that the hypervisor answers in both worlds.
//!
//! C header: [`hyp/switch.h`](srctree/arch/arm64/kvm/hyp/include/hyp/switch.h)

#![forbid(unsafe_code)]

use super::skip::skip_instruction;
use crate::hyp::view::{
    timer::{
        self,
        Timer, //
    },
    vgic,
    Accessed,
    Context,
    Guest, //
};
use kernel::arm64::{
    cpucap,
    registers::*,
    sysreg::{
        El1Register,
        Encoding,
        RegisterName, //
    },
    world::Hyp, //
};

/// The counters that read after all instructions before them. They have no description.
pub(crate) const CNTPCTSS_EL0: Accessed = Accessed::by(Encoding::new(3, 3, 14, 0, 5));
/// As [`CNTPCTSS_EL0`].
pub(crate) const CNTVCTSS_EL0: Accessed = Accessed::by(Encoding::new(3, 3, 14, 0, 6));
/// The counters.
pub(crate) const CNTPCT_EL0: Accessed = Accessed::by(Encoding::new(3, 3, 14, 0, 1));
/// As [`CNTPCT_EL0`].
pub(crate) const CNTVCT_EL0: Accessed = Accessed::by(Encoding::new(3, 3, 14, 0, 2));

/// Handles the access. Returns false if the kernel has to.
#[inline(never)]
pub(crate) fn handle<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    (cpucap::cpus_have_workaround_cavium_tx2_219_tvm() && write_stage_1(guest))
        || (cpucap::cpus_have_workaround_ampere_ac03_cpu_38() && write_tcr(guest))
        || handle_vgic(guest)
        || read_counter(guest)
}

/// Handles an access to the CPU interface of a GICv3, from either execution state.
pub(crate) fn handle_vgic<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    vgic::v3_cpuif_traps() && vgic::perform_v3_cpuif_access(guest)
}

/// Writes to a register of stage 1 what the guest would have, if its writes trap for the sake of
/// ThunderX2's erratum 219 alone: where the kernel wants to see them, it has set TVM.
fn write_stage_1<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    if guest.hcr_el2().tvm().into() {
        return false;
    }

    let register = guest.syndrome().accessed();
    let value = guest.general_register(guest.syndrome().rt());
    let written = write_if::<W, SCTLR_EL1>(guest, register, value)
        || write_if::<W, TTBR0_EL1>(guest, register, value)
        || write_if::<W, TTBR1_EL1>(guest, register, value)
        || write_if::<W, TCR_EL1>(guest, register, value)
        || write_if::<W, ESR_EL1>(guest, register, value)
        || write_if::<W, FAR_EL1>(guest, register, value)
        || write_if::<W, AFSR0_EL1>(guest, register, value)
        || write_if::<W, AFSR1_EL1>(guest, register, value)
        || write_if::<W, MAIR_EL1>(guest, register, value)
        || write_if::<W, AMAIR_EL1>(guest, register, value)
        || write_if::<W, CONTEXTIDR_EL1>(guest, register, value);
    if written {
        skip_instruction(guest);
    }
    written
}

#[inline(always)]
fn write_if<W: Hyp, R: El1Register>(
    guest: &Context<'_, W, Guest>,
    register: Accessed,
    value: u64,
) -> bool {
    let is_it = register == const { Accessed::by(R::ENCODING) };
    if is_it {
        guest.write_el1(R::from(value));
    }
    is_it
}

/// Writes to `TCR_EL1` what the guest would have, but for HA and HD: the ID registers of AmpereOne,
/// erratum AC03_CPU_38, say that these are RES0, and they are not.
fn write_tcr<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    let syndrome = guest.syndrome();
    if syndrome.accessed() != Accessed::by(TCR_EL1::ENCODING) {
        return false;
    }

    let value = TCR_EL1::from(guest.general_register(syndrome.rt()));
    guest.write_el1(value.with_ha(false).with_hd(false));
    skip_instruction(guest);
    true
}

/// Reads a counter for EL1 and EL0 of the guest, as the timer of EL1 counts it.
fn read_counter<W: Hyp>(guest: &mut Context<'_, W, Guest>) -> bool {
    if guest.is_hyp_ctxt() {
        return false;
    }

    let timer = match guest.syndrome().accessed() {
        CNTPCT_EL0 | CNTPCTSS_EL0 => {
            if guest.has_nv() && !timer::may_read_physical_counter(guest) {
                return false;
            }
            Timer::Physical
        }
        CNTVCT_EL0 | CNTVCTSS_EL0 => {
            if guest.has_nv() && timer::virtual_counter_traps(guest) {
                return false;
            }
            Timer::Virtual
        }
        _ => return false,
    };

    let value = timer::count(guest, timer);
    guest.set_general_register(guest.syndrome().rt(), value);
    skip_instruction(guest);
    true
}
