// SPDX-License-Identifier: GPL-2.0
//! The hosts that `make test` boots, as data.

use crate::contest::{self, Guests};
use crate::faults;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::hostile;
use crate::image::Programs;
use crate::kernel::Variant;
use crate::kselftests;
use crate::moves::Move;
use crate::plan::{Plan, Step};
use crate::prepare::Spec;
use crate::soak;
use crate::sve_abi;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// What a developer runs between edits.
    Quick,
    /// Everything that must pass.
    Normal,
    /// With what takes minutes under emulation.
    Full,
}

/// The CPUs next to max, each in the mode whose code it is there for: VHE
/// without SVE, VHE with SVE, nVHE with SVE, and a CPU that only has nVHE.
const OTHER_CPUS: [(Cpu, Mode); 4] = [
    (Cpu::NeoverseN1, Mode::Vhe),
    (Cpu::NeoverseV1, Mode::Vhe),
    (Cpu::NeoverseN2, Mode::Nvhe),
    (Cpu::CortexA57, Mode::Nvhe),
];

/// The kernel's selftests that sanitizer hosts run: those that go through the
/// FP, SVE and register code. A test takes five times as long there, and all of
/// them many hours.
const SANITIZED: [&str; 3] = [
    "kvm/arm64/host_sve",
    "kvm/arm64/set_id_regs",
    "kvm/get-reg-list",
];

/// Further ones at [`Level::Full`]: what leads to the register code on the way to
/// something else.
const SANITIZED_IN_FULL: [&str; 4] = [
    "kvm/arm64/external_aborts",
    "kvm/arm64/hidden_features",
    "kvm/arm64/psci_test",
    "kvm/arm64/vcpu_width_config",
];

/// How many times as long guests check their registers there: on a busy machine one
/// may not come to its first check in the usual time.
const SANITIZED_TIMES: u64 = 4;

/// Seconds that a step may take on a host with a mutant. With none, the longest takes
/// a third of that.
const MUTANT_LIMIT_S: u64 = 90;

/// All KUnit tests run at boot.
const KUNIT_AT_BOOT: &str = "kunit.enable=1 kunit.autorun=1";
/// They only run when asked for.
const KUNIT_ON_REQUEST: &str = "kunit.enable=1 kunit.autorun=0";

impl Level {
    /// The command that tests so much.
    pub fn command(self) -> &'static str {
        match self {
            Self::Quick => "make test-quick",
            Self::Normal => "make test",
            Self::Full => "make test-full",
        }
    }

    /// Whether what an earlier run has shown of the same inputs is recalled, and not shown again.
    pub fn recalls(self) -> bool {
        self != Self::Full
    }

    fn contest_seconds(self) -> u64 {
        match self {
            Self::Quick => 5,
            Self::Normal => 10,
            Self::Full => 60,
        }
    }
}

fn contests(mode: Mode, seconds: u64, allowance_s: u64) -> Vec<Step> {
    let mut steps = vec![contest::step(Guests::Ordinary, seconds, allowance_s)];
    if mode == Mode::Protected {
        steps.push(contest::step(Guests::Protected, seconds, allowance_s));
    }
    steps
}

/// Guests in AArch32 state, which not every CPU has at EL1.
fn aarch32() -> Step {
    Step::new("aarch32", &["/kvm-rust/bin/aarch32"], 240)
}

/// Guests that walk through all instructions that can trap. C hosts run them,
/// too: what the guests see there is what they must see with Rust.
fn syndromes(mode: Mode) -> Vec<Step> {
    let program = "/kvm-rust/bin/syndromes";
    let mut steps = vec![Step::new("syndromes", &[program], 150)];
    if mode == Mode::Protected {
        let argv = [program, "--protected"];
        steps.push(Step::new("syndromes-protected", &argv, 150));
    }
    steps
}

