// SPDX-License-Identifier: GPL-2.0

//! What the world switch asks of a guest, worked out once: mostly, which registers it has.

use super::vm::Vm;
use core::ptr::NonNull;
use kernel::{
    arm64::{
        cpucap,
        registers::{
            ID_AA64MMFR3_EL1,
            ID_AA64PFR0_EL1,
            ID_AA64PFR2_EL1, //
        },
        world::World, //
    },
    bindings, //
};

/// What decides which registers are switched for a guest: what the CPUs have, and of that, what
/// userspace gave the VM.
///
/// None of it changes once a vCPU has run, so it is worked out once, not for each register: see
/// [`Features::of_loading`] and [`Features::of_running`].
#[derive(Clone, Copy)]
pub(crate) struct Features(u32);

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        impl Features {
            $(
                $(#[$doc])*
                // Not every world asks for each.
                #[allow(dead_code)]
                #[inline(always)]
                pub(crate) fn $name(self) -> bool {
                    self.0 & (1 << $bit) != 0
                }
            )*
        }

        /// Bits of [`Features`], by the name of the function that tests them.
        #[allow(non_upper_case_globals)]
        mod bit {
            /// Set where the features have been worked out.
            pub(super) const KNOWN: u32 = 1 << 0;
            /// Set where they cannot change any more: a vCPU of the VM has run.
            pub(super) const FINAL: u32 = 1 << 31;
            $(pub(super) const $name: u32 = 1 << $bit;)*
        }
    };
}

features! {
    /// `TCR2_EL1`.
    has_tcr2 = 1,
    /// `PIR_EL1` and `PIRE0_EL1`.
    has_s1pie = 2,
    /// `POR_EL1` and `POR_EL0`.
    has_s1poe = 3,
    /// `SCTLR2_EL1`.
    has_sctlr2 = 4,
    /// `TFSR_EL1` and `TFSRE0_EL1`.
    has_mte = 5,
    /// A `MIDR_EL1` that userspace may have changed.
    has_writable_imp_id_regs = 6,
    /// The RAS extension, for the `VDISR_EL2` and `VSESR_EL2` of L2.
    has_ras = 7,
    /// A virtual EL2. Never in the nVHE world, which does not run such guests.
    has_nv = 8,
    /// SVE: `ZCR_EL1`.
    has_sve = 9,
    /// `FPMR`.
    has_fpmr = 10,
    /// Not a register: the guest is one of pKVM's protected ones, whose registers the hypervisor
    /// switches all by itself.
    is_protected = 11,
    /// Not a register either: the interrupt controller is a GICv5, and not an older one.
    has_gicv5 = 12,
}

impl Features {
    /// Returns those of the guest that `vcpu` belongs to.
    ///
    /// # Safety
    ///
    /// `vcpu` must be a live vCPU that nobody else runs. They must have been worked out: when the
    /// vCPU was loaded, or, where EL2 has a vCPU of its own, by [`Features::of_running`].
    #[inline(always)]
    pub(super) unsafe fn of(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // SAFETY: A field of the vCPU, which by the safety requirement is this thread's.
        Self(unsafe { (&raw const (*vcpu.as_ptr()).arch.hyp_features).read() })
    }

    /// Returns those of the guest that `vcpu` belongs to, for a vCPU that is being loaded.
    ///
    /// That may be for something else than being run, and userspace still be about to change its ID
    /// registers. Until it cannot any more, they are worked out each time.
    ///
    /// # Safety
    ///
    /// `vcpu` must be a live vCPU that nobody else runs, at an address that is good in the world
    /// `W`.
    // Where the kernel is.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) unsafe fn of_loading<W: World>(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // SAFETY: By the safety requirement.
        let kept = unsafe { Self::of(vcpu) };
        if kept.0 & bit::FINAL != 0 {
            return kept;
        }
        // SAFETY: By the safety requirement.
        unsafe { Self::renew::<W>(vcpu) }
    }

    /// Returns those of the guest that `vcpu` belongs to, which has run or is about to. They are
    /// worked out when they are first asked for.
    ///
    /// # Safety
    ///
    /// As for [`Features::of_loading`].
    // Where EL2 has vCPUs of its own, which are not loaded.
    #[allow(dead_code)]
    #[inline(always)]
    pub(crate) unsafe fn of_running<W: World>(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // SAFETY: By the safety requirement.
        let kept = unsafe { Self::of(vcpu) };
        if kept.0 & bit::KNOWN != 0 {
            return kept;
        }
        // SAFETY: By the safety requirement.
        unsafe { Self::renew::<W>(vcpu) }
    }

    /// Works out those of the guest that `vcpu` belongs to, and keeps them with the vCPU.
    ///
    /// # Safety
    ///
    /// As for [`Features::of_loading`].
    #[inline(never)]
    unsafe fn renew<W: World>(vcpu: NonNull<bindings::kvm_vcpu>) -> Self {
        // SAFETY: By the safety requirement.
        let features = Self::work_out(unsafe { &Vm::<'_, W>::of(vcpu) });
        // SAFETY: A field of the vCPU, which by the safety requirement is this thread's.
        unsafe { (&raw mut (*vcpu.as_ptr()).arch.hyp_features).write(features.0) };
        features
    }

    fn work_out<W: World>(vm: &Vm<'_, W>) -> Self {
        let mmfr3 = vm.id_register::<ID_AA64MMFR3_EL1>();
        let pfr0 = vm.id_register::<ID_AA64PFR0_EL1>();
        let pfr2 = vm.id_register::<ID_AA64PFR2_EL1>();
        let has = [
            (bit::FINAL, vm.flag(bindings::KVM_ARCH_FLAG_HAS_RAN_ONCE)),
            (
                bit::has_tcr2,
                cpucap::cpus_have_tcr2() && mmfr3.tcrx().get() != 0,
            ),
            (
                bit::has_s1pie,
                cpucap::cpus_have_s1pie() && mmfr3.s1pie().get() != 0,
            ),
            (
                bit::has_s1poe,
                cpucap::system_supports_poe() && mmfr3.s1poe().get() != 0,
            ),
            (
                bit::has_sctlr2,
                cpucap::cpus_have_sctlr2() && mmfr3.sctlrx().get() != 0,
            ),
            (
                bit::has_mte,
                cpucap::system_supports_mte() && vm.flag(bindings::KVM_ARCH_FLAG_MTE_ENABLED),
            ),
            (
                bit::has_writable_imp_id_regs,
                vm.flag(bindings::KVM_ARCH_FLAG_WRITABLE_IMP_ID_REGS),
            ),
            (
                bit::has_ras,
                cpucap::cpus_have_ras_extn() && pfr0.ras().get() != 0,
            ),
            (
                bit::has_nv,
                W::VHE
                    && cpucap::cpus_have_nested_virt()
                    && vm.vcpu_feature(bindings::KVM_ARM_VCPU_HAS_EL2),
            ),
            (
                bit::has_sve,
                cpucap::system_supports_sve() && vm.flag(bindings::KVM_ARCH_FLAG_GUEST_HAS_SVE),
            ),
            (
                bit::has_fpmr,
                cpucap::system_supports_fpmr() && pfr2.fpmr().get() != 0,
            ),
            (bit::has_gicv5, vm.has_gicv5()),
            (
                bit::is_protected,
                !W::VHE && cpucap::is_protected_kvm_enabled() && vm.is_protected(),
            ),
        ];
        Self(
            has.iter()
                .filter(|(_, has)| *has)
                .fold(bit::KNOWN, |bits, (bit, _)| bits | bit),
        )
    }
}
