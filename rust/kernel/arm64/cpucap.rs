// SPDX-License-Identifier: GPL-2.0

//! CPU capabilities, tested by instructions that are patched once at boot.
//!
//! A test costs one NOP or one branch. Each function here is the one that C has for the capability,
//! or `cpus_have_final_cap()` of it, and is laid out in the same way; but it does not check that the
//! capabilities are known already. Until they are, the answer is `false`. KVM starts later than
//! that, and a check that can fail would be a way to a panic at EL2.
//!
//! C headers: [`arch/arm64/include/asm/cpufeature.h`](srctree/arch/arm64/include/asm/cpufeature.h),
//! [`arch/arm64/include/asm/cpucaps.h`](srctree/arch/arm64/include/asm/cpucaps.h)

use super::instruction::{
    alternative_has_cap_likely,
    alternative_has_cap_unlikely, //
};

/// Returns whether all CPUs have FP and Advanced SIMD.
#[inline(always)]
pub fn system_supports_fpsimd() -> bool {
    alternative_has_cap_likely::<{ bindings::ARM64_HAS_FPSIMD }>()
}

/// Returns whether the system offers SVE: `CONFIG_ARM64_SVE` is set and all CPUs have it.
#[inline(always)]
pub fn system_supports_sve() -> bool {
    cfg!(CONFIG_ARM64_SVE) && alternative_has_cap_unlikely::<{ bindings::ARM64_SVE }>()
}

/// Returns whether the system offers SME: `CONFIG_ARM64_SME` is set and all CPUs have it.
#[inline(always)]
pub fn system_supports_sme() -> bool {
    cfg!(CONFIG_ARM64_SME) && alternative_has_cap_unlikely::<{ bindings::ARM64_SME }>()
}

/// Returns whether all CPUs have `FPMR`.
#[inline(always)]
pub fn system_supports_fpmr() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_FPMR }>()
}

/// Returns whether the hypervisor protects itself, and guests, from the host: pKVM.
#[inline(always)]
pub fn is_protected_kvm_enabled() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_KVM_PROTECTED_MODE }>()
}

/// Returns whether the system offers stage 1 permission overlays: `CONFIG_ARM64_POE` is set and all
/// CPUs have them.
#[inline(always)]
pub fn system_supports_poe() -> bool {
    cfg!(CONFIG_ARM64_POE) && alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_S1POE }>()
}

/// Returns whether the system offers memory tagging: `CONFIG_ARM64_MTE` is set and all CPUs have
/// it.
#[inline(always)]
pub fn system_supports_mte() -> bool {
    cfg!(CONFIG_ARM64_MTE) && alternative_has_cap_unlikely::<{ bindings::ARM64_MTE }>()
}

/// Returns whether all CPUs have MPAM, whether the kernel is configured to use it or not.
#[inline(always)]
pub fn system_supports_mpam() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_MPAM }>()
}

/// Returns whether all CPUs have stage 1 permission indirection: `PIR_EL1` and `PIRE0_EL1`.
#[inline(always)]
pub fn cpus_have_s1pie() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_S1PIE }>()
}

/// Returns whether all CPUs have `TCR2_EL1`.
#[inline(always)]
pub fn cpus_have_tcr2() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_TCR2 }>()
}

/// Returns whether all CPUs have `SCTLR2_EL1`.
#[inline(always)]
pub fn cpus_have_sctlr2() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_SCTLR2 }>()
}

/// Returns whether all CPUs have the RAS extension: `DISR_EL1` and `VDISR_EL2`.
#[inline(always)]
pub fn cpus_have_ras_extn() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_RAS_EXTN }>()
}

/// Returns whether all CPUs have FEAT_NV2p1, with which a guest hypervisor's accesses to
/// `CPACR_EL1` and `CNTKCTL_EL1` reach the registers.
#[inline(always)]
pub fn cpus_have_nv2p1() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_NV2P1 }>()
}

/// Returns whether KVM offers guests a virtual EL2.
#[inline(always)]
pub fn cpus_have_nested_virt() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_NESTED_VIRT }>()
}

/// Returns whether a CPU may walk the guest's tables speculatively, for an AT instruction or
/// otherwise, while they are being switched.
#[inline(always)]
pub fn cpus_have_workaround_speculative_at() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_SPECULATIVE_AT }>()
}