/// The same guest, from which userspace has taken LORegions. Once in each world
/// of the switch is enough.
fn loregions(mode: Mode, cpu: Cpu) -> Option<Step> {
    let argv = ["/kvm-rust/bin/syndromes", "--no-lor"];
    let here = cpu == Cpu::Max && WORLDS.contains(&mode);
    here.then(|| Step::new("loregions", &argv, 150))
}

/// All exits of selftests/bench, once: that it measures something, and all guests come to
/// their end. The figures of an emulated host are worth nothing, and nothing is compared. Once
/// in each world of the switch; nested is VHE.
fn bench(variant: Variant, mode: Mode, cpu: Cpu, full: bool) -> Option<Step> {
    let argv = ["/kvm-rust/bin/bench", "--rounds", "1", "--check"];
    let modes: &[Mode] = match (full, variant) {
        (true, _) => &SVE_MODES,
        (false, Variant::C) => &[],
        (false, _) => &WORLDS,
    };
    let here = cpu == Cpu::Max && modes.contains(&mode);
    here.then(|| Step::new("bench", &argv, 240))
}

/// Guests whose use of FP is known, and what is counted of it, in each mode of KVM. `traces`:
/// and traced, for which not every kernel has what it takes.
fn fp_counters(mode: Mode, traces: bool) -> Step {
    let mut argv = vec!["/kvm-rust/bin/fp-counters"];
    argv.extend((mode == Mode::Protected).then_some("--pkvm"));
    argv.extend(traces.then_some("--trace"));
    Step::new("fp-counters", &argv, 240)
}

/// A guest of QEMU, which an emulated host takes half a minute for: where the mode differs
/// from that of another CPU with QEMU's guest, and on the CPU that most servers have.
fn qemu_guest(mode: Mode, cpu: Cpu, seconds: u64, full: bool) -> Option<Step> {
    let here = match cpu {
        Cpu::Max => mode != Mode::Hvhe,
        Cpu::NeoverseN1 => true,
        _ => false,
    };
    (here || full).then(|| contest::step(Guests::Qemu, seconds, 240))
}

/// A guest that is a hypervisor. With C when there is time: nothing of it is compared.
fn nested_guest(variant: Variant, mode: Mode, cpu: Cpu, seconds: u64, full: bool) -> Option<Step> {
    let here = mode == Mode::Nested && cpu == Cpu::Max && (full || variant == Variant::Rust);
    here.then(|| contest::step(Guests::Nested, seconds, contest::NESTED_ALLOWANCE_S))
}

/// A guest of Debian's armhf: where guests can be in AArch32 state at EL1, and on max when
/// there is time.
fn armhf_guest(mode: Mode, cpu: Cpu, seconds: u64, full: bool) -> Option<Step> {
    let modes: &[Mode] = match (cpu, full) {
        (Cpu::CortexA57, _) => &[Mode::Nvhe],
        (Cpu::Max, true) => &WORLDS,
        _ => &[],
    };
    let here = modes.contains(&mode);
    here.then(|| contest::step(Guests::Armhf, seconds, 240))
}

/// A guest with a distribution's kernel and BusyBox: on the CPU that most servers have, and on
/// max when there is time.
fn busybox_guest(mode: Mode, cpu: Cpu, seconds: u64, full: bool) -> Option<Step> {
    let here = cpu == Cpu::NeoverseN1 || (full && cpu == Cpu::Max && WORLDS.contains(&mode));
    here.then(|| contest::step(Guests::Busybox, seconds, 240))
}

/// The tests of selftests/ themselves that need a host.
fn unit_tests(programs: &Programs) -> Result<Vec<Step>> {
    let step = |name: String| {
        let path = format!("/kvm-rust/tests/{name}");
        Step::new(format!("unit-tests/selftests/{name}"), &[&path], 120)
    };
    Ok(programs.unit_tests()?.into_iter().map(step).collect())
}

