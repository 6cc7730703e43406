// SPDX-License-Identifier: GPL-2.0
//! Results of tests, and the lines at the end that say what they are.

use crate::host::Mode;
use crate::kernel::Variant;
use crate::plan::Verdict;
use crate::prepare::Spec;
use crate::progress::Ui;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A test that ran, or did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Its name, with that of the host, if it has one, behind an `@`.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The kernel of the host that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Variant>,
    /// How KVM ran there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// When an earlier run had it pass, if it was not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<String>,
}

impl Test {
    /// One that ran where its name says.
    fn new(name: String, verdict: Verdict) -> Self {
        let (kernel, mode) = place(&name);
        Self {
            name,
            verdict,
            kernel,
            mode,
            recalled: None,
        }
    }
}

/// The kernel and the mode in the name of a test, which ends with `@rust-vhe-max`
/// or `@vhe`, or is `trace-vhe`.
fn place(name: &str) -> (Option<Variant>, Option<Mode>) {
    let host = match name.rsplit_once('@') {
        Some((_, host)) => host,
        None if name.starts_with("trace-") => name,
        None => return (None, None),
    };
    let words: Vec<&str> = host.split('-').take(2).collect();
    let kernel = words.first().and_then(|w| Variant::from_str(w, false).ok());
    let mode = words.iter().find_map(|w| Mode::from_str(w, false).ok());
    (kernel, mode)
}

/// Results in the order they came.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Results {
    tests: Vec<Test>,
}

impl Results {
    /// Adds a result. A failure is printed at once, with `detail`.
    pub fn add(&mut self, ui: &Ui, name: impl Into<String>, verdict: Verdict, detail: &str) {
        self.push(ui, Test::new(name.into(), verdict), detail);
    }

    /// As [`Self::add`], of a test that may have been recalled.
    pub fn add_recalled(
        &mut self,
        ui: &Ui,
        name: impl Into<String>,
        verdict: Verdict,
        detail: &str,
        recalled: Option<&str>,
    ) {
        let test = Test {
            recalled: recalled.map(str::to_owned),
            ..Test::new(name.into(), verdict)
        };
        self.push(ui, test, detail);
    }

    /// As [`Self::add`], of a test that has no host in its name, as it runs on
    /// one only.
    pub fn add_on(&mut self, ui: &Ui, host: &Spec, name: &str, verdict: Verdict, detail: &str) {
        let test = Test {
            kernel: Some(host.variant),
            mode: Some(host.mode),
            ..Test::new(name.to_owned(), verdict)
        };
        self.push(ui, test, detail);
    }

    fn push(&mut self, ui: &Ui, test: Test, detail: &str) {
        if let Verdict::Failed(why) = &test.verdict {
            ui.line(&format!("FAILED {}: {why}", test.name));
            if !detail.is_empty() {
                ui.line(detail.trim_end());
            }
        }
        self.tests.push(test);
    }

    /// Adds what came elsewhere, and has been printed.
    pub fn append(&mut self, mut others: Self) {
        self.tests.append(&mut others.tests);
    }

    /// The tests.
    pub fn tests(&self) -> &[Test] {
        &self.tests
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

    /// Skips, those of one reason together: the reason, and names.
    pub fn skips(&self) -> Vec<(&str, Vec<&str>)> {
        let mut skips: Vec<(&str, Vec<&str>)> = Vec::new();
        for test in &self.tests {
            if let Verdict::Skipped(why) = &test.verdict {
                match skips.iter_mut().find(|(reason, _)| reason == why) {
                    Some((_, names)) => names.push(&test.name),
                    None => skips.push((why, vec![&test.name])),
                }
            }
        }
        skips
    }

    /// Failures: names and reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tests.iter().filter_map(|test| match &test.verdict {
            Verdict::Failed(why) => Some((test.name.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// How many tests were recalled.
    pub fn recalled(&self) -> usize {
        let all = self.tests.iter();
        all.filter(|test| test.recalled.is_some()).count()
    }

    /// What is said of the tests that were recalled, if any were: names, or the hosts
    /// that they ran on.
    fn what_was_recalled(&self) -> Option<String> {
        let of = |test: &'_ Test| Some((test.recalled.clone()?, test.name.clone()));
        let (dates, mut names): (Vec<_>, Vec<_>) = self.tests.iter().filter_map(of).unzip();
        let (first, last) = (dates.iter().min()?, dates.iter().max()?);
        let when = match first == last {
            true => first.clone(),
            false => format!("{first} to {last}"),
        };
        for name in &mut names {
            if let Some((_, host)) = name.rsplit_once('@') {
                *name = format!("host {host}");
            }
        }
        names.dedup();
        Some(format!(
            "{} recalled from {when}, as nothing that they depend on has changed: {}\n",
            dates.len(),
            names.join(", ")
        ))
    }

    /// The last lines of a test run: what was recalled, skips with their reasons,
    /// failures, and the counts in one line.
    pub fn summary(&self) -> String {
        let mut text = self.what_was_recalled().unwrap_or_default();
        for (why, names) in self.skips() {
            text.push_str(&format!("skipped: {}: {why}\n", names.join(", ")));
        }
        for (name, why) in self.failures() {
            text.push_str(&format!("failed: {name}: {why}\n"));
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

    #[test]
    fn what_was_recalled_is_said_and_counts() {
        let ui = Ui::new();
        let mut results = Results::default();
        results.add(&ui, "a", Verdict::Passed, "");
        assert_eq!(results.summary(), "1 passed, 0 failed, 0 skipped");
        let mut add = |name, date| {
            results.add_recalled(&ui, name, Verdict::Passed, "", date);
        };
        add("b", Some("20261126-100000"));
        add("c", None);
        add("d", Some("20261125-100000"));
        add("boot@c-vhe-max", Some("20261126-100000"));
        add("kunit:x@c-vhe-max", Some("20261126-100000"));
        assert_eq!(
            results.summary(),
            "4 recalled from 20261125-100000 to 20261126-100000, as nothing that they depend \
             on has changed: b, d, host c-vhe-max\n6 passed, 0 failed, 0 skipped"
        );
        let json = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&json).unwrap(), results);
    }

    #[test]
    fn names_say_where_a_test_ran() {
        use {Mode::*, Variant::*};
        for (name, kernel, mode) in [
            ("boot@rust-vhe-max", Some(Rust), Some(Vhe)),
            (
                "b31:x@sanitizer-protected-max-sve128",
                Some(Sanitizer),
                Some(Protected),
            ),
            ("kunit@c-nvhe-cortex-a57", Some(C), Some(Nvhe)),
            ("b33:relay@hvhe", None, Some(Hvhe)),
            ("trace-nested", None, Some(Nested)),
            ("first-boot@trace-nested", None, Some(Nested)),
            ("rustfmt/kernel", None, None),
            ("c-vhe", None, None),
        ] {
            assert_eq!(place(name), (kernel, mode), "{name}");
        }
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let ui = Ui::new();
        let mut results = Results::default();
        results.add(&ui, "a@c-vhe-max", Verdict::Passed, "");
        results.add(&ui, "b", Verdict::Skipped("no EL2".into()), "");
        let json = serde_json::to_string(&results).unwrap();
        assert_eq!(
            json,
            "[{\"name\":\"a@c-vhe-max\",\"verdict\":\"passed\",\"kernel\":\"c\",\"mode\":\"vhe\"},\
             {\"name\":\"b\",\"verdict\":\"skipped\",\"reason\":\"no EL2\"}]"
        );
        assert_eq!(serde_json::from_str::<Results>(&json).unwrap(), results);
    }
}
