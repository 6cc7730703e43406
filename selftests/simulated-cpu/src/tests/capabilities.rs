// SPDX-License-Identifier: GPL-2.0
//! Tests of capabilities.

use crate::arm64::cpucap::*;
use crate::{Cpu, Mode};

/// Each test and the capability that it asks for.
const TESTS: [(fn() -> bool, u32); 35] = [
    (system_supports_fpsimd, bindings::ARM64_HAS_FPSIMD),
    (system_supports_sve, bindings::ARM64_SVE),
    (system_supports_sme, bindings::ARM64_SME),
    (system_supports_poe, bindings::ARM64_HAS_S1POE),
    (system_supports_mpam, bindings::ARM64_MPAM),
    (system_supports_mte, bindings::ARM64_MTE),
    (system_supports_fpmr, bindings::ARM64_HAS_FPMR),
    (is_protected_kvm_enabled, bindings::ARM64_KVM_PROTECTED_MODE),
    (cpus_have_s1pie, bindings::ARM64_HAS_S1PIE),
    (cpus_have_tcr2, bindings::ARM64_HAS_TCR2),
    (cpus_have_sctlr2, bindings::ARM64_HAS_SCTLR2),
    (cpus_have_ras_extn, bindings::ARM64_HAS_RAS_EXTN),
    (cpus_have_nested_virt, bindings::ARM64_HAS_NESTED_VIRT),
    (cpus_have_nv2p1, bindings::ARM64_HAS_NV2P1),
    (
        cpus_have_workaround_speculative_at,
        bindings::ARM64_WORKAROUND_SPECULATIVE_AT,
    ),
    (has_vhe, bindings::ARM64_HAS_VIRT_HOST_EXTN),
    (has_hvhe, bindings::ARM64_KVM_HVHE),
    (system_supports_pmuv3, bindings::ARM64_HAS_PMUV3),
    (
        system_uses_irq_prio_masking,
        bindings::ARM64_HAS_GIC_PRIO_MASKING,
    ),
    (system_supports_cnp, bindings::ARM64_HAS_CNP),
    (system_supports_mpam_hcr, bindings::ARM64_MPAM_HCR),
    (cpus_have_hcx, bindings::ARM64_HAS_HCX),
    (cpus_have_fgt, bindings::ARM64_HAS_FGT),
    (cpus_have_fgt2, bindings::ARM64_HAS_FGT2),
    (cpus_have_gicv5_cpuif, bindings::ARM64_HAS_GICV5_CPUIF),
    (cpus_have_nv3, bindings::ARM64_HAS_NV3),
    (cpus_have_ecv_cntpoff, bindings::ARM64_HAS_ECV_CNTPOFF),
    (
        arm64_kernel_unmapped_at_el0,
        bindings::ARM64_UNMAP_KERNEL_AT_EL0,
    ),
    (
        cpus_have_workaround_834220,
        bindings::ARM64_WORKAROUND_834220,
    ),
    (
        cpus_have_workaround_1508412,
        bindings::ARM64_WORKAROUND_1508412,
    ),
    (
        cpus_have_workaround_2077057,
        bindings::ARM64_WORKAROUND_2077057,
    ),
    (
        cpus_have_workaround_cavium_tx2_219_tvm,
        bindings::ARM64_WORKAROUND_CAVIUM_TX2_219_TVM,
    ),
    (
        cpus_have_workaround_ampere_ac03_cpu_38,
        bindings::ARM64_WORKAROUND_AMPERE_AC03_CPU_38,
    ),
    (
        cpus_have_workaround_ampere_ac04_cpu_23,
        bindings::ARM64_WORKAROUND_AMPERE_AC04_CPU_23,
    ),
    (
        cpus_have_workaround_pmuv3_impdef_traps,
        bindings::ARM64_WORKAROUND_PMUV3_IMPDEF_TRAPS,
    ),
];

#[test]
fn each_test_asks_for_its_capability_alone() {
    for (_, present) in TESTS {
        let mut cpu = Cpu::new(Mode::Nvhe);
        cpu.add_capability(present);
        let (cpu, ()) = cpu.run(|| {
            for (test, asked) in TESTS {
                assert_eq!(test(), asked == present, "{asked} on a CPU with {present}");
            }
        });
        assert!(cpu.trace().is_empty());
    }
}

#[test]
fn nothing_is_there_before_it_is_known() {
    let _ = Cpu::before_capabilities_are_known().run(|| {
        for (test, asked) in TESTS {
            assert!(!test(), "{asked}");
        }
    });
}
