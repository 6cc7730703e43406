// SPDX-License-Identifier: GPL-2.0

//! CPU capabilities, tested by instructions that are patched once at boot.
//!
//! A test costs one NOP or one branch. Each function here is the one that C has for the capability,
//! or `cpus_have_final_cap()` of it; but it does not check that the capabilities are known already.
//! Until they are, the answer is `false`. KVM starts later than that, and a check that can fail
//! would be a way to a panic at EL2.
//!
//! The layout is not C's everywhere. `cpus_have_final_cap()` is for CPUs that lack the capability:
//! on those that have it, a test is a branch there and another one back. What CPUs of servers have,
//! from Armv8.2 or 8.7 on, is laid out for those that have it.
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
    alternative_has_cap_likely::<{ bindings::ARM64_HAS_RAS_EXTN }>()
}

/// Returns whether all CPUs have FEAT_NV2p1, with which `CPACR_EL1` and `CNTKCTL_EL1` keep the bits
/// that a guest hypervisor with VHE has in them.
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

/// Returns whether the kernel runs at EL2: VHE.
#[inline(always)]
pub fn has_vhe() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_VIRT_HOST_EXTN }>()
}

/// Returns whether KVM at EL2 has `HCR_EL2.E2H` set although the kernel runs at EL1: hVHE.
#[inline(always)]
pub fn has_hvhe() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_KVM_HVHE }>()
}

/// Returns whether the kernel uses the PMU, of version 3 of its architecture.
#[inline(always)]
pub fn system_supports_pmuv3() -> bool {
    cfg!(CONFIG_HW_PERF_EVENTS) && alternative_has_cap_likely::<{ bindings::ARM64_HAS_PMUV3 }>()
}

/// Returns whether interrupts are masked by their priority: pseudo-NMIs.
#[inline(always)]
pub fn system_uses_irq_prio_masking() -> bool {
    cfg!(CONFIG_ARM64_PSEUDO_NMI)
        && alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_GIC_PRIO_MASKING }>()
}

/// Returns whether TLB entries may be common to CPUs.
#[inline(always)]
pub fn system_supports_cnp() -> bool {
    cfg!(CONFIG_ARM64_CNP) && alternative_has_cap_likely::<{ bindings::ARM64_HAS_CNP }>()
}

/// Returns whether all CPUs have `MPAMHCR_EL2`.
#[inline(always)]
pub fn system_supports_mpam_hcr() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_MPAM_HCR }>()
}

/// Returns whether all CPUs have `HCRX_EL2`.
#[inline(always)]
pub fn cpus_have_hcx() -> bool {
    alternative_has_cap_likely::<{ bindings::ARM64_HAS_HCX }>()
}

/// Returns whether all CPUs have fine-grained traps.
#[inline(always)]
pub fn cpus_have_fgt() -> bool {
    alternative_has_cap_likely::<{ bindings::ARM64_HAS_FGT }>()
}

/// Returns whether all CPUs have the second set of fine-grained traps.
#[inline(always)]
pub fn cpus_have_fgt2() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_FGT2 }>()
}

/// Returns whether all CPUs have the system registers of a GICv5.
#[inline(always)]
pub fn cpus_have_gicv5_cpuif() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_GICV5_CPUIF }>()
}

/// Returns whether all CPUs have FEAT_NV3.
#[inline(always)]
pub fn cpus_have_nv3() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_NV3 }>()
}

/// Returns whether all CPUs have `CNTPOFF_EL2`.
#[inline(always)]
pub fn cpus_have_ecv_cntpoff() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_HAS_ECV_CNTPOFF }>()
}

/// Returns whether the kernel is not mapped while userspace runs.
#[inline(always)]
pub fn arm64_kernel_unmapped_at_el0() -> bool {
    cfg!(CONFIG_UNMAP_KERNEL_AT_EL0)
        && alternative_has_cap_unlikely::<{ bindings::ARM64_UNMAP_KERNEL_AT_EL0 }>()
}

/// Returns whether a CPU may report a fault of stage 1 as one of stage 2.
#[inline(always)]
pub fn cpus_have_workaround_834220() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_834220 }>()
}

/// Returns whether a CPU may deadlock on loads near a read of `PAR_EL1`, or of the guest's memory.
#[inline(always)]
pub fn cpus_have_workaround_1508412() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_1508412 }>()
}

/// Returns whether a CPU may have a wrong `SPSR_EL2` after a trapped instruction of pointer
/// authentication that was single-stepped.
#[inline(always)]
pub fn cpus_have_workaround_2077057() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_2077057 }>()
}

/// Returns whether guests' writes to the registers of stage 1 have to trap.
#[inline(always)]
pub fn cpus_have_workaround_cavium_tx2_219_tvm() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_CAVIUM_TX2_219_TVM }>()
}

/// Returns whether guests must not set the bits of `TCR_EL1` for hardware management of Access flag
/// and dirty state.
#[inline(always)]
pub fn cpus_have_workaround_ampere_ac03_cpu_38() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_AMPERE_AC03_CPU_38 }>()
}

/// Returns whether a write to `HCR_EL2` needs a DSB in front of it and an ISB behind it.
#[inline(always)]
pub fn cpus_have_workaround_ampere_ac04_cpu_23() -> bool {
    cfg!(CONFIG_AMPERE_ERRATUM_AC04_CPU_23)
        && alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_AMPERE_AC04_CPU_23 }>()
}

/// Returns whether trapped accesses to the PMU come as an exception class of the implementation's
/// own.
#[inline(always)]
pub fn cpus_have_workaround_pmuv3_impdef_traps() -> bool {
    alternative_has_cap_unlikely::<{ bindings::ARM64_WORKAROUND_PMUV3_IMPDEF_TRAPS }>()
}
