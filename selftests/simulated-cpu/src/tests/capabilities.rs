// SPDX-License-Identifier: GPL-2.0
//! Tests of capabilities.

use crate::arm64::cpucap::*;
use crate::{Cpu, Mode};

/// Each test and the capability that it asks for.
const TESTS: [(fn() -> bool, u32); 15] = [
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
