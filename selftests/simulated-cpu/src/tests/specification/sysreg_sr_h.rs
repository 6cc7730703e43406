// SPDX-License-Identifier: GPL-2.0
//! `arch/arm64/kvm/hyp/include/hyp/sysreg-sr.h`, from the top.

use super::Name::{El1, El2, Plain};
use super::Place::{
    Ctxt, HwPstate, Mdscr, Midr, Mpidr, Pc, Pstate, Spsr, TcrWithoutWalks, Vcpu, Zero,
};
use super::{line, restore, save, Case, Line, Step, When, ALWAYS};

const S1PIE: When = |c| c.ctxt_has_tcrx() && c.ctxt_has_s1pie();
const S1POE: When = |c| c.ctxt_has_tcrx() && c.ctxt_has_s1poe();
const NV3: When = Case::is_nested_nv3_ctxt;

/// `__sysreg_save_common_state()`
pub(super) const SAVE_COMMON_STATE: &[Line] = &[
    save(Plain("MDSCR_EL1"), Mdscr, ALWAYS),
    save(Plain("POR_EL0"), Ctxt("POR_EL0"), Case::ctxt_has_s1poe),
];

/// `__sysreg_save_user_state()`
pub(super) const SAVE_USER_STATE: &[Line] = &[
    save(Plain("TPIDR_EL0"), Ctxt("TPIDR_EL0"), ALWAYS),
    save(Plain("TPIDRRO_EL0"), Ctxt("TPIDRRO_EL0"), ALWAYS),
];

/// `__sysreg_save_el1_state()`
pub(super) const SAVE_EL1_STATE: &[Line] = &[
    save(El1("SCTLR"), Ctxt("SCTLR_EL1"), ALWAYS),
    save(El1("CPACR"), Ctxt("CPACR_EL1"), ALWAYS),
    save(El1("TTBR0"), Ctxt("TTBR0_EL1"), ALWAYS),
    save(El1("TTBR1"), Ctxt("TTBR1_EL1"), ALWAYS),
    save(El1("TCR"), Ctxt("TCR_EL1"), ALWAYS),
    save(El1("TCR2"), Ctxt("TCR2_EL1"), Case::ctxt_has_tcrx),
    save(El1("PIR"), Ctxt("PIR_EL1"), S1PIE),
    save(El1("PIRE0"), Ctxt("PIRE0_EL1"), S1PIE),
    save(El1("POR"), Ctxt("POR_EL1"), S1POE),
    save(El1("ESR"), Ctxt("ESR_EL1"), ALWAYS),
    save(El1("AFSR0"), Ctxt("AFSR0_EL1"), ALWAYS),
    save(El1("AFSR1"), Ctxt("AFSR1_EL1"), ALWAYS),
    save(El1("FAR"), Ctxt("FAR_EL1"), ALWAYS),
    save(El1("MAIR"), Ctxt("MAIR_EL1"), ALWAYS),
    save(El1("VBAR"), Ctxt("VBAR_EL1"), ALWAYS),
    save(El1("CONTEXTIDR"), Ctxt("CONTEXTIDR_EL1"), ALWAYS),
    save(El1("AMAIR"), Ctxt("AMAIR_EL1"), ALWAYS),
    save(El1("CNTKCTL"), Ctxt("CNTKCTL_EL1"), ALWAYS),
    // read_sysreg_par(), whose barriers are an erratum's.
    save(Plain("PAR_EL1"), Ctxt("PAR_EL1"), ALWAYS),
    save(Plain("TPIDR_EL1"), Ctxt("TPIDR_EL1"), ALWAYS),
    save(El1("TFSR"), Ctxt("TFSR_EL1"), Case::ctxt_has_mte),
    save(Plain("TFSRE0_EL1"), Ctxt("TFSRE0_EL1"), Case::ctxt_has_mte),
    save(Plain("SP_EL1"), Ctxt("SP_EL1"), ALWAYS),
    save(El1("ELR"), Ctxt("ELR_EL1"), ALWAYS),
    save(El1("SPSR"), Ctxt("SPSR_EL1"), ALWAYS),
    save(El1("SCTLR2"), Ctxt("SCTLR2_EL1"), Case::ctxt_has_sctlr2),
    save(Plain("NVHCR_EL2"), Ctxt("NVHCR_EL2"), NV3),
];

