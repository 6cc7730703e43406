// SPDX-License-Identifier: GPL-2.0
//! Tests of capabilities.

use super::panic_of;
use crate::arm64::cpucap::*;
use crate::{Cpu, Mode};

/// Each test and the capability that it asks for.
const TESTS: [(fn() -> bool, u32); 11] = [
    (system_supports_fpsimd, bindings::ARM64_HAS_FPSIMD),
    (system_supports_sve, bindings::ARM64_SVE),
    (system_supports_sme, bindings::ARM64_SME),
    (system_supports_poe, bindings::ARM64_HAS_S1POE),
    (system_supports_mpam, bindings::ARM64_MPAM),
    (cpus_have_s1pie, bindings::ARM64_HAS_S1PIE),
    (cpus_have_tcr2, bindings::ARM64_HAS_TCR2),
    (cpus_have_sctlr2, bindings::ARM64_HAS_SCTLR2),
    (cpus_have_ras_extn, bindings::ARM64_HAS_RAS_EXTN),
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
fn a_final_capability_is_not_guessed() {
    let message = panic_of(|| Cpu::before_capabilities_are_known().run(cpus_have_tcr2));
    assert_eq!(message, "BUG");
    // This one may be asked for at any time, as in C.
    let (_, mpam) = Cpu::before_capabilities_are_known().run(system_supports_mpam);
    assert!(!mpam);
}
