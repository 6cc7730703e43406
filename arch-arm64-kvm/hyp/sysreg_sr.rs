// SPDX-License-Identifier: GPL-2.0

//! Save and restore of the system registers that guest and host take turns in.
//!
//! Each function here is one group of registers. When a group is switched differs between the
//! worlds: see `vhe::sysreg_sr` and `nvhe::sysreg_sr`.
//!
//! Context: EL2, with exceptions masked, or under VHE from `vcpu_load()` and `vcpu_put()`, with
//! preemption disabled. The functions of user state are for EL1 as well, there.
//!
//! C header: [`hyp/sysreg-sr.h`](srctree/arch/arm64/kvm/hyp/include/hyp/sysreg-sr.h)

#![forbid(unsafe_code)]

use super::{
    pstate,
    view::{
        Context,
        Guest,
        Owner, //
    }, //
};
use kernel::arm64::{
    barrier::isb,
    cpucap,
    registers::*,
    world::{
        Hyp,
        World, //
    }, //
};

/// Saves what has to change with every switch.
#[inline(always)]
pub(crate) fn save_common_state<W: Hyp, O: Owner>(ctxt: &mut Context<'_, W, O>) {
    ctxt.save_mdscr_el1();

    // With the state that changes with every switch, as it applies to the kernel's own accesses to
    // user memory.
    if ctxt.features().has_s1poe() {
        ctxt.save::<POR_EL0>();
    }
}

/// Restores what has to change with every switch.
#[inline(always)]
pub(crate) fn restore_common_state<W: Hyp, O: Owner>(ctxt: &Context<'_, W, O>) {
    ctxt.restore_mdscr_el1();

    if ctxt.features().has_s1poe() {
        ctxt.restore::<POR_EL0>();
    }
}

/// Saves what only EL0 uses.
#[inline(always)]
pub(crate) fn save_user_state<W: World, O: Owner>(ctxt: &mut Context<'_, W, O>) {
    ctxt.save_user::<TPIDR_EL0>();
    ctxt.save_user::<TPIDRRO_EL0>();
}

/// Restores what only EL0 uses.
#[inline(always)]
pub(crate) fn restore_user_state<W: World, O: Owner>(ctxt: &Context<'_, W, O>) {
    ctxt.restore_user::<TPIDR_EL0>();
    ctxt.restore_user::<TPIDRRO_EL0>();
}

/// Returns whether the registers that an exception to EL1 leaves its state in have to be the
/// context's: `ESR_EL1`, `FAR_EL1`, `AFSR0_EL1`, `AFSR1_EL1`, `ELR_EL1` and `SPSR_EL1`, and
/// `PAR_EL1`.
///
/// The host calls EL2 with interrupts masked, and has no use for them then: it reads those of an
/// exception before the next can come, writes the two that it returns by right before it does, and
/// reads `PAR_EL1` right after it had an address translated. So a guest's may stay; but not a
/// protected guest's, which the host must not see.
#[inline(always)]
fn must_switch_exception_state<W: Hyp, O: Owner>(ctxt: &Context<'_, W, O>) -> bool {
    !O::IS_HOST || ctxt.features().is_protected()
}

