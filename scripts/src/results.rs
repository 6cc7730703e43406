// SPDX-License-Identifier: GPL-2.0
//! Results of tests, and the lines at the end that say what they are.

use crate::plan::Verdict;
use crate::progress::Ui;

/// A test that ran, or did not.
#[derive(Debug, Clone)]
struct Test {
    name: String,
    verdict: Verdict,
}

/// Results in the order they came.
#[derive(Debug, Default)]
pub struct Results {
    tests: Vec<Test>,
}

impl Results {
    /// Adds a result. A failure is printed at once, with `detail`.
    pub fn add(&mut self, ui: &Ui, name: impl Into<String>, verdict: Verdict, detail: &str) {
        let name = name.into();
        if let Verdict::Failed(why) = &verdict {
            ui.line(&format!("FAILED {name}: {why}"));
            if !detail.is_empty() {
                ui.line(detail.trim_end());
            }
        }
        self.tests.push(Test { name, verdict });
    }

    /// Passed, failed, skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |f: fn(&Verdict) -> bool| self.tests.iter().filter(|t| f(&t.verdict)).count();
        (
            count(|v| matches!(v, Verdict::Passed)),
            count(|v| matches!(v, Verdict::Failed(_))),
            count(|v| matches!(v, Verdict::Skipped(_))),
        )
    }

    /// How many tests whose name begins with `prefix` passed, of how many.
    pub fn share(&self, prefix: &str) -> (usize, usize) {
        let all = || self.tests.iter().filter(|t| t.name.starts_with(prefix));
        let passed = all().filter(|t| t.verdict == Verdict::Passed).count();
        (passed, all().count())
    }

    /// True where nothing failed and something passed.
    pub fn held(&self) -> bool {
        let (passed, failed, _) = self.counts();
        failed == 0 && passed > 0
    }

    /// The last lines of a test run: skips with their reasons, failures, and
    /// the counts in one line.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let mut skips: Vec<(&str, Vec<&str>)> = Vec::new();
        for test in &self.tests {
            if let Verdict::Skipped(why) = &test.verdict {
                match skips.iter_mut().find(|(reason, _)| reason == why) {
                    Some((_, names)) => names.push(&test.name),
                    None => skips.push((why, vec![&test.name])),
                }
            }
        }
        for (why, names) in skips {
            text.push_str(&format!("skipped: {}: {why}\n", names.join(", ")));
        }
        for test in &self.tests {
            if let Verdict::Failed(why) = &test.verdict {
                text.push_str(&format!("failed: {}: {why}\n", test.name));
            }
        }
        let (passed, failed, skipped) = self.counts();
        text.push_str(&format!(
            "{passed} passed, {failed} failed, {skipped} skipped"
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_line_counts_and_skips_have_reasons() {
        let ui = Ui::new();
        let mut results = Results::default();
        assert!(!results.held(), "no tests is not a pass");
        results.add(&ui, "a", Verdict::Passed, "");
        results.add(&ui, "b", Verdict::Skipped("no EL2".into()), "");
        results.add(&ui, "c", Verdict::Skipped("no EL2".into()), "");
        assert!(results.held());
        assert_eq!(
            results.summary(),
            "skipped: b, c: no EL2\n1 passed, 0 failed, 2 skipped"
        );
        assert_eq!(results.share("b"), (0, 1));
        assert_eq!(results.share(""), (1, 3));
        results.add(&ui, "d", Verdict::Failed("exit status 1".into()), "");
        assert!(!results.held());
        assert!(results
            .summary()
            .ends_with("failed: d: exit status 1\n1 passed, 1 failed, 2 skipped"));
    }
}
