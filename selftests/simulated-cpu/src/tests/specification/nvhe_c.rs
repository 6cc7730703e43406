// SPDX-License-Identifier: GPL-2.0
//! `arch/arm64/kvm/hyp/nvhe/sysreg-sr.c`, from the top.

use super::sysreg_sr_h::*;
use super::{call, line, Line, Step, ALWAYS};

/// `__sysreg_save_state_nvhe()`
pub(crate) const SYSREG_SAVE_STATE_NVHE: &[Line] = &[
    call(SAVE_EL1_STATE, ALWAYS),
    call(SAVE_COMMON_STATE, ALWAYS),
    call(SAVE_USER_STATE, ALWAYS),
    call(SAVE_EL2_RETURN_STATE, ALWAYS),
];

/// `__sysreg_restore_state_nvhe()`
pub(crate) const SYSREG_RESTORE_STATE_NVHE: &[Line] = &[
    line(Step::GetMidr, ALWAYS),
    line(Step::TakeMpidr("MPIDR_EL1"), ALWAYS),
    call(RESTORE_EL1_STATE, ALWAYS),
    call(RESTORE_COMMON_STATE, ALWAYS),
    call(RESTORE_USER_STATE, ALWAYS),
    call(RESTORE_EL2_RETURN_STATE, ALWAYS),
];
