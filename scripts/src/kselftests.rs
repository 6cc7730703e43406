// SPDX-License-Identifier: GPL-2.0
//! The kernel's KVM selftests: which ones run when.

use crate::host::{Cpu, Mode};
use crate::image::Programs;
use crate::plan::Step;
use crate::sve_abi;
use anyhow::Result;

/// Programs that run only under `make test-full`, and why.
pub const FULL_ONLY: &[(&str, &str)] = &[
    (
        "kvm/access_tracking_perf_test",
        "measures, and takes minutes under emulation",
    ),
    (
        "kvm/arch_timer",
        "waits for real time, minutes under emulation",
    ),
    (
        "kvm/arm64/arch_timer_edge_cases",
        "waits for real time, minutes under emulation",
    ),
    ("kvm/arm64/page_fault_test", "takes minutes under emulation"),
    (
        "kvm/arm64/vgic_lpi_stress",
        "stress test of the vgic, minutes under emulation",
    ),
    ("kvm/demand_paging_test", "takes minutes under emulation"),
    (
        "kvm/dirty_log_perf_test",
        "measures, and takes minutes under emulation",
    ),
    ("kvm/dirty_log_test", "takes minutes under emulation"),
    (
        "kvm/irqfd_test",
        "binds 10,000 eventfds, a minute under emulation",
    ),
    ("kvm/kvm_page_table_test", "takes minutes under emulation"),
    (
        "kvm/memslot_modification_stress_test",
        "stress test of memory slots, minutes under emulation",
    ),
    (
        "kvm/memslot_perf_test",
        "measures, and takes minutes under emulation",
    ),
    (
        "kvm/mmu_stress_test",
        "stress test of the MMU, minutes under emulation",
    ),
    (
        "kvm/rseq_test",
        "moves a vCPU from CPU to CPU a hundred thousand times",
    ),
    (
        "kvm/set_memory_region_test",
        "makes as many memory slots as there can be, half a minute under emulation",
    ),
    (
        "kvm/steal_time",
        "asks for the CPUs of a thread that may have ended by then, and fails if it has",
    ),
];

/// Programs that take minutes in one mode only, and why.
pub const FULL_ONLY_IN: &[(Mode, &str, &str)] = &[
    (
        Mode::Protected,
        "kvm/arm64/debug-exceptions",
        "exits at each step, with all of the vCPU's state copied at EL2, a minute under emulation",
    ),
    (
        Mode::Protected,
        "kvm/arm64/vpmu_counter_access",
        "exits at each access, with all of the vCPU's state copied at EL2, minutes under emulation",
    ),
    (
        Mode::Nested,
        "kvm/arm64/debug-exceptions",
        "runs at virtual EL2 and traps there at each step, minutes under emulation",
    ),
    (
        Mode::Nested,
        "kvm/arm64/external_aborts",
        "runs at virtual EL2 and makes a VM for each test, most of a minute under emulation",
    ),
    (
        Mode::Nested,
        "kvm/arm64/smccc_filter",
        "runs at virtual EL2 and makes a VM for each filter, most of a minute under emulation",
    ),
    (
        Mode::Nested,
        "kvm/arm64/psci_test",
        "runs at virtual EL2 and puts its vCPUs on and off, a minute under emulation",
    ),
    (
        Mode::Nested,
        "kvm/get-reg-list",
        "reads all registers of vCPUs with all sets of features, a minute under emulation",
    ),
    (
        Mode::Nested,
        "kvm/arm64/vpmu_counter_access",
        "runs at virtual EL2, where each access traps, minutes under emulation",
    ),
];

/// Programs that run on one CPU only, and why. The others have them in `make test-full`.
pub const FULL_ONLY_ON_OTHERS: &[(&str, &str)] = &[
    (
        "kvm/arm64/vgic_irq",
        "tests the interrupt controller, which is the same with all CPUs",
    ),
    (
        "kvm/arm64/vgic_its_save",
        "tests tables of the ITS, which are the same with all CPUs",
    ),
    (
        "kvm/coalesced_io_test",
        "tests a ring in memory, which is the same with all CPUs",
    ),
    (
        "kvm/kvm_create_max_vcpus",
        "makes as many vCPUs as there can be, which is the same with all CPUs",
    ),
];

/// Programs that cannot pass on an emulated host, in one mode or in any, and
/// why. They run all the same: what C does, Rust must do.
const CANNOT_PASS: &[(Option<Mode>, &str, &str)] = &[
    (
        Some(Mode::Nested),
        "kvm/arm64/aarch32_id_regs",
        "finds AArch32 ID registers that it expects to be 0",
    ),
    (
        Some(Mode::Nested),
        "kvm/arm64/set_id_regs",
        "changes ID registers that depend on each other where there is EL2",
    ),
    (
        None,
        "kvm/arm64/sea_to_user",
        "needs huge pages of 1 GiB and firmware that injects memory errors",
    ),
    (
        Some(Mode::Protected),
        "kvm/arm64/vgic_init",
        "asks for more address space than pKVM gives a guest",
    ),
];

