// SPDX-License-Identifier: GPL-2.0

//! Stage 2 of the translation: which tables the CPU uses for a guest.
//!
//! C header: [`arch/arm64/include/asm/kvm_mmu.h`](srctree/arch/arm64/include/asm/kvm_mmu.h)

use super::{
    Context,
    Guest, //
};
use kernel::{
    arm64::{
        barrier::isb,
        cpucap,
        registers::{
            VTCR_EL2,
            VTTBR_EL2, //
        },
        sysreg,
        world::Hyp, //
    },
    bindings, //
};

/// Entries in the TLB may be used by other CPUs, whose tables for the guest are the same.
const CNP: u64 = 1;
/// Where the VMID is in `VTTBR_EL2`.
const VMID_SHIFT: u32 = 48;

/// Puts the tables at `mmu` into the CPU.
///
/// Errata 1165522 of Cortex-A76 and 1530923 of Cortex-A55: the writes have to be complete before
/// the translation regime of the guest is entered.
///
/// # Safety
///
/// `mmu` must be a live one, with a VMID that is up to date. Preemption must be disabled.
#[inline(always)]
pub(crate) unsafe fn load(mmu: *const bindings::kvm_s2_mmu) {
    // SAFETY: By the safety requirements. The number of bits is constant since boot.
    unsafe {
        let vmid_bits = (&raw const bindings::kvm_arm_vmid_bits).read();
        let vmid_mask = 1u64.wrapping_shl(vmid_bits).wrapping_sub(1);
        // Volatile: another CPU may give out new VMIDs.
        let vmid = (&raw const (*mmu).vmid.id.counter).read_volatile() as u64 & vmid_mask;
        let tables = physical_to_ttbr((&raw const (*mmu).pgd_phys).read());
        let cnp = if cpucap::system_supports_cnp() {
            CNP
        } else {
            0
        };
        sysreg::write(VTCR_EL2::from((&raw const (*mmu).vtcr).read()));
        sysreg::write(VTTBR_EL2::from(tables | (vmid << VMID_SHIFT) | cnp));
    }
    if cpucap::cpus_have_workaround_speculative_at() {
        isb();
    }
}

/// Takes all tables out of the CPU, which is for where stage 2 is off for the host.
// Where the kernel runs at EL1.
#[allow(dead_code)]
#[inline(always)]
pub(crate) fn unload() {
    // SAFETY: EL2 may write it, and does not use it itself.
    unsafe { sysreg::write_zero::<VTTBR_EL2>() }
}

/// Returns `address` as registers for tables have it: of 52 bits, the upper four are in bits 5 to
/// 2.
#[inline(always)]
fn physical_to_ttbr(address: u64) -> u64 {
    if cfg!(CONFIG_ARM64_PA_BITS_52) {
        (address | (address >> 46)) & 0x0000_ffff_ffff_fffc
    } else {
        address
    }
}

impl<W: Hyp> Context<'_, W, Guest> {
    /// Puts the tables that the guest is to run with into the CPU.
    ///
    /// At EL2. Preemption must be disabled. An interrupt that comes in between finds half of it,
    /// which is nothing to it: under VHE the host has TGE set, and EL2 without VHE takes none.
    #[inline(always)]
    pub(crate) fn load_stage2(&self) {
        // SAFETY: A field of the vCPU, by the type invariant; `vcpu_load()` or the run loop has
        // seen to the VMID.
        unsafe {
            let mmu = (&raw const (*self.vcpu.as_ptr()).arch.hw_mmu).read();
            load(W::kern_hyp_va(mmu));
        }
    }
}