const NOT_NESTED_VSERROR: When = |c| c.cap_ras_extn() && !c.vserror_state_is_nested();
const NESTED: When = |c| c.cap_ras_extn() && c.vserror_state_is_nested();
const NESTED_VSERROR: When = |c| NESTED(c) && c.ctxt_has_ras();
const NO_VSERROR: When = |c| NESTED(c) && !c.ctxt_has_ras();

/// `__sysreg_save_el2_return_state()`
pub(super) const SAVE_EL2_RETURN_STATE: &[Line] = &[
    save(El2("ELR"), Pc, ALWAYS),
    save(El2("SPSR"), Pstate, |c| !c.has_vhe() && !c.is_guest()),
    save(Plain("VDISR_EL2"), Ctxt("DISR_EL1"), NOT_NESTED_VSERROR),
    save(Plain("VDISR_EL2"), Ctxt("VDISR_EL2"), NESTED_VSERROR),
];

/// `__sysreg_restore_common_state()`
pub(super) const RESTORE_COMMON_STATE: &[Line] = &[
    restore(Plain("MDSCR_EL1"), Mdscr, ALWAYS),
    restore(Plain("POR_EL0"), Ctxt("POR_EL0"), Case::ctxt_has_s1poe),
];

/// `__sysreg_restore_user_state()`
pub(super) const RESTORE_USER_STATE: &[Line] = &[
    restore(Plain("TPIDR_EL0"), Ctxt("TPIDR_EL0"), ALWAYS),
    restore(Plain("TPIDRRO_EL0"), Ctxt("TPIDRRO_EL0"), ALWAYS),
];

const SCTLR_AND_TCR_FIRST: When = |c| c.has_vhe() || !c.cap_speculative_at();
const FORBID_WALKS: When = |c| !SCTLR_AND_TCR_FIRST(c) && c.is_guest();
const ALLOW_WALKS: When = |c| !c.has_vhe() && c.cap_speculative_at() && !c.is_guest();

/// `__sysreg_restore_el1_state()`
pub(super) const RESTORE_EL1_STATE: &[Line] = &[
    restore(Plain("VPIDR_EL2"), Midr, ALWAYS),
    restore(Plain("VMPIDR_EL2"), Mpidr, ALWAYS),
    restore(El1("SCTLR"), Ctxt("SCTLR_EL1"), SCTLR_AND_TCR_FIRST),
    restore(El1("TCR"), Ctxt("TCR_EL1"), SCTLR_AND_TCR_FIRST),
    restore(El1("TCR"), TcrWithoutWalks, FORBID_WALKS),
    line(Step::Isb, FORBID_WALKS),
    restore(El1("CPACR"), Ctxt("CPACR_EL1"), ALWAYS),
    restore(El1("TTBR0"), Ctxt("TTBR0_EL1"), ALWAYS),
    restore(El1("TTBR1"), Ctxt("TTBR1_EL1"), ALWAYS),
    restore(El1("TCR2"), Ctxt("TCR2_EL1"), Case::ctxt_has_tcrx),
    restore(El1("PIR"), Ctxt("PIR_EL1"), S1PIE),
    restore(El1("PIRE0"), Ctxt("PIRE0_EL1"), S1PIE),
    restore(El1("POR"), Ctxt("POR_EL1"), S1POE),
    restore(El1("ESR"), Ctxt("ESR_EL1"), ALWAYS),
    restore(El1("AFSR0"), Ctxt("AFSR0_EL1"), ALWAYS),
    restore(El1("AFSR1"), Ctxt("AFSR1_EL1"), ALWAYS),
    restore(El1("FAR"), Ctxt("FAR_EL1"), ALWAYS),
    restore(El1("MAIR"), Ctxt("MAIR_EL1"), ALWAYS),
    restore(El1("VBAR"), Ctxt("VBAR_EL1"), ALWAYS),
    restore(El1("CONTEXTIDR"), Ctxt("CONTEXTIDR_EL1"), ALWAYS),
    restore(El1("AMAIR"), Ctxt("AMAIR_EL1"), ALWAYS),
    restore(El1("CNTKCTL"), Ctxt("CNTKCTL_EL1"), ALWAYS),
    restore(Plain("PAR_EL1"), Ctxt("PAR_EL1"), ALWAYS),
    restore(Plain("TPIDR_EL1"), Ctxt("TPIDR_EL1"), ALWAYS),
    restore(El1("TFSR"), Ctxt("TFSR_EL1"), Case::ctxt_has_mte),
    restore(Plain("TFSRE0_EL1"), Ctxt("TFSRE0_EL1"), Case::ctxt_has_mte),
    line(Step::Isb, ALLOW_WALKS),
    restore(El1("SCTLR"), Ctxt("SCTLR_EL1"), ALLOW_WALKS),
    line(Step::Isb, ALLOW_WALKS),
    restore(El1("TCR"), Ctxt("TCR_EL1"), ALLOW_WALKS),
    restore(Plain("SP_EL1"), Ctxt("SP_EL1"), ALWAYS),
    restore(El1("ELR"), Ctxt("ELR_EL1"), ALWAYS),
    restore(El1("SPSR"), Ctxt("SPSR_EL1"), ALWAYS),
    restore(El1("SCTLR2"), Ctxt("SCTLR2_EL1"), Case::ctxt_has_sctlr2),
    restore(Plain("NVHCR_EL2"), Ctxt("NVHCR_EL2"), NV3),
];