/// Saves the registers of EL1.
#[inline(always)]
pub(crate) fn save_el1_state<W: Hyp, O: Owner>(ctxt: &mut Context<'_, W, O>) {
    let features = ctxt.features();

    ctxt.save_el1::<SCTLR_EL1>();
    ctxt.save_el1::<CPACR_EL1>();
    ctxt.save_el1::<TTBR0_EL1>();
    ctxt.save_el1::<TTBR1_EL1>();
    ctxt.save_el1::<TCR_EL1>();
    if features.has_tcr2() {
        ctxt.save_el1::<TCR2_EL1>();
        if features.has_s1pie() {
            ctxt.save_el1::<PIR_EL1>();
            ctxt.save_el1::<PIRE0_EL1>();
        }
        if features.has_s1poe() {
            ctxt.save_el1::<POR_EL1>();
        }
    }
    let must_switch_exception_state = must_switch_exception_state(ctxt);
    if must_switch_exception_state {
        ctxt.save_el1::<ESR_EL1>();
        ctxt.save_el1::<AFSR0_EL1>();
        ctxt.save_el1::<AFSR1_EL1>();
        ctxt.save_el1::<FAR_EL1>();
    }
    ctxt.save_el1::<MAIR_EL1>();
    ctxt.save_el1::<VBAR_EL1>();
    ctxt.save_el1::<CONTEXTIDR_EL1>();
    ctxt.save_el1::<AMAIR_EL1>();
    ctxt.save_el1::<CNTKCTL_EL1>();
    if must_switch_exception_state {
        ctxt.save_par();
    }
    ctxt.save::<TPIDR_EL1>();

    if features.has_mte() {
        ctxt.save_el1::<TFSR_EL1>();
        if W::VHE || features.is_protected() {
            ctxt.save_user::<TFSRE0_EL1>();
        }
    }

    ctxt.save::<SP_EL1>();
    if must_switch_exception_state {
        ctxt.save_el1::<ELR_EL1>();
        ctxt.save_el1::<SPSR_EL1>();
    }

    if features.has_sctlr2() {
        ctxt.save_el1::<SCTLR2_EL1>();
    }

    // What the guest hypervisor changed in its guest's view of HCR_EL2 is in the CPU.
    if ctxt.is_nested_nv3() {
        ctxt.save::<NVHCR_EL2>();
    }
}

/// Restores the registers of EL1, with `midr` and `mpidr` as its `MIDR_EL1` and `MPIDR_EL1`.
/// `midr` is `None` where it reads the right one already.
///
/// With the erratum that ARM64_WORKAROUND_SPECULATIVE_AT is about, the CPU may walk the tables of
/// EL1 at any time, and must not find a mixture of two contexts. The tables of one must be out of
/// reach while the other's stage 2 is in force, in this order:
///
/// - to the guest, `TCR_EL1` forbids all walks from here on; `nvhe::traps::activate` sets
///   `SCTLR_EL1` and `TCR_EL1` once stage 2 is the guest's;
/// - to the host, `nvhe::traps::deactivate` has forbidden them, and stage 2 is off by now, so
///   `SCTLR_EL1` and then `TCR_EL1` are set here.
#[inline(always)]
pub(crate) fn restore_el1_state<W: Hyp, O: Owner>(
    ctxt: &Context<'_, W, O>,
    midr: Option<u64>,
    mpidr: u64,
) {
    let features = ctxt.features();
    // A branch that is patched, so it costs less than to remember what it was.
    let forbids_walks = || !W::VHE && cpucap::cpus_have_workaround_speculative_at();

    ctxt.set_identity(midr, mpidr);

    if !forbids_walks() {
        ctxt.restore_el1::<SCTLR_EL1>();
        ctxt.restore_el1::<TCR_EL1>();
    } else if !O::IS_HOST {
        // SCTLR_EL1.M is 1: these are the registers of the host, whose MMU is on.
        let tcr = ctxt.get::<TCR_EL1>();
        ctxt.write_el1(tcr.with_epd1(true).with_epd0(true));
        isb();
    }

    ctxt.restore_el1::<CPACR_EL1>();
    ctxt.restore_el1::<TTBR0_EL1>();
    ctxt.restore_el1::<TTBR1_EL1>();
    if features.has_tcr2() {
        ctxt.restore_el1::<TCR2_EL1>();
        if features.has_s1pie() {
            ctxt.restore_el1::<PIR_EL1>();
            ctxt.restore_el1::<PIRE0_EL1>();
        }
        if features.has_s1poe() {
            ctxt.restore_el1::<POR_EL1>();
        }
    }
    let must_switch_exception_state = must_switch_exception_state(ctxt);
    if must_switch_exception_state {
        ctxt.restore_el1::<ESR_EL1>();
        ctxt.restore_el1::<AFSR0_EL1>();
        ctxt.restore_el1::<AFSR1_EL1>();
        ctxt.restore_el1::<FAR_EL1>();
    }
    ctxt.restore_el1::<MAIR_EL1>();
    ctxt.restore_el1::<VBAR_EL1>();
    ctxt.restore_el1::<CONTEXTIDR_EL1>();
    ctxt.restore_el1::<AMAIR_EL1>();
    ctxt.restore_el1::<CNTKCTL_EL1>();
    if must_switch_exception_state {
        ctxt.restore::<PAR_EL1>();
    }
    ctxt.restore::<TPIDR_EL1>();

    if features.has_mte() {
        ctxt.restore_el1::<TFSR_EL1>();
        if W::VHE || features.is_protected() {
            ctxt.restore_user::<TFSRE0_EL1>();
        }
    }

    if O::IS_HOST && forbids_walks() {
        // Stage 2 is off for the CPU from here on, so the host's stage 1 may come back.
        isb();
        ctxt.restore_el1::<SCTLR_EL1>();
        isb();
        ctxt.restore_el1::<TCR_EL1>();
    }

    ctxt.restore::<SP_EL1>();
    if must_switch_exception_state {
        ctxt.restore_el1::<ELR_EL1>();
        ctxt.restore_el1::<SPSR_EL1>();
    }

    if features.has_sctlr2() {
        ctxt.restore_el1::<SCTLR2_EL1>();
    }

    // Without NV3, the guest hypervisor's own page is where L2 looks.
    if ctxt.is_nested_nv3() {
        ctxt.restore::<NVHCR_EL2>();
    }
}

