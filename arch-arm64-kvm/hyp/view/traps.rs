// SPDX-License-Identifier: GPL-2.0

//! The registers of EL2 that say what a guest may not do by itself.

use super::{
    context::{
        context_registers,
        ContextRegister, //
    },
    Context,
    Guest,
    Host,
    HostData, //
};
use kernel::{
    arm64::{
        barrier::{
            dsb,
            isb,
            Nsh, //
        },
        cpucap,
        registers::*,
        sysreg,
        world::Hyp, //
    },
    bindings, //
};

context_registers! { HCRX_EL2 HCR_EL2 PMUSERENR_EL0 VNCR_EL2 VSESR_EL2 }

/// Sets `HCR_EL2` to a value for guests or for the host, which must leave E2H as it is.
///
/// On AmpereOne, erratum AC04_CPU_23, translations must not be under way, and the write needs an
/// ISB.
#[inline(always)]
pub(crate) fn write_hcr(value: HCR_EL2) {
    if cpucap::cpus_have_workaround_ampere_ac04_cpu_23() {
        dsb::<Nsh>();
        // SAFETY: As below.
        unsafe { sysreg::write(value) };
        isb();
    } else {
        // SAFETY: EL2 may write it. What it is made of comes from the kernel's own constants, from
        // the vCPU, which the kernel sets up (under pKVM: EL2 itself), and from a guest hypervisor
        // through a mask without E2H. TGE, which changes between host and guest under VHE, decides
        // about EL0 and EL1, which do not run now.
        unsafe { sysreg::write(value) };
    }
}

/// Returns `HCR_EL2`.
#[inline(always)]
pub(crate) fn read_hcr() -> HCR_EL2 {
    // SAFETY: EL2 may read it.
    unsafe { sysreg::read() }
}

/// Sets the syndrome that the guest gets with a virtual SError.
///
/// Only where the CPUs have the RAS extension.
#[inline(always)]
pub(crate) fn write_vsesr(value: VSESR_EL2) {
    // SAFETY: EL2 may write it, with an effect on EL1 only.
    unsafe { sysreg::write(value) }
}

/// Traps accesses to CP15 by registers with `CRn` 15, which are the implementation's own.
#[inline(always)]
pub(crate) fn trap_implementation_defined_cp15() {
    const T15: u64 = 1 << 15;
    // SAFETY: EL2 may write it, with an effect on AArch32 state only.
    unsafe { sysreg::write(HSTR_EL2::from(T15)) }
}

/// Undoes [`trap_implementation_defined_cp15`].
#[inline(always)]
pub(crate) fn open_cp15() {
    // SAFETY: EL2 may write it, with an effect on AArch32 state only.
    unsafe { sysreg::write_zero::<HSTR_EL2>() }
}

/// Saves what the host lets EL0 do with the PMU, and has accesses of the guest's EL0 trap to EL2.
///
/// Only where the kernel uses the PMU. Interrupts must be disabled.
#[inline(always)]
pub(crate) fn trap_pmu_of_el0<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    host: &mut Context<'_, W, Host>,
) {
    // SAFETY: EL2 may access these, with an effect on EL0 only. With the cycle counter selected, an
    // access to PMXEVCNTR_EL0 could be undefined to EL1 instead of trapping to EL2.
    unsafe {
        sysreg::write_zero::<PMSELR_EL0>();
        host.set(sysreg::read::<PMUSERENR_EL0>());
        sysreg::write(PMUSERENR_EL0::from(u64::from(
            bindings::ARMV8_PMU_USERENR_MASK,
        )));
    }
    guest.set_pmuserenr_on_cpu(true);
}

/// Restores what the host lets EL0 do with the PMU. As for [`trap_pmu_of_el0`].
#[inline(always)]
pub(crate) fn restore_pmu_of_el0<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    host: &Context<'_, W, Host>,
) {
    // SAFETY: EL2 may write it, with an effect on EL0 only.
    unsafe { sysreg::write(host.get::<PMUSERENR_EL0>()) };
    guest.set_pmuserenr_on_cpu(false);
}

