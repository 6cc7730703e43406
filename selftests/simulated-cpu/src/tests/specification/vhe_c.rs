// SPDX-License-Identifier: GPL-2.0
//! `arch/arm64/kvm/hyp/vhe/sysreg-sr.c`, from the top.

use super::sysreg_sr_h::*;
use super::Name::{El1, Plain};
use super::Place::{Midr, TranslatedCptr, TranslatedSctlr, TranslatedTcr, TranslatedTtbr0, Vcpu};
use super::{call, call_for, line, restore, save, Case, Line, Owner, Step, When, ALWAYS};

const E2H: When = Case::vcpu_el2_e2h_is_set;
const NO_E2H: When = |c| !c.vcpu_el2_e2h_is_set();
const E2H_NV2P1: When = |c| E2H(c) && c.cap_nv2p1();
const E2H_TCR2: When = |c| E2H(c) && c.ctxt_has_tcrx();
const E2H_S1PIE: When = |c| E2H_TCR2(c) && c.ctxt_has_s1pie();
const E2H_S1POE: When = |c| E2H_TCR2(c) && c.ctxt_has_s1poe();

/// `__sysreg_save_vel2_state()`
const SAVE_VEL2_STATE: &[Line] = &[
    // read_sysreg() here, without the barriers of that erratum.
    save(Plain("PAR_EL1"), Vcpu("PAR_EL1"), ALWAYS),
    save(Plain("TPIDR_EL1"), Vcpu("TPIDR_EL1"), ALWAYS),
    save(El1("ESR"), Vcpu("ESR_EL2"), ALWAYS),
    save(El1("AFSR0"), Vcpu("AFSR0_EL2"), ALWAYS),
    save(El1("AFSR1"), Vcpu("AFSR1_EL2"), ALWAYS),
    save(El1("FAR"), Vcpu("FAR_EL2"), ALWAYS),
    save(El1("MAIR"), Vcpu("MAIR_EL2"), ALWAYS),
    save(El1("VBAR"), Vcpu("VBAR_EL2"), ALWAYS),
    save(El1("CONTEXTIDR"), Vcpu("CONTEXTIDR_EL2"), ALWAYS),
    save(El1("AMAIR"), Vcpu("AMAIR_EL2"), ALWAYS),
    save(El1("CPACR"), Vcpu("CPTR_EL2"), E2H_NV2P1),
    save(El1("SCTLR"), Vcpu("SCTLR_EL2"), E2H),
    save(El1("TTBR0"), Vcpu("TTBR0_EL2"), E2H),
    save(El1("TTBR1"), Vcpu("TTBR1_EL2"), E2H),
    save(El1("TCR"), Vcpu("TCR_EL2"), E2H),
    save(El1("TCR2"), Vcpu("TCR2_EL2"), E2H_TCR2),
    save(El1("PIRE0"), Vcpu("PIRE0_EL2"), E2H_S1PIE),
    save(El1("PIR"), Vcpu("PIR_EL2"), E2H_S1PIE),
    save(El1("POR"), Vcpu("POR_EL2"), E2H_S1POE),
    line(Step::SaveCnthctl, E2H),
    save(Plain("SP_EL1"), Vcpu("SP_EL2"), ALWAYS),
    save(El1("ELR"), Vcpu("ELR_EL2"), ALWAYS),
    save(El1("SPSR"), Vcpu("SPSR_EL2"), ALWAYS),
    save(El1("SCTLR2"), Vcpu("SCTLR2_EL2"), Case::ctxt_has_sctlr2),
];

const S1PIE: When = |c| c.ctxt_has_tcrx() && c.ctxt_has_s1pie();
const S1POE: When = |c| c.ctxt_has_tcrx() && c.ctxt_has_s1poe();

