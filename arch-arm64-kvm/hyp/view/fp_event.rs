// SPDX-License-Identifier: GPL-2.0

//! What becomes of the FP registers while a vCPU is loaded, counted for each vCPU.
//!
//! The counts are among KVM's binary statistics (`KVM_GET_STATS_FD` of a vCPU), and in debugfs,
//! where those of a VM are the sums of its vCPUs'. They say whether leaving the registers where
//! they are pays: how often the host's state stayed, how often a guest had its own there, and who
//! took them from it.

use core::ptr::NonNull;
use kernel::bindings;

/// Something that happens to the FP registers.
// EL2 without VHE sees but one of them.
#[allow(dead_code)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum FpEvent {
    /// A vCPU was loaded, and the state of its thread stayed in the registers: `fp_host_kept`.
    HostKept = 0,
    /// A vCPU was loaded, and the state of its thread did not stay, or it was saved for the guest's
    /// first use: `fp_host_saved`. At a load it may have been saved before, by who took the
    /// registers.
    HostSaved = 1,
    /// The guest's state was loaded, at its first use: `fp_guest_loaded`. Those of pKVM's guests
    /// the host does not get to know.
    GuestLoaded = 2,
    /// The kernel took the registers between two entries, after it saved the guest's state:
    /// `fp_guest_taken`.
    GuestTaken = 3,
    /// The vCPU was put while the registers were the guest's: `fp_guest_put`. If the kernel has
    /// taken them since the last exit, the state had been saved before.
    GuestPut = 4,
}

/// Counts an event of `vcpu`.
///
/// # Safety
///
/// `vcpu` must be a live vCPU, and the caller the only one that counts for it.
#[inline(always)]
pub(crate) unsafe fn count(vcpu: NonNull<bindings::kvm_vcpu>, event: FpEvent) {
    // SAFETY: Fields of the vCPU, by the safety requirement. Who reads them without a lock finds
    // the count before or after; one that is cleared in debugfs meanwhile may not be.
    unsafe {
        let stat = &raw mut (*vcpu.as_ptr()).stat;
        let counter = match event {
            FpEvent::HostKept => &raw mut (*stat).fp_host_kept,
            FpEvent::HostSaved => &raw mut (*stat).fp_host_saved,
            FpEvent::GuestLoaded => &raw mut (*stat).fp_guest_loaded,
            FpEvent::GuestTaken => &raw mut (*stat).fp_guest_taken,
            FpEvent::GuestPut => &raw mut (*stat).fp_guest_put,
        };
        counter.write_volatile(counter.read_volatile().wrapping_add(1));
    }
}
