// SPDX-License-Identifier: GPL-2.0
//! What the console log of a host says: kernel warnings, and results of the
//! KUnit tests that run at boot.

/// Texts in a kernel message that mean something is wrong.
const BAD: [&str; 31] = [
    "WARNING:",
    "BUG:",
    "kernel BUG",
    "Oops",
    "Internal error",
    "Kernel panic",
    "Unable to handle kernel",
    "Bad mode in",
    "nVHE hyp panic",
    "nVHE hyp BUG",
    "HYP panic",
    "KASAN:",
    "UBSAN:",
    "KFENCE:",
    "possible recursive locking",
    "possible circular locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "INFO: HARDIRQ-safe",
    "suspicious RCU",
    "DEBUG_LOCKS_WARN_ON",
    "sleeping function called",
    "scheduling while atomic",
    "INFO: task",
    "INFO: rcu",
    "rcu: INFO",
    "soft lockup",
    "refcount_t:",
    "Bad page state",
    "rust_kernel: panicked",
    "stack-protector:",
];

/// The text of a kernel message in a console line. A message can begin in the
/// middle of a line, where a program was writing one.
fn message(line: &str) -> Option<&str> {
    line.match_indices('[').find_map(|(at, _)| {
        let (stamp, rest) = line[at + 1..].split_once(']')?;
        let (seconds, fraction) = stamp.trim_start().split_once('.')?;
        let digits = |s: &str, n: usize| s.len() >= n && s.bytes().all(|b| b.is_ascii_digit());
        (digits(seconds, 1) && digits(fraction, 6)).then(|| rest.strip_prefix(' ').unwrap_or(rest))
    })
}

/// The kernel's messages in a console log, without what programs printed.
pub fn kernel_messages(console: &str) -> String {
    let mut messages = String::new();
    for line in console.lines().filter(|line| message(line).is_some()) {
        messages.push_str(line.trim_end());
        messages.push('\n');
    }
    messages
}

/// The kernel's warnings in a console log, each with what follows it.
pub fn warnings(console: &str) -> Vec<String> {
    console
        .lines()
        .filter(|line| message(line).is_some_and(|m| BAD.iter().any(|bad| m.contains(bad))))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Result of a KUnit test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// suite.case
    pub name: String,
    /// How it went.
    pub outcome: CaseOutcome,
}

/// How a KUnit test case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseOutcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was skipped, for this reason.
    Skipped(String),
}

/// The KUnit results in a console log (KTAP in kernel messages).
pub fn kunit(console: &str) -> Vec<Case> {
    const CASE_INDENT: usize = 4;
    let mut suite = String::new();
    let mut cases = Vec::new();
    for text in console.lines().filter_map(message) {
        let inner = text.trim_start();
        let indent = text.len() - inner.len();
        let inner = inner.trim_end();
        if let Some(name) = inner.strip_prefix("# Subtest: ") {
            // Parametrised cases are subtests, too, further in.
            if indent == CASE_INDENT {
                suite = name.to_owned();
            }
            continue;
        }
        if indent != CASE_INDENT {
            continue;
        }
        let (passed, rest) = match (inner.strip_prefix("ok "), inner.strip_prefix("not ok ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => continue,
        };
        let Some((number, rest)) = rest.split_once(' ') else {
            continue;
        };
        if number.parse::<u32>().is_err() {
            continue;
        }
        let (name, directive) = rest.split_once(" # ").unwrap_or((rest, ""));
        let outcome = match (passed, directive.strip_prefix("SKIP")) {
            (_, Some(reason)) => CaseOutcome::Skipped(reason.trim().to_owned()),
            (true, None) => CaseOutcome::Passed,
            (false, None) => CaseOutcome::Failed,
        };
        cases.push(Case {
            name: format!("{suite}.{}", name.trim_start_matches("- ")),
            outcome,
        });
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_the_kernels_only() {
        let log = "[    1.000000] Linux version 7.3\n\
                   [kvm/x] WARNING: this is a program\n\
                   [kvm/x] half a line[   12.345678] WARNING: CPU: 0 PID: 1 at x.c:1\r\n\
                   [   13.000001] ------------[ cut here ]------------\n\
                   [   14.000000][    T1] BUG: KASAN: slab-out-of-bounds in f\n\
                   [   15.000000] kasan: KernelAddressSanitizer initialized\n";
        let found = warnings(log);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("CPU: 0") && found[1].contains("slab-out"));
        let messages = kernel_messages(log);
        assert_eq!(messages.lines().count(), 5, "{messages}");
        assert!(!messages.contains("this is a program"));
    }

    #[test]
    fn every_kind_of_warning_is_seen() {
        for bad in BAD {
            assert_eq!(
                warnings(&format!("[    1.000000] {bad} x\n")).len(),
                1,
                "{bad}"
            );
        }
    }

    #[test]
    fn kunit_results() {
        let log = "[    0.400000] KTAP version 1\n[    0.400001] 1..2\n\
            [    0.400002]     KTAP version 1\n[    0.400003]     # Subtest: kvm_arm64_fp\n\
            [    0.400004]     1..3\n[    0.400005]     ok 1 put_saves\n\
            [    0.400006]     # owner: EXPECTATION FAILED at fp.rs:1\n[    0.400007]     not ok 2 owner\n\
            [    0.400008]         # Subtest: vls\n[    0.400009]         ok 1 vl=16\n\
            [    0.400010]     ok 3 sve # SKIP no SVE\n[    0.400011] # kvm_arm64_fp: pass:1 fail:1 skip:1 total:3\n\
            [    0.400012] not ok 1 kvm_arm64_fp\n";
        let cases = kunit(log);
        let names: Vec<_> = cases.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "kvm_arm64_fp.put_saves",
                "kvm_arm64_fp.owner",
                "kvm_arm64_fp.sve"
            ]
        );
        assert_eq!(cases[0].outcome, CaseOutcome::Passed);
        assert_eq!(cases[1].outcome, CaseOutcome::Failed);
        assert_eq!(cases[2].outcome, CaseOutcome::Skipped("no SVE".into()));
    }
}
