// SPDX-License-Identifier: GPL-2.0
//! What hosts came to, a row each.

use crate::contest::Report;
use crate::host::Mode;
use crate::kernel::Variant;
use crate::plan::Verdict;
use crate::prepare::Spec;
use crate::table;
use serde::{Deserialize, Serialize};

/// How many passed, of how many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Those that passed.
    pub passed: usize,
    /// All but those that were skipped.
    pub total: usize,
}

impl Tally {
    /// Counts a test.
    pub fn add(&mut self, verdict: &Verdict) {
        // What a host cannot do is not part of the total.
        if !matches!(verdict, Verdict::Skipped(_)) {
            self.total += 1;
            self.passed += usize::from(*verdict == Verdict::Passed);
        }
    }

    /// Both numbers, if there are any.
    pub fn text(&self) -> String {
        match self.total {
            0 => "-".to_owned(),
            total => format!("{}/{total}", self.passed),
        }
    }
}

/// Checks of FP registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contests {
    /// All that were made.
    pub checks: u64,
    /// Those that found something else.
    pub corruptions: u64,
}

impl Contests {
    /// Those of `reports`; `None` where there was no contest.
    pub fn of(reports: &[Report]) -> Option<Self> {
        let sum = |f: fn(&Report) -> u64| reports.iter().map(f).sum();
        (!reports.is_empty()).then(|| Self {
            checks: sum(Report::checks),
            corruptions: sum(Report::corruptions),
        })
    }
}

/// What a host that came up did.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// Seconds until it was up.
    pub up_s: f64,
    /// Seconds until its guests were, the least and the most.
    pub guest_boot: Option<String>,
    /// Its programs.
    pub selftests: Tally,
    /// Its KUnit tests.
    pub kunit: Tally,
    /// Deliberate faults.
    pub faults: Tally,
    /// The FP contests.
    pub contests: Option<Contests>,
    /// Warnings of the kernel.
    pub warnings: usize,
    /// Seconds that it took; `None` where it ran in an earlier run.
    pub seconds: Option<f64>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    /// Its name.
    pub name: String,
    /// Its kernel.
    pub kernel: Variant,
    /// How KVM runs.
    pub mode: Mode,
    /// On which CPU.
    pub cpu: String,
    /// What it did; `None` where it could not be booted.
    pub ran: Option<Ran>,
}

impl HostRow {
    /// The row of the host that `spec` describes.
    pub fn new(spec: &Spec, ran: Option<Ran>) -> Self {
        Self {
            name: spec.name(),
            kernel: spec.variant,
            mode: spec.mode,
            cpu: format!("{}{}", spec.cpu.name(), spec.vector_lengths.suffix()),
            ran,
        }
    }

    fn cells(&self) -> Vec<String> {
        let Some(ran) = &self.ran else {
            return vec![self.name.clone(), "FAILED".to_owned()];
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let of_contests = |f: fn(Contests) -> u64| or_none(ran.contests.map(|c| f(c).to_string()));
        vec![
            self.name.clone(),
            format!("{:.1} s", ran.up_s),
            or_none(ran.guest_boot.clone()),
            ran.selftests.text(),
            ran.kunit.text(),
            ran.faults.text(),
            of_contests(|contests| contests.checks),
            of_contests(|contests| contests.corruptions),
            ran.warnings.to_string(),
            match ran.seconds {
                None => "earlier".to_owned(),
                Some(seconds) => format!("{seconds:.0} s"),
            },
        ]
    }
}

/// Hosts for people.
pub fn table(hosts: &[HostRow]) -> String {
    let head = [
        "host",
        "up",
        "guest boot",
        "selftests",
        "kunit",
        "faults",
        "checks",
        "corruptions",
        "warnings",
        "time",
    ];
    let rows: Vec<Vec<String>> = hosts.iter().map(HostRow::cells).collect();
    table::render(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ran: Option<Ran>) -> HostRow {
        HostRow {
            name: "rust-vhe-max".to_owned(),
            kernel: Variant::Rust,
            mode: Mode::Vhe,
            cpu: "max".to_owned(),
            ran,
        }
    }

    #[test]
    fn what_a_host_did_not_do_is_a_dash() {
        let ran = Ran {
            up_s: 0.86,
            selftests: Tally {
                passed: 2,
                total: 3,
            },
            seconds: Some(12.4),
            ..Ran::default()
        };
        let cells = row(Some(ran)).cells();
        let expected = [
            "rust-vhe-max",
            "0.9 s",
            "-",
            "2/3",
            "-",
            "-",
            "-",
            "-",
            "0",
            "12 s",
        ];
        assert_eq!(cells, expected);
        assert_eq!(row(Some(Ran::default())).cells()[9], "earlier");
        assert_eq!(row(None).cells(), ["rust-vhe-max", "FAILED"]);
    }

    #[test]
    fn skipped_tests_do_not_count() {
        let mut tally = Tally::default();
        assert_eq!(tally.text(), "-");
        tally.add(&Verdict::Skipped("no SVE".to_owned()));
        tally.add(&Verdict::Passed);
        tally.add(&Verdict::Failed("x".to_owned()));
        assert_eq!(tally.text(), "1/2");
    }
}