/// Saves what EL2 returns with, in the host's context or the guest's.
#[inline(always)]
pub(crate) fn save_el2_return_state<W: Hyp, O: Owner>(ctxt: &mut Context<'_, W, O>) {
    ctxt.save_pc();

    // A guest's was saved early in the exit, in any world. VHE has nothing to return to.
    if O::IS_HOST {
        ctxt.save_pstate();
    }

    if !cpucap::cpus_have_ras_extn() {
        return;
    }

    if !ctxt.vserror_state_is_nested() {
        ctxt.save_vdisr::<DISR_EL1>();
    } else if ctxt.features().has_ras() {
        ctxt.save_vdisr::<VDISR_EL2>();
    }
}

/// Sets what EL2 returns with.
#[inline(always)]
pub(crate) fn restore_el2_return_state<W: Hyp, O: Owner>(ctxt: &Context<'_, W, O>) {
    ctxt.set_return(SPSR_EL2::from(pstate::to_hw_pstate(ctxt.pstate().into())));

    if !cpucap::cpus_have_ras_extn() {
        return;
    }

    let vdisr = if !ctxt.vserror_state_is_nested() {
        ctxt.get::<DISR_EL1>().into()
    } else if ctxt.features().has_ras() {
        ctxt.get::<VDISR_EL2>().into()
    } else {
        0
    };
    ctxt.set_vdisr(vdisr);
}

/// Saves what a guest has in AArch32 state at EL1.
#[inline(always)]
pub(crate) fn save_32bit_state<W: Hyp>(ctxt: &mut Context<'_, W, Guest>) {
    if !ctxt.el1_is_32bit() {
        return;
    }

    ctxt.save_banked::<SPSR_abt>();
    ctxt.save_banked::<SPSR_und>();
    ctxt.save_banked::<SPSR_irq>();
    ctxt.save_banked::<SPSR_fiq>();

    ctxt.save::<DACR32_EL2>();
    ctxt.save::<IFSR32_EL2>();

    if W::VHE || ctxt.debug_regs_in_use() {
        ctxt.save::<DBGVCR32_EL2>();
    }
}

/// Restores what a guest has in AArch32 state at EL1.
#[inline(always)]
pub(crate) fn restore_32bit_state<W: Hyp>(ctxt: &Context<'_, W, Guest>) {
    if !ctxt.el1_is_32bit() {
        return;
    }

    ctxt.restore_banked::<SPSR_abt>();
    ctxt.restore_banked::<SPSR_und>();
    ctxt.restore_banked::<SPSR_irq>();
    ctxt.restore_banked::<SPSR_fiq>();

    ctxt.restore::<DACR32_EL2>();
    ctxt.restore::<IFSR32_EL2>();

    if W::VHE || ctxt.debug_regs_in_use() {
        ctxt.restore::<DBGVCR32_EL2>();
    }
}
