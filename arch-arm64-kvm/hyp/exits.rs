// SPDX-License-Identifier: GPL-2.0

//! What the hypervisor does about an exit by itself, without the kernel.
//!
//! Each world says which function handles which class of exceptions: see `vhe::exits` and
//! `nvhe::exits`. Those that both have are here. What most of them do is not inlined: most exits
//! need none, and the run loop would have to keep registers free for them.
//!
//! Context: EL2, all exceptions masked. The registers of EL1 in the CPU are the guest's.
//!
//! C header: [`hyp/switch.h`](srctree/arch/arm64/kvm/hyp/include/hyp/switch.h)

#![forbid(unsafe_code)]

pub(crate) mod memory;
pub(crate) mod mops;
pub(crate) mod skip;
pub(crate) mod sysreg;

use super::view::{
    exit,
    Class,
    Context,
    Guest, //
};
use kernel::{
    arm64::{
        barrier::{
            dmb,
            Sy, //
        },
        cpucap,
        world::Hyp, //
    },
    bindings, //
};

/// Why `__guest_enter()` returned, and whether an SError was pending then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExitCode(pub(crate) u64);

impl ExitCode {
    const SERROR_PENDING: u64 = 1 << bindings::ARM_EXIT_WITH_SERROR_BIT;
    /// An interrupt, or nothing of the guest's that the kernel has to see to.
    pub(crate) const IRQ: Self = Self(bindings::ARM_EXCEPTION_IRQ as u64);
    /// A virtual CPU that cannot go on: it is in an execution state that it must not be in.
    // Of Rust code, pKVM's alone says so; the vectors do in every mode (`el2_sync`).
    #[allow(dead_code)]
    pub(crate) const ILLEGAL: Self = Self(bindings::ARM_EXCEPTION_IL as u64);
    /// An SError of the guest.
    pub(crate) const SERROR: Self = Self(bindings::ARM_EXCEPTION_EL1_SERROR as u64);

    /// Returns whether it is `exception`, an SError or not.
    #[inline(always)]
    fn is(self, exception: u32) -> bool {
        self.0 & !Self::SERROR_PENDING == u64::from(exception)
    }

    #[inline(always)]
    fn has_serror(self) -> bool {
        self.0 & Self::SERROR_PENDING != 0
    }

    /// Returns whether the kernel may look at the guest's registers on account of it, or change
    /// them: it emulates a trap, and injects an SError.
    // pKVM's EL2 gives them to it then.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) fn is_about_registers(self) -> bool {
        self.has_serror()
            || self.is(bindings::ARM_EXCEPTION_TRAP)
            || self.is(bindings::ARM_EXCEPTION_EL1_SERROR)
    }

    /// Returns `other`, with the SError that is pending with this one.
    #[inline(always)]
    pub(crate) fn replaced_by(self, other: Self) -> Self {
        Self(self.0 & Self::SERROR_PENDING | other.0)
    }
}

/// Moves PSTATE of the guest to memory.
///
/// Erratum 2077057 of Cortex-A510: after a trapped instruction of pointer authentication that was
/// stepped over, the CPU may have a wrong one. It is not needed then, as PSTATE is as it was.
#[inline(always)]
pub(crate) fn synchronise_pstate<W: Hyp>(guest: &mut Context<'_, W, Guest>) {
    if cpucap::cpus_have_workaround_2077057()
        && guest.is_single_stepped()
        && skip::steps(guest.cpsr())
        && exit::syndrome::<W>().class() == Class::Pac
    {
        exit::set_pstate::<W>(guest.cpsr());
    }

    guest.set_cpsr(exit::pstate::<W>());
}

/// Handles an exit, if `handle` does. Returns whether to go back to the guest.
///
/// `handle` is called for a trap that nothing else came with.
#[inline(always)]
pub(crate) fn fixup_guest_exit<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    exit_code: &mut ExitCode,
    handle: impl FnOnce(&mut Context<'_, W, Guest>, &mut ExitCode) -> bool,
) -> bool {
    if !exit_code.is(bindings::ARM_EXCEPTION_IRQ) {
        let syndrome = exit::syndrome::<W>();
        guest.set_syndrome(syndrome);

        // The kernel injects the SError, and the guest comes back to the same instruction. HVC is
        // over when it is taken, so the PC has to go back; SMC is trapped, and it is there already.
        if exit_code.has_serror() && matches!(syndrome.class(), Class::Hvc32 | Class::Hvc64) {
            exit::set_pc::<W>(exit::pc::<W>().wrapping_sub(4));
        }
    }

    // The whole code: with an SError, the instruction traps again.
    if *exit_code != ExitCode(bindings::ARM_EXCEPTION_TRAP.into()) {
        return false;
    }

    if !handle(guest, exit_code) {
        return false;
    }

    if cpucap::cpus_have_workaround_1508412() {
        dmb::<Sy>();
    }
    true
}
