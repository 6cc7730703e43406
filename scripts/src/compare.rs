// SPDX-License-Identifier: GPL-2.0
//! Selftests with Rust and with C: what passes with C must pass with Rust.

use crate::plan::Verdict;

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