/// `__sysreg_restore_el2_return_state()`
pub(super) const RESTORE_EL2_RETURN_STATE: &[Line] = &[
    restore(El2("ELR"), Pc, ALWAYS),
    restore(El2("SPSR"), HwPstate, ALWAYS),
    restore(Plain("VDISR_EL2"), Ctxt("DISR_EL1"), NOT_NESTED_VSERROR),
    restore(Plain("VDISR_EL2"), Ctxt("VDISR_EL2"), NESTED_VSERROR),
    restore(Plain("VDISR_EL2"), Zero, NO_VSERROR),
];

const AARCH32: When = Case::vcpu_el1_is_32bit;
const DBGVCR32: When = |c| AARCH32(c) && (c.has_vhe() || c.kvm_debug_regs_in_use());

/// `__sysreg32_save_state()`
pub(crate) const SYSREG32_SAVE_STATE: &[Line] = &[
    save(Plain("SPSR_abt"), Spsr("spsr_abt"), AARCH32),
    save(Plain("SPSR_und"), Spsr("spsr_und"), AARCH32),
    save(Plain("SPSR_irq"), Spsr("spsr_irq"), AARCH32),
    save(Plain("SPSR_fiq"), Spsr("spsr_fiq"), AARCH32),
    save(Plain("DACR32_EL2"), Vcpu("DACR32_EL2"), AARCH32),
    save(Plain("IFSR32_EL2"), Vcpu("IFSR32_EL2"), AARCH32),
    save(Plain("DBGVCR32_EL2"), Vcpu("DBGVCR32_EL2"), DBGVCR32),
];

/// `__sysreg32_restore_state()`
pub(crate) const SYSREG32_RESTORE_STATE: &[Line] = &[
    restore(Plain("SPSR_abt"), Spsr("spsr_abt"), AARCH32),
    restore(Plain("SPSR_und"), Spsr("spsr_und"), AARCH32),
    restore(Plain("SPSR_irq"), Spsr("spsr_irq"), AARCH32),
    restore(Plain("SPSR_fiq"), Spsr("spsr_fiq"), AARCH32),
    restore(Plain("DACR32_EL2"), Vcpu("DACR32_EL2"), AARCH32),
    restore(Plain("IFSR32_EL2"), Vcpu("IFSR32_EL2"), AARCH32),
    restore(Plain("DBGVCR32_EL2"), Vcpu("DBGVCR32_EL2"), DBGVCR32),
];
