// SPDX-License-Identifier: GPL-2.0
//! Selftests with Rust and with C: what passes with C must pass with Rust, and
//! what a program says of the guest's view must be the same.

use crate::plan::{End, Verdict};
use similar::{capture_diff_slices, Algorithm, DiffTag};

/// Most lines that are shown of a difference.
const SHOWN: usize = 60;
/// Where in an object of a program's results are lines that must be the same.
const SAME: &str = "same_as_c";

/// The lines of a program that must be the same with C and with Rust.
fn same_lines(end: &End) -> Vec<&str> {
    let lists = end
        .output
        .iter()
        .filter_map(|object| object[SAME].as_array());
    lists.flatten().filter_map(|line| line.as_str()).collect()
}

/// How a program that passes with C and with Rust differs in lines that must be
/// the same: in short, and the lines that only one of them has.
pub fn difference(rust: &End, c: &End) -> Option<(String, String)> {
    let (rust, c) = (same_lines(rust), same_lines(c));
    let mut lines = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &c, &rust) {
        let (tag, in_c, in_rust) = op.as_tag_tuple();
        if tag != DiffTag::Equal {
            lines.extend(c[in_c].iter().map(|line| format!("    < {line}\n")));
            lines.extend(rust[in_rust].iter().map(|line| format!("    > {line}\n")));
        }
    }
    if lines.is_empty() {
        return None;
    }
    let why = format!("{} lines are not the same as with C", lines.len());
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("    and {more} more\n"));
    }
    Some((why, format!("    < C, > Rust\n{}", lines.concat())))
}

/// What a result with Rust means, given the one with C on the same host. None:
/// there is no result with C.
pub fn against_c(rust: Verdict, c: Option<&Verdict>) -> Verdict {
    match (rust, c) {
        (Verdict::Failed(why), Some(Verdict::Failed(c))) => {
            Verdict::Skipped(format!("fails with C as well ({c}; with Rust: {why})"))
        }
        (Verdict::Failed(why), Some(Verdict::Skipped(_))) => {
            Verdict::Failed(format!("{why}, skipped with C"))
        }
        (Verdict::Failed(why), Some(Verdict::Passed)) => {
            Verdict::Failed(format!("{why}, passes with C"))
        }
        (Verdict::Skipped(why), Some(Verdict::Passed)) => {
            Verdict::Failed(format!("skipped ({why}), passes with C"))
        }
        (rust, _) => rust,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Outcome;

    /// The end of a program that reported `lines`, two at a time.
    fn end(lines: &[&str]) -> End {
        let report = |lines: &[&str]| serde_json::json!({ "same_as_c": lines });
        End {
            name: "x".to_owned(),
            outcome: Outcome::Exited,
            code: 0,
            seconds: 1.0,
            output_tail: String::new(),
            output: lines.chunks(2).map(report).collect(),
        }
    }

    #[test]
    fn lines_that_differ_from_c_are_shown() {
        let c = end(&["a: 0", "b: 1", "c: 2", "d: 3"]);
        assert_eq!(difference(&c, &c), None);
        let rust = end(&["a: 0", "b: 9", "c: 2"]);
        let (why, detail) = difference(&rust, &c).unwrap();
        assert_eq!(why, "3 lines are not the same as with C");
        let expected = "    < C, > Rust\n    < b: 1\n    > b: 9\n    < d: 3\n";
        assert_eq!(detail, expected);
    }

    #[test]
    fn long_differences_are_cut_and_counted() {
        let lines: Vec<String> = (0..100).map(|i| format!("{i}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (why, detail) = difference(&end(&lines), &end(&[])).unwrap();
        assert!(why.starts_with("100 lines"), "{why}");
        assert_eq!(detail.lines().count(), 1 + SHOWN + 1);
        assert!(detail.ends_with("    and 40 more\n"), "{detail}");
    }

    #[test]
    fn other_results_are_not_compared() {
        let mut other = end(&[]);
        other.output = vec![serde_json::json!({ "guests": 3 }), serde_json::json!(1)];
        assert_eq!(difference(&other, &end(&[])), None);
    }

    #[test]
    fn only_what_c_cannot_do_is_excused() {
        let failed = || Verdict::Failed("exit status 1".into());
        let skipped = || Verdict::Skipped("no EL2".into());
        let failure = |v| matches!(v, Verdict::Failed(_));
        assert!(failure(against_c(failed(), Some(&Verdict::Passed))));
        assert!(failure(against_c(failed(), Some(&skipped()))));
        assert!(failure(against_c(failed(), None)));
        assert!(failure(against_c(skipped(), Some(&Verdict::Passed))));
        assert!(matches!(
            against_c(failed(), Some(&failed())),
            Verdict::Skipped(_)
        ));
        assert_eq!(against_c(skipped(), Some(&skipped())), skipped());
        assert_eq!(against_c(Verdict::Passed, Some(&failed())), Verdict::Passed);
    }
}