/// Saves the host's `HCRX_EL2`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn save_hcrx<W: Hyp>(host: &mut Context<'_, W, Host>) {
    // SAFETY: EL2 may read it.
    host.set(unsafe { sysreg::read::<HCRX_EL2>() });
}

/// Sets `HCRX_EL2`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn write_hcrx(value: HCRX_EL2) {
    // SAFETY: EL2 may write it, with an effect on EL1 and EL0 only.
    unsafe { sysreg::write(value) }
}

/// Restores the host's `HCRX_EL2`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn restore_hcrx<W: Hyp>(host: &Context<'_, W, Host>) {
    // SAFETY: EL2 may write it, with an effect on EL1 and EL0 only.
    unsafe { sysreg::write(host.get::<HCRX_EL2>()) }
}

/// Changes `MPAM2_EL2` by `change`, if that changes it.
///
/// Only where the CPUs have MPAM.
#[inline(always)]
pub(crate) fn change_mpam2(change: impl FnOnce(MPAM2_EL2) -> MPAM2_EL2) {
    // SAFETY: EL2 may access it. Only its traps change, which are of lower levels.
    unsafe {
        let old: u64 = sysreg::read::<MPAM2_EL2>().into();
        let new: u64 = change(MPAM2_EL2::from(old)).into();
        if new != old {
            sysreg::write(MPAM2_EL2::from(new));
        }
    }
}

/// Sets `MPAMHCR_EL2`.
///
/// Only where the CPUs have it.
#[inline(always)]
pub(crate) fn write_mpamhcr(value: MPAMHCR_EL2) {
    // SAFETY: EL2 may write it. Only its trap is used, which is of lower levels.
    unsafe { sysreg::write(value) }
}

/// Returns whether this CPU has activity monitors.
#[inline(always)]
pub(crate) fn cpu_has_amu() -> bool {
    // SAFETY: EL2 may read it.
    unsafe { sysreg::read::<ID_AA64PFR0_EL1>() }.amu().get() != 0
}

/// Sets where exceptions that are taken to EL2 go, by the name of this world.
///
/// # Safety
///
/// Vectors for what runs from here on must be at `vectors`.
#[inline(always)]
pub(crate) unsafe fn write_vbar<W: Hyp>(vectors: u64) {
    // SAFETY: By the safety requirement.
    unsafe {
        if W::VHE {
            W::write_el2(VBAR_EL2::from(vectors));
        } else {
            sysreg::write(VBAR_EL2::from(vectors));
        }
    }
}

impl<W: Hyp> HostData<'_, W> {
    /// Returns whether the host's values of registers that never change on this CPU have been
    /// saved.
    #[inline(always)]
    pub(crate) fn constants_are_saved(&self) -> bool {
        self.flag(bindings::KVM_HOST_DATA_FLAG_CONSTANTS_SAVED)
    }

    /// Notes that they have been.
    #[inline(always)]
    pub(crate) fn set_constants_saved(&mut self) {
        self.set_flag(bindings::KVM_HOST_DATA_FLAG_CONSTANTS_SAVED, true);
    }

    /// Returns whether this CPU has activity monitors, once that has been noted.
    #[inline(always)]
    pub(crate) fn has_amu(&self) -> bool {
        self.flag(bindings::KVM_HOST_DATA_FLAG_HAS_AMU)
    }

    /// Notes whether this CPU has activity monitors.
    #[inline(always)]
    pub(crate) fn set_has_amu(&mut self, has: bool) {
        self.set_flag(bindings::KVM_HOST_DATA_FLAG_HAS_AMU, has);
    }
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Returns where the value of `HCR_EL2` with a pending virtual SError is: with L2, where an
    /// SError that L1 has injected is L1's.
    #[inline(always)]
    pub(crate) fn hcr_with_vserror(&self) -> HCR_EL2 {
        if self.vserror_state_is_nested() {
            self.get::<HCR_EL2>()
        } else {
            self.hcr_el2()
        }
    }

    /// Sets it.
    #[inline(always)]
    pub(crate) fn set_hcr_with_vserror(&mut self, value: HCR_EL2) {
        if self.vserror_state_is_nested() {
            self.set(value);
        } else {
            self.set_hcr_el2(value);
        }
    }
}
