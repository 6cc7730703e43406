// SPDX-License-Identifier: GPL-2.0

//! The registers of a guest that host and EL2 hand to each other under pKVM.
//!
//! A context has places for all registers that KVM emulates. EL2 works with few of them: those that
//! it switches, because the guest has them in the CPU, and those that it looks at to emulate or to
//! inject something. Only these are copied. The others only the host has a use for, whose copy is
//! right at any time. C copies all of them to and fro, and so undoes what the host has written to
//! its own since the exit, such as the overflow of an emulated counter in `PMOVSSET_EL0`.
//!
//! What is not in this list must not be used by code at EL2 as a guest's register; a test reads the
//! C sources to see to that (selftests/simulated-cpu).

#![forbid(unsafe_code)]

use crate::hyp::view::Features;
use crate::nvhe::view::{
    KeptByEither,
    KeptByHost,
    KeptByHyp,
    VcpuState, //
};
use kernel::arm64::{
    cpucap,
    registers::*, //
};

/// What decides which registers a guest has. EL2 takes it from its own state alone.
struct Present {
    features: Features,
    hcr: HCR_EL2,
}

impl Present {
    fn of(hyp: &VcpuState<'_, KeptByHyp>, features: Features) -> Self {
        Self {
            features,
            hcr: hyp.hcr_el2().into(),
        }
    }
}

/// Copies to EL2 the registers that the host has of the guest.
pub(super) fn flush(
    hyp: &mut VcpuState<'_, KeptByHyp>,
    host: &VcpuState<'_, KeptByHost>,
    features: Features,
) {
    let present = Present::of(hyp, features);
    copy(&present, &host.of_either(), &mut hyp.of_either_mut());
}

/// Copies to the host the registers that EL2 has of the guest.
pub(super) fn sync(
    hyp: &VcpuState<'_, KeptByHyp>,
    host: &mut VcpuState<'_, KeptByHost>,
    features: Features,
) {
    let present = Present::of(hyp, features);
    copy(&present, &hyp.of_either(), &mut host.of_either_mut());
}

/// Copies in either direction: what is copied is the same.
#[inline(never)]
fn copy(
    present: &Present,
    from: &VcpuState<'_, KeptByEither>,
    to: &mut VcpuState<'_, KeptByEither>,
) {
    let features = present.features;

    to.copy_core_registers(from);

    // Those that are switched at each entry and exit.
    to.copy::<MPIDR_EL1>(from);
    to.copy::<SCTLR_EL1>(from);
    to.copy::<CPACR_EL1>(from);
    to.copy::<TTBR0_EL1>(from);
    to.copy::<TTBR1_EL1>(from);
    to.copy::<TCR_EL1>(from);
    if features.has_tcr2() {
        to.copy::<TCR2_EL1>(from);
        if features.has_s1pie() {
            to.copy::<PIR_EL1>(from);
            to.copy::<PIRE0_EL1>(from);
        }
        if features.has_s1poe() {
            to.copy::<POR_EL1>(from);
        }
    }
    to.copy::<ESR_EL1>(from);
    to.copy::<AFSR0_EL1>(from);
    to.copy::<AFSR1_EL1>(from);
    to.copy::<FAR_EL1>(from);
    to.copy::<MAIR_EL1>(from);
    to.copy::<VBAR_EL1>(from);
    to.copy::<CONTEXTIDR_EL1>(from);
    to.copy::<AMAIR_EL1>(from);
    to.copy::<CNTKCTL_EL1>(from);
    to.copy::<PAR_EL1>(from);
    to.copy::<TPIDR_EL1>(from);
    to.copy::<SP_EL1>(from);
    to.copy::<ELR_EL1>(from);
    to.copy::<SPSR_EL1>(from);
    if features.has_sctlr2() {
        to.copy::<SCTLR2_EL1>(from);
    }
    to.copy::<MDSCR_EL1>(from);
    to.copy::<MDCCINT_EL1>(from);
    if features.has_s1poe() {
        to.copy::<POR_EL0>(from);
    }
    if cpucap::cpus_have_ras_extn() {
        to.copy::<DISR_EL1>(from);
    }

    // What only EL0 uses, the host's vcpu_load() puts in the CPU for a guest that trusts it.
    if features.is_protected() {
        to.copy::<TPIDR_EL0>(from);
        to.copy::<TPIDRRO_EL0>(from);
    }
    if features.has_mte() {
        to.copy::<TFSR_EL1>(from);
        if features.is_protected() {
            to.copy::<TFSRE0_EL1>(from);
        }
    }

    // Those that `hyp::entry` switches, by the same bits of HCR_EL2.
    if present.hcr.ata().into() {
        to.copy::<RGSR_EL1>(from);
        to.copy::<GCR_EL1>(from);
    }
    if bool::from(present.hcr.api()) || bool::from(present.hcr.apk()) {
        to.copy::<APIAKEYLO_EL1>(from);
        to.copy::<APIAKEYHI_EL1>(from);
        to.copy::<APIBKEYLO_EL1>(from);
        to.copy::<APIBKEYHI_EL1>(from);
        to.copy::<APDAKEYLO_EL1>(from);
        to.copy::<APDAKEYHI_EL1>(from);
        to.copy::<APDBKEYLO_EL1>(from);
        to.copy::<APDBKEYHI_EL1>(from);
        to.copy::<APGAKEYLO_EL1>(from);
        to.copy::<APGAKEYHI_EL1>(from);
    }

    // Those that go with the FP registers.
    if features.has_sve() {
        to.copy::<ZCR_EL1>(from);
    }
    if features.has_fpmr() {
        to.copy::<FPMR>(from);
    }

    let el1_is_64bit: bool = present.hcr.rw().into();
    if !el1_is_64bit {
        to.copy_banked::<SPSR_abt>(from);
        to.copy_banked::<SPSR_und>(from);
        to.copy_banked::<SPSR_irq>(from);
        to.copy_banked::<SPSR_fiq>(from);
        to.copy::<DACR32_EL2>(from);
        to.copy::<IFSR32_EL2>(from);
        to.copy::<DBGVCR32_EL2>(from);
        to.copy::<FPEXC32_EL2>(from);
    }
}