/// True for a program that is known to fail with C in this mode.
pub fn cannot_pass(mode: Mode, program: &str) -> bool {
    CANNOT_PASS
        .iter()
        .any(|(m, name, _)| *name == program && m.is_none_or(|m| m == mode))
}

/// Programs that take arguments for less of the same, except under
/// `make test-full`.
const SHORTER: &[(&str, &[&str])] = &[("kvm/arm64/debug-exceptions", &["-i", "500"])];

/// Behaviours (Documentation/behaviours.rst) that a program guards.
const GUARDS: &[(&str, &str)] = &[
    ("aarch32", "b24"),
    (sve_abi::BEHAVIOURS, "b31_b32_b33_b34"),
    (sve_abi::LENGTHS, "b14_b15_b33"),
    (sve_abi::FUZZ, "b31_b32_b33_b34"),
    ("syndromes", "b37"),
    ("syndromes-protected", "b37"),
    ("loregions", "b27"),
    ("fp-counters", "b26"),
    ("kvm/arm64/aarch32_id_regs", "b24"),
    ("kvm/arm64/hidden_features", "b12"),
    ("kvm/arm64/host_sve", "b15_b17"),
    ("kvm/get-reg-list", "b31_b34"),
    ("kvm/arm64/set_id_regs", "b12_b27"),
];

/// Time of a program before it is killed.
const LIMIT_S: u64 = 120;
const FULL_LIMIT_S: u64 = 1800;

/// Name of a program's test, with the behaviours it guards.
pub fn test_name(program: &str) -> String {
    match GUARDS.iter().find(|(name, _)| *name == program) {
        Some((_, guards)) => format!("{guards}:{program}"),
        None => program.to_owned(),
    }
}

/// A step for each program that runs in `mode` on `cpu` at this level; all of them if
/// `full`.
pub fn steps(programs: &Programs, mode: Mode, cpu: Cpu, full: bool) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let is_other = cpu != Cpu::Max;
    for name in programs.kvm_selftests()? {
        let slow = FULL_ONLY.iter().any(|(n, _)| *n == name)
            || FULL_ONLY_IN
                .iter()
                .any(|(m, n, _)| *m == mode && *n == name);
        let elsewhere = is_other && FULL_ONLY_ON_OTHERS.iter().any(|(n, _)| *n == name);
        if (slow || elsewhere) && !full {
            continue;
        }
        let path = format!("/kvm-rust/kselftest/{name}");
        let mut argv = vec![path.as_str()];
        if let Some((_, shorter)) = SHORTER.iter().find(|(n, _)| *n == name && !full) {
            argv.extend(*shorter);
        }
        steps.push(Step::new(
            &name,
            &argv,
            if slow { FULL_LIMIT_S } else { LIMIT_S },
        ));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviours;
    use crate::contest::Guests;
    use crate::hostile;
    use crate::matrix::{self, Level};
    use crate::moves::Move;
    use std::path::Path;

    #[test]
    fn behaviours_in_names_are_documented() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let behaviours = behaviours::read(&checkout.join(behaviours::PATH)).unwrap();
        let moves = matrix::moves(Level::Full).into_iter().map(Move::name);
        let names = (GUARDS.iter().map(|(name, _)| test_name(name)))
            .chain(Guests::ALL.map(|guests| guests.test_name().to_owned()))
            .chain(moves)
            .chain([sve_abi::ERRORS.to_owned()])
            .chain([format!("{}lie", hostile::PREFIX)]);
        for name in names {
            assert!(!behaviours::ids(&name).is_empty(), "{name}");
            behaviours::check_names(&behaviours, [name.as_str()]).unwrap();
        }
    }

    #[test]
    fn each_exception_has_a_reason() {
        let never = CANNOT_PASS.iter().map(|(_, name, reason)| (*name, *reason));
        let programs = FULL_ONLY.iter().chain(FULL_ONLY_ON_OTHERS).copied();
        for (name, reason) in programs.chain(never) {
            assert!(name.starts_with("kvm/") && reason.len() > 10, "{name}");
        }
        let vgic_init = |mode| cannot_pass(mode, "kvm/arm64/vgic_init");
        assert!(vgic_init(Mode::Protected) && !vgic_init(Mode::Vhe));
        assert!(cannot_pass(Mode::Vhe, "kvm/arm64/sea_to_user"));
        assert_eq!(test_name("kvm/get-reg-list"), "b31_b34:kvm/get-reg-list");
        assert_eq!(test_name("kvm/steal_time"), "kvm/steal_time");
    }
}
