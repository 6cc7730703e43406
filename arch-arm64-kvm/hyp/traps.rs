// SPDX-License-Identifier: GPL-2.0

//! What a guest may not do by itself, set before it is entered and taken back after.
//!
//! When that is differs between the worlds: see `vhe::traps` and `nvhe::traps`.
//!
//! Context: EL2, interrupts disabled.
//!
//! C header: [`hyp/switch.h`](srctree/arch/arm64/kvm/hyp/include/hyp/switch.h)

#![forbid(unsafe_code)]

use super::view::{
    fine_grained_traps::{
        self,
        FineGrainedTrap, //
    },
    traps,
    Context,
    Guest,
    Host,
    HostData, //
};
use kernel::{
    arm64::{
        cpucap,
        registers::*,
        world::Hyp, //
    },
    bindings, //
};

/// Bits of `HCRX_EL2` that a guest hypervisor has no say in: how external aborts are routed,
/// whether walks may be less coherent, and registers that are the implementation's own.
const NV_HCRX_GUEST_EXCLUDE: u64 =
    HCRX_EL2::TMEA_MASK | HCRX_EL2::PTTWI_MASK | HCRX_EL2::ENIDCP128_MASK;

/// Sets the traps that do not act on EL2, so that they may stay while the kernel runs there.
#[inline(always)]
pub(crate) fn activate_common<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    host: &mut Context<'_, W, Host>,
    host_data: &mut HostData<'_, W>,
) {
    if !host_data.constants_are_saved() {
        save_constants(host, host_data);
    }

    traps::trap_implementation_defined_cp15();

    if cpucap::system_supports_pmuv3() {
        traps::trap_pmu_of_el0(guest, host);
    }

    if cpucap::cpus_have_hcx() {
        traps::write_hcrx(hcrx(guest));
    }

    for_fine_grained(host_data, Activate(guest));
    activate_mpam();
}

/// Takes back what [`activate_common`] has set.
#[inline(always)]
pub(crate) fn deactivate_common<W: Hyp>(
    guest: &mut Context<'_, W, Guest>,
    host: &Context<'_, W, Host>,
    host_data: &HostData<'_, W>,
) {
    traps::open_cp15();

    if cpucap::system_supports_pmuv3() {
        traps::restore_pmu_of_el0(guest, host);
    }

    if cpucap::cpus_have_hcx() {
        traps::restore_hcrx(host);
    }

    for_fine_grained(host_data, Deactivate(host));
    deactivate_mpam();
}

/// Returns `HCRX_EL2` for the guest: for L2, with what L1 has set and cleared, where L1 has a say.
#[inline(always)]
fn hcrx<W: Hyp>(guest: &Context<'_, W, Guest>) -> HCRX_EL2 {
    let own = guest.hcrx_el2();
    if !guest.is_nested_ctxt() {
        return own;
    }
    let set: u64 = guest.get_sanitised::<HCRX_EL2>().into();
    let own: u64 = own.into();
    HCRX_EL2::from((own & NV_HCRX_GUEST_EXCLUDE) | (set & !NV_HCRX_GUEST_EXCLUDE))
}

/// Saves what the host has in the registers of traps that nobody writes but this code, once a CPU
/// has come up: they are read when the first guest runs on the CPU, and not any more.
#[inline(never)]
fn save_constants<W: Hyp>(host: &mut Context<'_, W, Host>, host_data: &mut HostData<'_, W>) {
    host_data.set_has_amu(traps::cpu_has_amu());
    if cpucap::cpus_have_hcx() {
        traps::save_hcrx(host);
    }
    for_fine_grained(host_data, Save(host));
    host_data.set_constants_saved();
}

/// Something that is done with each register of fine-grained traps.
trait ForFineGrained {
    /// Does it.
    fn with<R: FineGrainedTrap>(&mut self);
}

/// Saves the host's.
struct Save<'a, 'b, W: Hyp>(&'a mut Context<'b, W, Host>);

impl<W: Hyp> ForFineGrained for Save<'_, '_, W> {
    #[inline(always)]
    fn with<R: FineGrainedTrap>(&mut self) {
        fine_grained_traps::save::<W, R>(self.0);
    }
}

/// Sets the guest's.
struct Activate<'a, 'b, W: Hyp>(&'a Context<'b, W, Guest>);

impl<W: Hyp> ForFineGrained for Activate<'_, '_, W> {
    #[inline(always)]
    fn with<R: FineGrainedTrap>(&mut self) {
        fine_grained_traps::activate::<W, R>(self.0);
    }
}

