// SPDX-License-Identifier: GPL-2.0

//! The results of one suite, read from KTAP.

/// What became of the test cases of a suite, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results {
    pub passed: Vec<String>,
    pub failed: Vec<String>,
    pub skipped: Vec<String>,
}

impl Results {
    /// Reads the lines of the test cases, which are indented once; the line of the suite itself,
    /// not indented, and the diagnostics do not count.
    pub fn parse(ktap: &str) -> Self {
        let mut results = Self::default();
        for line in ktap.lines() {
            let Some(line) = line.strip_prefix("    ") else {
                continue;
            };
            let (rest, ok) = if let Some(rest) = line.strip_prefix("ok ") {
                (rest, true)
            } else if let Some(rest) = line.strip_prefix("not ok ") {
                (rest, false)
            } else {
                continue;
            };
            let (description, directive) = match rest.split_once('#') {
                Some((description, directive)) => (description, directive.trim()),
                None => (rest, ""),
            };
            let name = description
                .trim()
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .trim()
                .to_string();
            if ok && directive.starts_with("SKIP") {
                results.skipped.push(name);
            } else if ok {
                results.passed.push(name);
            } else {
                results.failed.push(name);
            }
        }
        results
    }

    /// Returns whether the suite ran and nothing in it failed.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && !self.passed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KTAP: &str = "\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: kvm_arm64_fp
    1..3
    ok 1 b01_first
    # b02_second: ASSERTION FAILED at x.rs:1
    not ok 2 b02_second
    ok 3 b18_third # SKIP the CPU has no SME
# kvm_arm64_fp: pass:1 fail:1 skip:1 total:3
not ok 1 kvm_arm64_fp
";

    #[test]
    fn each_outcome_is_told_apart() {
        let results = Results::parse(KTAP);
        assert_eq!(results.passed, ["b01_first"]);
        assert_eq!(results.failed, ["b02_second"]);
        assert_eq!(results.skipped, ["b18_third"]);
        assert!(!results.is_success());
    }

    #[test]
    fn a_suite_that_did_not_run_is_no_success() {
        assert!(!Results::parse("").is_success());
        assert!(!Results::parse("    ok 1 a # SKIP no such CPU\n").is_success());
        assert!(Results::parse("    ok 1 a\n").is_success());
    }
}