fn spec(variant: Variant, mode: Mode, cpu: Cpu, steps: Vec<Step>) -> Spec {
    Spec {
        variant,
        mode,
        cpu,
        vector_lengths: VectorLengths::All,
        // The kernel's selftests give a VM all addresses that there are. Of 52 bits,
        // KVM unmaps them in four million steps, which are four seconds for each VM.
        lpa2: false,
        parameters: KUNIT_AT_BOOT.to_owned(),
        plan: Plan::of(steps),
    }
}

/// Kernels that a level needs.
pub fn variants(level: Level) -> &'static [Variant] {
    match level {
        Level::Quick => &[Variant::Rust],
        Level::Normal => &[
            Variant::Rust,
            Variant::C,
            Variant::Faults,
            Variant::Sanitizer,
        ],
        Level::Full => &[
            Variant::Rust,
            Variant::C,
            Variant::Faults,
            Variant::Soak,
            Variant::Sanitizer,
        ],
    }
}

/// Modes in which a level compares the traces of C and Rust. That which takes longest comes
/// first, so that it is not left alone at the end.
pub fn traces(level: Level) -> &'static [Mode] {
    match level {
        Level::Quick => &[],
        Level::Normal | Level::Full => &[
            Mode::Protected,
            Mode::Vhe,
            Mode::Nvhe,
            Mode::Hvhe,
            Mode::Nested,
        ],
    }
}

/// How guests go from host to host. A migration takes six seconds, most of it to
/// start QEMU on an emulated host.
pub fn moves(level: Level) -> Vec<Move> {
    let (modes, count) = match level {
        Level::Quick => return Vec::new(),
        Level::Normal => (&[][..], 0),
        Level::Full => (&SVE_MODES[..], 20),
    };
    let migrations = modes.iter().map(|&mode| Move::Migration(mode, count));
    migrations
        .chain(SVE_MODES.into_iter().map(Move::Relay))
        .collect()
}

/// The number of hosts of a level.
pub fn count(level: Level) -> usize {
    let twins = 2 * (Mode::ALL.len() + OTHER_CPUS.len());
    match level {
        Level::Quick => 1,
        Level::Normal => twins + 4 + lengths_and_modes(false).len(),
        Level::Full => twins + 3 + 2 * Mode::ALL.len() + lengths_and_modes(true).len(),
    }
}

/// A host of the kernel that has faults on request: its KUnit tests run on
/// request as well, not while it boots.
fn with_faults(mode: Mode, steps: Vec<Step>) -> Spec {
    Spec {
        parameters: KUNIT_ON_REQUEST.to_owned(),
        ..spec(Variant::Faults, mode, Cpu::Max, steps)
    }
}

/// A host on which everything happens at once.
fn soaked(mode: Mode) -> Spec {
    let steps = vec![
        fp_counters(mode, true),
        soak::step(mode, soak::TEST_S, soak::TEST_SEED),
    ];
    Spec {
        parameters: soak::PARAMETERS.to_owned(),
        ..spec(Variant::Soak, mode, Cpu::Max, steps)
    }
}

/// A host with a mutant in its kernel: what notices most in little time.
pub fn mutant(programs: &Programs, mode: Mode) -> Result<Spec> {
    let mut steps = syndromes(mode);
    let selftests = kselftests::steps(programs, mode, Cpu::Max, false)?.into_iter();
    steps.extend(selftests.filter(|step| SANITIZED.contains(&step.name.as_str())));
    let lengths = VectorLengths::All;
    steps.extend(sve_abi::steps(Variant::Rust, mode, lengths, false));
    steps.extend(contests(mode, Level::Normal.contest_seconds(), 240));
    for step in &mut steps {
        // One that a mutant makes hang is not to be waited for that long.
        step.timeout_s = step.timeout_s.min(MUTANT_LIMIT_S);
    }
    Ok(spec(Variant::Rust, mode, Cpu::Max, steps))
}

/// A mode for each world of the switch.
const WORLDS: [Mode; 2] = [Mode::Vhe, Mode::Nvhe];