/// `__sysreg_restore_vel2_state()`
const RESTORE_VEL2_STATE: &[Line] = &[
    restore(Plain("PAR_EL1"), Vcpu("PAR_EL1"), ALWAYS),
    restore(Plain("TPIDR_EL1"), Vcpu("TPIDR_EL1"), ALWAYS),
    line(Step::GetMidr, ALWAYS),
    restore(Plain("VPIDR_EL2"), Midr, ALWAYS),
    restore(Plain("VMPIDR_EL2"), Vcpu("MPIDR_EL1"), ALWAYS),
    restore(El1("MAIR"), Vcpu("MAIR_EL2"), ALWAYS),
    restore(El1("VBAR"), Vcpu("VBAR_EL2"), ALWAYS),
    restore(El1("CONTEXTIDR"), Vcpu("CONTEXTIDR_EL2"), ALWAYS),
    restore(El1("AMAIR"), Vcpu("AMAIR_EL2"), ALWAYS),
    restore(El1("SCTLR"), Vcpu("SCTLR_EL2"), E2H),
    restore(El1("CPACR"), Vcpu("CPTR_EL2"), E2H),
    restore(El1("TTBR0"), Vcpu("TTBR0_EL2"), E2H),
    restore(El1("TTBR1"), Vcpu("TTBR1_EL2"), E2H),
    restore(El1("TCR"), Vcpu("TCR_EL2"), E2H),
    restore(El1("CNTKCTL"), Vcpu("CNTHCTL_EL2"), E2H),
    restore(El1("SCTLR"), TranslatedSctlr, NO_E2H),
    restore(El1("CPACR"), TranslatedCptr, NO_E2H),
    restore(El1("TTBR0"), TranslatedTtbr0, NO_E2H),
    restore(El1("TCR"), TranslatedTcr, NO_E2H),
    restore(El1("TCR2"), Vcpu("TCR2_EL2"), Case::ctxt_has_tcrx),
    restore(El1("PIR"), Vcpu("PIR_EL2"), S1PIE),
    restore(El1("PIRE0"), Vcpu("PIRE0_EL2"), S1PIE),
    restore(El1("POR"), Vcpu("POR_EL2"), S1POE),
    restore(El1("ESR"), Vcpu("ESR_EL2"), ALWAYS),
    restore(El1("AFSR0"), Vcpu("AFSR0_EL2"), ALWAYS),
    restore(El1("AFSR1"), Vcpu("AFSR1_EL2"), ALWAYS),
    restore(El1("FAR"), Vcpu("FAR_EL2"), ALWAYS),
    restore(Plain("SP_EL1"), Vcpu("SP_EL2"), ALWAYS),
    restore(El1("ELR"), Vcpu("ELR_EL2"), ALWAYS),
    restore(El1("SPSR"), Vcpu("SPSR_EL2"), ALWAYS),
    restore(El1("SCTLR2"), Vcpu("SCTLR2_EL2"), Case::ctxt_has_sctlr2),
];

/// `sysreg_save_host_state_vhe()`
pub(crate) const SYSREG_SAVE_HOST_STATE_VHE: &[Line] =
    &[call_for(Owner::Host, SAVE_COMMON_STATE, ALWAYS)];

/// `sysreg_save_guest_state_vhe()`
pub(crate) const SYSREG_SAVE_GUEST_STATE_VHE: &[Line] = &[
    call(SAVE_COMMON_STATE, ALWAYS),
    call(SAVE_EL2_RETURN_STATE, ALWAYS),
];

/// `sysreg_restore_host_state_vhe()`
pub(crate) const SYSREG_RESTORE_HOST_STATE_VHE: &[Line] =
    &[call_for(Owner::Host, RESTORE_COMMON_STATE, ALWAYS)];

/// `sysreg_restore_guest_state_vhe()`
pub(crate) const SYSREG_RESTORE_GUEST_STATE_VHE: &[Line] = &[
    call(RESTORE_COMMON_STATE, ALWAYS),
    call(RESTORE_EL2_RETURN_STATE, ALWAYS),
];

const NOT_HYP_CTXT: When = |c| !c.is_hyp_ctxt();
const NESTED: When = |c| NOT_HYP_CTXT(c) && c.vcpu_has_nv();
const NOT_NESTED: When = |c| NOT_HYP_CTXT(c) && !c.vcpu_has_nv();

/// `__vcpu_load_switch_sysregs()`
pub(crate) const VCPU_LOAD_SWITCH_SYSREGS: &[Line] = &[
    call_for(Owner::Host, SAVE_USER_STATE, ALWAYS),
    line(Step::DsbNsh, Case::vcpu_has_nv),
    call(SYSREG32_RESTORE_STATE, ALWAYS),
    call(RESTORE_USER_STATE, ALWAYS),
    line(Step::Mpam, Case::system_supports_mpam),
    call(RESTORE_VEL2_STATE, Case::is_hyp_ctxt),
    line(Step::TakeMidr("VPIDR_EL2"), NESTED),
    line(Step::TakeMpidr("VMPIDR_EL2"), NESTED),
    line(Step::GetMidr, NOT_NESTED),
    line(Step::TakeMpidr("MPIDR_EL1"), NOT_NESTED),
    call(RESTORE_EL1_STATE, NOT_HYP_CTXT),
    line(Step::SysregsOnCpu(true), ALWAYS),
];

/// `__vcpu_put_switch_sysregs()`
pub(crate) const VCPU_PUT_SWITCH_SYSREGS: &[Line] = &[
    call(SAVE_VEL2_STATE, Case::is_hyp_ctxt),
    call(SAVE_EL1_STATE, NOT_HYP_CTXT),
    call(SAVE_USER_STATE, ALWAYS),
    call(SYSREG32_SAVE_STATE, ALWAYS),
    call_for(Owner::Host, RESTORE_USER_STATE, ALWAYS),
    line(Step::SysregsOnCpu(false), ALWAYS),
];