/// Restores the host's.
struct Deactivate<'a, 'b, W: Hyp>(&'a Context<'b, W, Host>);

impl<W: Hyp> ForFineGrained for Deactivate<'_, '_, W> {
    #[inline(always)]
    fn with<R: FineGrainedTrap>(&mut self) {
        fine_grained_traps::deactivate::<W, R>(self.0);
    }
}

/// Does something with each register of fine-grained traps that this CPU has.
#[inline(always)]
fn for_fine_grained<W: Hyp>(host_data: &HostData<'_, W>, mut what: impl ForFineGrained) {
    if cpucap::cpus_have_fgt() {
        what.with::<HFGRTR_EL2>();
        what.with::<HFGWTR_EL2>();
        what.with::<HFGITR_EL2>();
        what.with::<HDFGRTR_EL2>();
        what.with::<HDFGWTR_EL2>();

        if host_data.has_amu() {
            what.with::<HAFGRTR_EL2>();
        }

        if cpucap::cpus_have_fgt2() {
            what.with::<HFGRTR2_EL2>();
            what.with::<HFGWTR2_EL2>();
            what.with::<HFGITR2_EL2>();
            what.with::<HDFGRTR2_EL2>();
            what.with::<HDFGWTR2_EL2>();
        }
    }

    if cpucap::cpus_have_gicv5_cpuif() {
        what.with::<ICH_HFGRTR_EL2>();
        what.with::<ICH_HFGWTR_EL2>();
        what.with::<ICH_HFGITR_EL2>();
    }
}

/// Traps all of MPAM: KVM offers it to no guest.
#[inline(always)]
fn activate_mpam() {
    if !cpucap::system_supports_mpam() {
        return;
    }

    // MPAMIDR_EL1 has a trap in MPAMHCR_EL2, and where that register is missing, TIDR is one, from
    // version 1.1 of MPAM on. In version 1.0 the bit is ignored.
    let has_hcr = cpucap::system_supports_mpam_hcr();
    if has_hcr {
        traps::write_mpamhcr(MPAMHCR_EL2::from(0).with_trap_mpamidr_el1(true));
    }
    traps::change_mpam2(|value| {
        let value = value
            .with_enmpamsm(false)
            .with_trapmpam0el1(true)
            .with_trapmpam1el1(true);
        if has_hcr {
            value
        } else {
            value.with_tidr(true)
        }
    });
}

#[inline(always)]
fn deactivate_mpam() {
    if !cpucap::system_supports_mpam() {
        return;
    }

    traps::change_mpam2(|value| {
        value
            .with_trapmpam0el1(false)
            .with_trapmpam1el1(false)
            .with_tidr(false)
            .with_enmpamsm(true)
    });
    if cpucap::system_supports_mpam_hcr() {
        // The host uses nothing of it: MPAMHCR_HOST_FLAGS.
        traps::write_mpamhcr(MPAMHCR_EL2::from(0));
    }
}

/// Sets `HCR_EL2` for the guest to `hcr`, and what goes with a virtual SError that it makes
/// pending.
#[inline(always)]
pub(crate) fn activate_hcr<W: Hyp>(guest: &Context<'_, W, Guest>, hcr: HCR_EL2) {
    let hcr = if cpucap::cpus_have_workaround_cavium_tx2_219_tvm() {
        hcr.with_tvm(true)
    } else {
        hcr
    };
    traps::write_hcr(hcr);

    if !cpucap::cpus_have_ras_extn() || !bool::from(hcr.vse()) {
        return;
    }

    // While physical SErrors are taken to EL2, those that L1 gets and those that L1 gives to L2 can
    // never be pending for one and the same context: so it is either's syndrome.
    let vsesr = if !guest.vserror_state_is_nested() {
        guest.vsesr_el2()
    } else if guest.features().has_ras() {
        guest.get_sanitised::<VSESR_EL2>()
    } else {
        // The CPU reports a syndrome all the same. ISV says that it is the implementation's own.
        VSESR_EL2::from(1 << bindings::ESR_ELx_ISV_SHIFT)
    };
    traps::write_vsesr(vsesr);
}

/// Takes note of whether a virtual SError is still pending: the CPU clears `HCR_EL2.VSE` when the
/// guest takes it.
#[inline(always)]
pub(crate) fn deactivate_hcr<W: Hyp>(guest: &mut Context<'_, W, Guest>) {
    let hcr = guest.hcr_with_vserror();
    if hcr.vse().into() {
        guest.set_hcr_with_vserror(hcr.with_vse(traps::read_hcr().vse()));
    }
}