/// A host with another configuration: guests that check their registers, and what is counted
/// of them, and traced if the kernel `traces`. The calls of its functions are traced meanwhile if it
/// `traces_functions`.
pub fn configured(mode: Mode, traces: bool, traces_functions: bool) -> Spec {
    let mut steps = contests(mode, Level::Quick.contest_seconds(), 240);
    if traces_functions {
        for step in &mut steps {
            step.argv.push("--trace-functions".to_owned());
        }
    }
    steps.push(fp_counters(mode, traces));
    Spec {
        lpa2: true,
        ..spec(Variant::Rust, mode, Cpu::Max, steps)
    }
}

/// A host with the kernel of a step of the series: guests that check their registers. Its
/// kernel `has_driver`, or not, which uses NEON in softirqs.
pub fn of_series(variant: Variant, mode: Mode, has_driver: bool) -> Spec {
    let mut steps = contests(mode, Level::Quick.contest_seconds(), 240);
    if !has_driver {
        for step in &mut steps {
            step.argv.push("--no-neon".to_owned());
        }
    }
    spec(variant, mode, Cpu::Max, steps)
}

/// pKVM on a CPU without VHE. On max it runs with the E2H layout of the registers, as hVHE does.
fn pkvm_without_vhe(seconds: u64) -> Spec {
    let mode = Mode::Protected;
    let mut steps = contests(mode, seconds, 240);
    steps.extend(syndromes(mode));
    spec(Variant::Rust, mode, Cpu::CortexA57, steps)
}

/// The modes in which guests with SVE differ; nested is VHE.
const SVE_MODES: [Mode; 4] = [Mode::Vhe, Mode::Nvhe, Mode::Hvhe, Mode::Protected];

/// Other sets of vector lengths than all, each in each mode; or, unless `full`, in
/// one, the modes taking turns.
fn lengths_and_modes(full: bool) -> Vec<(VectorLengths, Mode)> {
    let sets = VectorLengths::OTHERS.into_iter().enumerate();
    sets.flat_map(|(number, lengths)| {
        let modes = match full {
            true => &SVE_MODES[..],
            false => &SVE_MODES[number % SVE_MODES.len()..][..1],
        };
        modes.iter().map(move |&mode| (lengths, mode))
    })
    .collect()
}

/// Hosts with other vector lengths than all.
fn with_vector_lengths(full: bool) -> Vec<Spec> {
    let host = |(vector_lengths, mode)| Spec {
        vector_lengths,
        lpa2: true,
        parameters: KUNIT_ON_REQUEST.to_owned(),
        ..spec(
            Variant::Rust,
            mode,
            Cpu::Max,
            sve_abi::steps(Variant::Rust, mode, vector_lengths, full),
        )
    };
    lengths_and_modes(full).into_iter().map(host).collect()
}

