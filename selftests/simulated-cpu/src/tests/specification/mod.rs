// SPDX-License-Identifier: GPL-2.0
//! What the C does that `hyp/sysreg_sr.rs`, `vhe/` and `nvhe/` replace, line by
//! line: which register moves where, under which condition, in which order.
//!
//! These tables were written from the C of Linux 7.3, `hyp/sysreg-sr.h` and the
//! two `sysreg-sr.c`, without a look at the Rust. Each is headed by the name of
//! the C function, so that the two can be read side by side. What differs
//! between the C and the Rust is an error in one of them: a table is changed
//! only when the C is. Where the Rust differs on purpose, [`deviations`] says in
//! what, and why.
//!
//! [`follow`] runs them on a simulated CPU of their own, and compares.

mod case;
mod deviations;
mod follow;
mod nvhe_c;
mod sysreg_sr_h;
mod vhe_c;

pub(super) use case::{Case, Owner};
pub(super) use deviations::{LOAD_USER_SYSREGS, PUT_USER_SYSREGS};
pub(super) use follow::Followed;
pub(super) use nvhe_c::*;
pub(super) use sysreg_sr_h::{SYSREG32_RESTORE_STATE, SYSREG32_SAVE_STATE};
pub(super) use vhe_c::*;

/// By which of its names C names a register.
#[derive(Clone, Copy)]
enum Name {
    /// `read_sysreg_el1(SYS_…)`, without the suffix.
    El1(&'static str),
    /// `read_sysreg_el2(SYS_…)`, without the suffix.
    El2(&'static str),
    /// `read_sysreg(…)`, `read_sysreg_s(SYS_…)`.
    Plain(&'static str),
}

/// Where C has the value while it is not in the CPU.
#[derive(Clone, Copy)]
enum Place {
    /// `ctxt_sys_reg()`.
    Ctxt(&'static str),
    /// `__vcpu_sys_reg()`, `__vcpu_assign_sys_reg()`: those bits only that the
    /// guest has.
    Vcpu(&'static str),
    /// `*ctxt_mdscr_el1()`.
    Mdscr,
    /// `ctxt->regs.pc`.
    Pc,
    /// `ctxt->regs.pstate`.
    Pstate,
    /// `ctxt->spsr_…`.
    Spsr(&'static str),
    /// What `to_hw_pstate()` and the check after it make of `ctxt->regs.pstate`.
    HwPstate,
    /// `translate_sctlr_el2_to_sctlr_el1()` of `SCTLR_EL2`.
    TranslatedSctlr,
    /// `translate_cptr_el2_to_cpacr_el1()` of `CPTR_EL2`.
    TranslatedCptr,
    /// `translate_ttbr0_el2_to_ttbr0_el1()` of `TTBR0_EL2`.
    TranslatedTtbr0,
    /// `translate_tcr_el2_to_tcr_el1()` of `TCR_EL2`.
    TranslatedTcr,
    /// `TCR_EL1` with `TCR_EPD1_MASK | TCR_EPD0_MASK`.
    TcrWithoutWalks,
    /// The parameters `midr` and `mpidr`.
    Midr,
    Mpidr,
    /// 0.
    Zero,
}

/// One thing that C does.
#[derive(Clone, Copy)]
enum Step {
    /// Reads a register and keeps the value.
    Save(Name, Place),
    /// Writes what is kept to a register.
    Restore(Name, Place),
    /// `midr = ctxt_midr_el1()`.
    GetMidr,
    /// `midr = ctxt_sys_reg(…)`.
    TakeMidr(&'static str),
    /// `mpidr = ctxt_sys_reg(…)`.
    TakeMpidr(&'static str),
    /// `__mpam_guest_load()`, where there is MPAM.
    Mpam,
    /// The part of `__sysreg_save_vel2_state()` that is about `CNTHCTL_EL2`.
    SaveCnthctl,
    /// `this_cpu_ptr()`: reads the register that the distance is in.
    ThisCpu(Name),
    /// `isb()`.
    Isb,
    /// `dsb(nsh)`.
    DsbNsh,
    /// `vcpu_set_flag(vcpu, SYSREGS_ON_CPU)`, or `vcpu_clear_flag()`.
    SysregsOnCpu(bool),
    /// Calls a function, with the context of an owner if that changes.
    Call(&'static [Line], Option<Owner>),
}

/// A condition.
type When = fn(&Case) -> bool;

/// One line of a function.
pub(super) struct Line {
    step: Step,
    when: When,
}

const ALWAYS: When = |_| true;

const fn line(step: Step, when: When) -> Line {
    Line { step, when }
}

const fn save(name: Name, place: Place, when: When) -> Line {
    line(Step::Save(name, place), when)
}

const fn restore(name: Name, place: Place, when: When) -> Line {
    line(Step::Restore(name, place), when)
}

/// A call with the context that the caller has.
const fn call(function: &'static [Line], when: When) -> Line {
    line(Step::Call(function, None), when)
}

/// A call with the context of `owner`.
const fn call_for(owner: Owner, function: &'static [Line], when: When) -> Line {
    line(Step::Call(function, Some(owner)), when)
}
