// SPDX-License-Identifier: GPL-2.0
//! What selftests/soak says: lines of progress, and the last one.

use crate::plan::End;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Seconds since the start.
    pub seconds: u64,
    /// All that was counted, by its name.
    pub counters: BTreeMap<String, u64>,
    /// What must not have happened.
    pub failures: Vec<String>,
}

/// How the counters end of which each must be 0.
const CORRUPTIONS: &str = "_corruptions";

impl Report {
    /// The line that `value` is.
    pub fn of(value: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }

    /// The last line of a soak that came to its end.
    pub fn at_end(end: &End) -> Option<Self> {
        end.output.iter().rev().find_map(Self::of)
    }

    /// A counter. 0 where there is none of this name.
    pub fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Comparisons of all registers, in guests and in host tasks.
    pub fn checks(&self) -> u64 {
        self.count("guest_checks") + self.count("host_checks")
    }

    /// All corruptions, whoever found them.
    pub fn corruptions(&self) -> u64 {
        let all = self.counters.iter();
        all.filter(|(name, _)| name.ends_with(CORRUPTIONS))
            .map(|(_, count)| count)
            .sum()
    }

    /// What the line says, for people.
    pub fn text(&self) -> String {
        format!(
            "{} guests, {} vCPU runs, {} checks, {} corruptions, {} CPUs offline and back, \
             {} signals, {} pages swapped, {} faults injected",
            self.count("guests"),
            self.count("vcpu_runs"),
            self.checks(),
            self.corruptions(),
            self.count("hotplugs"),
            self.count("signals"),
            self.count("pages_swapped"),
            self.count("faults_injected"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_are_none() {
        let line = serde_json::json!({
            "seed": 5, "seconds": 60, "failures": ["x"],
            "counters": {"guests": 3, "guest_checks": 4, "host_checks": 5,
                         "ptrace_corruptions": 1, "neon_corruptions": 2},
        });
        let report = Report::of(&line).unwrap();
        assert_eq!((report.seed, report.seconds, report.checks()), (5, 60, 9));
        assert_eq!(report.corruptions(), 3);
        assert_eq!((report.count("guests"), report.count("other")), (3, 0));
        assert!(report
            .text()
            .starts_with("3 guests, 0 vCPU runs, 9 checks, 3 corruptions"));
        assert_eq!(Report::of(&serde_json::json!({"checks": 5})), None);
    }
}