/// The hosts of a level. Those that take longest come first, so that none is
/// left alone at the end.
pub fn hosts(level: Level, programs: &Programs, checkout: &Path) -> Result<Vec<Spec>> {
    let seconds = level.contest_seconds();
    if level == Level::Quick {
        let steps = contests(Mode::Vhe, seconds, 120);
        return Ok(vec![spec(Variant::Rust, Mode::Vhe, Cpu::Max, steps)]);
    }
    let full = level == Level::Full;
    let mut hosts = Vec::new();
    for &mode in if full { &Mode::ALL[..] } else { &[Mode::Vhe] } {
        let mut steps = contests(mode, seconds * SANITIZED_TIMES, 600);
        for mut step in kselftests::steps(programs, mode, Cpu::Max, full)? {
            let name = step.name.as_str();
            if SANITIZED.contains(&name) || (full && SANITIZED_IN_FULL.contains(&name)) {
                step.timeout_s *= 5;
                steps.push(step);
            }
        }
        steps.extend(sve_abi::steps(
            Variant::Sanitizer,
            mode,
            VectorLengths::All,
            full,
        ));
        hosts.push(spec(Variant::Sanitizer, mode, Cpu::Max, steps));
    }
    let names = hostile::names(checkout)?;
    let steps = names.iter().map(|name| hostile::step(name)).collect();
    hosts.push(with_faults(Mode::Protected, steps));
    let max = Mode::ALL.iter().map(|&mode| (Cpu::Max, mode));
    for (cpu, mode) in max.chain(OTHER_CPUS) {
        for variant in [Variant::Rust, Variant::C] {
            // With C, it shows that the machine and the programs are good for what they are
            // to show of Rust.
            let seconds = match variant {
                Variant::C if !full => seconds / 2,
                _ => seconds,
            };
            let mut steps = contests(mode, seconds, 240);
            steps.extend(qemu_guest(mode, cpu, seconds, full));
            steps.extend(nested_guest(variant, mode, cpu, seconds, full));
            steps.extend(armhf_guest(mode, cpu, seconds, full));
            steps.extend(busybox_guest(mode, cpu, seconds, full));
            if cpu == Cpu::CortexA57 {
                steps.push(aarch32());
            }
            steps.extend(syndromes(mode));
            steps.extend(loregions(mode, cpu));
            steps.extend(bench(variant, mode, cpu, full));
            if variant == Variant::Rust && cpu == Cpu::Max {
                steps.push(fp_counters(mode, false));
            }
            if sve_abi::has_sve(cpu) {
                steps.extend(sve_abi::steps(variant, mode, VectorLengths::All, full));
            }
            steps.extend(kselftests::steps(programs, mode, cpu, full)?);
            // Once: they do not depend on how KVM runs, and max has most to test.
            if variant == Variant::Rust && cpu == Cpu::Max && mode == Mode::Vhe {
                steps.extend(unit_tests(programs)?);
            }
            hosts.push(spec(variant, mode, cpu, steps));
        }
    }
    hosts.push(pkvm_without_vhe(seconds));
    hosts.extend(with_vector_lengths(full));
    if full {
        hosts.extend(Mode::ALL.map(soaked));
    }
    let names = faults::names(checkout)?;
    let steps = names.iter().map(|name| faults::step(name)).collect();
    hosts.push(with_faults(Mode::Vhe, steps));
    for host in &mut hosts {
        host.lpa2 |= full;
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hosts of a level, as if no selftest of the kernel had been built.
    fn hosts_of(level: Level) -> Vec<Spec> {
        let dir = tempfile::tempdir().unwrap();
        let programs = Programs {
            ours: dir.path().into(),
            armhf: dir.path().into(),
            kernels: dir.path().into(),
            tests: None,
        };
        std::fs::create_dir(dir.path().join("kvm")).unwrap();
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        hosts(level, &programs, checkout).unwrap()
    }

    /// Those of them that have a contest with such guests.
    fn hosts_with(guests: Guests, level: Level) -> Vec<Spec> {
        let mut hosts = hosts_of(level);
        let is_theirs = |step: &Step| step.name == guests.step_name();
        hosts.retain(|host| host.plan.steps.iter().any(is_theirs));
        hosts
    }

    fn names(hosts: &[Spec]) -> Vec<String> {
        hosts.iter().map(Spec::name).collect()
    }

    #[test]
    fn every_host_can_be_booted() {
        for (cpu, mode) in OTHER_CPUS {
            cpu.check(mode).unwrap();
        }
    }

    #[test]
    fn each_mode_is_traced_once() {
        let sorted = |modes: &[Mode]| {
            let mut names: Vec<_> = modes.iter().map(|mode| mode.name()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(traces(Level::Normal)), sorted(&Mode::ALL));
    }

    #[test]
    fn announced_hosts_are_those_that_come() {
        for level in [Level::Quick, Level::Normal, Level::Full] {
            assert_eq!(hosts_of(level).len(), count(level), "{level:?}");
        }
    }

    #[test]
    fn c_and_rust_hosts_run_the_same_guests() {
        for host in hosts_of(Level::Normal) {
            let syndromes = |step: &&Step| step.name.starts_with("syndromes");
            let wanted = match (host.variant, host.mode) {
                _ if host.vector_lengths != VectorLengths::All => 0,
                (Variant::Sanitizer | Variant::Faults | Variant::Soak, _) => 0,
                (_, Mode::Protected) => 2,
                _ => 1,
            };
            let steps = host.plan.steps.iter().filter(syndromes).count();
            assert_eq!(steps, wanted, "{}", host.name());
        }
    }

    #[test]
    fn hosts_are_benched_in_each_world_and_c_hosts_in_each_mode_when_there_is_time() {
        let is_benched = |host: &Spec| host.plan.steps.iter().any(|step| step.name == "bench");
        for (level, rust, c) in [
            (Level::Normal, &WORLDS[..], &[][..]),
            (Level::Full, &SVE_MODES, &SVE_MODES),
        ] {
            let mut benched = hosts_of(level);
            benched.retain(is_benched);
            let of = |variant| {
                let hosts = benched.iter().filter(move |host| host.variant == variant);
                hosts.map(|host| host.mode).collect::<Vec<_>>()
            };
            assert_eq!(of(Variant::Rust), rust);
            assert_eq!(of(Variant::C), c);
            assert_eq!(benched.len(), rust.len() + c.len());
        }
    }

    #[test]
    fn addresses_of_52_bits_are_tested_with_each_mode() {
        let has = |level, mode| {
            let of_mode = hosts_of(level).into_iter().filter(|host| host.mode == mode);
            of_mode.map(|host| host.lpa2).collect::<Vec<_>>()
        };
        for mode in SVE_MODES {
            assert!(has(Level::Normal, mode).contains(&true), "{mode:?}");
        }
        for mode in Mode::ALL {
            assert!(!has(Level::Full, mode).contains(&false), "{mode:?}");
        }
    }

    #[test]
    fn qemu_has_a_guest_wherever_there_is_time() {
        let guests = |level| hosts_with(Guests::Qemu, level).len();
        assert_eq!(guests(Level::Normal), 2 * 5);
        assert_eq!(guests(Level::Full), 2 * 9);
    }

    #[test]
    fn a_guest_is_a_hypervisor_where_kvm_lets_it() {
        let hosts = |level| names(&hosts_with(Guests::Nested, level));
        assert_eq!(hosts(Level::Normal), ["rust-nested-max"]);
        assert_eq!(hosts(Level::Full), ["rust-nested-max", "c-nested-max"]);
    }

    #[test]
    fn armhf_guests_are_where_they_can_be() {
        let hosts = |level| {
            let hosts = hosts_with(Guests::Armhf, level);
            assert!(hosts.iter().all(|host| host.cpu.has_aarch32_guests()));
            hosts.len()
        };
        assert_eq!(hosts(Level::Normal), 2);
        assert_eq!(hosts(Level::Full), 2 * 3);
    }

    #[test]
    fn a_distributions_guest_is_on_c_and_rust_hosts() {
        let hosts = |level| names(&hosts_with(Guests::Busybox, level));
        let normal = ["rust-vhe-neoverse-n1", "c-vhe-neoverse-n1"];
        assert_eq!(hosts(Level::Normal), normal);
        assert_eq!(hosts(Level::Full).len(), 2 * 3);
    }

    #[test]
    fn every_mode_has_other_vector_lengths_and_each_set_its_mode() {
        let normal = lengths_and_modes(false);
        for mode in SVE_MODES {
            assert!(normal.iter().any(|(_, m)| *m == mode), "{mode:?}");
        }
        assert_eq!(normal.len(), VectorLengths::OTHERS.len());
        let full = lengths_and_modes(true);
        assert_eq!(full.len(), SVE_MODES.len() * VectorLengths::OTHERS.len());
        assert!(normal.iter().all(|host| full.contains(host)));
    }

    #[test]
    fn every_cpu_and_mode_is_tested() {
        for cpu in Cpu::ALL {
            assert!(
                cpu == Cpu::Max || OTHER_CPUS.iter().any(|(c, _)| *c == cpu),
                "{cpu:?}"
            );
        }
    }
}
