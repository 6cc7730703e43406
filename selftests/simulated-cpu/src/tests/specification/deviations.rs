// SPDX-License-Identifier: GPL-2.0
//! What the Rust does otherwise than the C on purpose.

use super::sysreg_sr_h::{RESTORE_USER_STATE, SAVE_USER_STATE};
use super::Name::{El1, Plain};
use super::Place::Ctxt;
use super::{call, call_for, line, restore, save, Case, Line, Owner, Step, When, ALWAYS};

/// Registers that the C moves, and the Rust does not.
struct Deviation {
    /// By the names that they have without E2H.
    registers: &'static [&'static str],
    when: When,
    /// Why the result is the same; for who reads this.
    #[allow(dead_code)]
    reason: &'static str,
}

const NOT_PROTECTED: When = |c| !c.is_protected();

const LEFT_OUT: &[Deviation] = &[
    Deviation {
        registers: &["TPIDR_EL0", "TPIDRRO_EL0", "TFSRE0_EL1"],
        when: |c| !c.has_vhe() && NOT_PROTECTED(c),
        reason: "The kernel at EL1 does not use them. It has put the guest's into the CPU when \
                 it loaded the vCPU (LOAD_USER_SYSREGS), and takes them from there when it puts \
                 the vCPU (PUT_USER_SYSREGS). Of a protected guest it must not have them.",
    },
    Deviation {
        registers: &[
            "ESR_EL1",
            "FAR_EL1",
            "AFSR0_EL1",
            "AFSR1_EL1",
            "ELR_EL1",
            "SPSR_EL1",
            "PAR_EL1",
        ],
        when: |c| !c.has_vhe() && !c.is_guest() && NOT_PROTECTED(c),
        reason: "The host calls EL2 with interrupts masked. What an exception left in these \
                 it has read, what it returns by it writes before it does, and PAR_EL1 it reads \
                 right after an AT instruction. It must not see a protected guest's.",
    },
    Deviation {
        registers: &["MIDR_EL1", "VPIDR_EL2"],
        when: |c| !c.has_vhe() && !c.writable_imp_id_regs(),
        reason: "VPIDR_EL2 has the CPU's own MIDR_EL1 since the CPU came up, and after each \
                 guest that has another.",
    },
];

/// Whether the Rust at EL2 does not do what C does in `step`.
pub(super) fn leave_out(step: &Step, case: &Case) -> bool {
    let name = match step {
        Step::Save(Plain(name), _) | Step::Restore(Plain(name), _) => (*name).to_owned(),
        Step::Save(El1(stem), _) | Step::Restore(El1(stem), _) => format!("{stem}_EL1"),
        Step::GetMidr => "MIDR_EL1".to_owned(),
        _ => return false,
    };
    LEFT_OUT
        .iter()
        .any(|left_out| left_out.registers.contains(&&*name) && (left_out.when)(case))
}

const SAVE_TFSRE0: &[Line] = &[save(Plain("TFSRE0_EL1"), Ctxt("TFSRE0_EL1"), ALWAYS)];
const RESTORE_TFSRE0: &[Line] = &[restore(Plain("TFSRE0_EL1"), Ctxt("TFSRE0_EL1"), ALWAYS)];
const NOT_PROTECTED_MTE: When = |c| NOT_PROTECTED(c) && c.ctxt_has_mte();

/// `kvm_vcpu_load_user_sysregs()`, which does nothing with the C.
pub(crate) const LOAD_USER_SYSREGS: &[Line] = &[
    line(Step::ThisCpu(Plain("TPIDR_EL1")), ALWAYS),
    call_for(Owner::Host, SAVE_USER_STATE, NOT_PROTECTED),
    call(RESTORE_USER_STATE, NOT_PROTECTED),
    call_for(Owner::Host, SAVE_TFSRE0, NOT_PROTECTED_MTE),
    call(RESTORE_TFSRE0, NOT_PROTECTED_MTE),
];

/// `kvm_vcpu_put_user_sysregs()`, which does nothing with the C.
pub(crate) const PUT_USER_SYSREGS: &[Line] = &[
    line(Step::ThisCpu(Plain("TPIDR_EL1")), ALWAYS),
    call(SAVE_USER_STATE, NOT_PROTECTED),
    call_for(Owner::Host, RESTORE_USER_STATE, NOT_PROTECTED),
    call(SAVE_TFSRE0, NOT_PROTECTED_MTE),
    call_for(Owner::Host, RESTORE_TFSRE0, NOT_PROTECTED_MTE),
];
