// SPDX-License-Identifier: GPL-2.0
//! Numbers as the page has them.

use std::borrow::Borrow;

/// A number with a comma before each three digits.
pub fn number(number: impl Borrow<u64>) -> String {
    let digits = number.borrow().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in percent; a dash where there is no whole.
pub fn percent(part: impl Borrow<u64>, whole: u64) -> String {
    let part = *part.borrow();
    match whole {
        0 => "-".to_owned(),
        // Not all must not look like all.
        _ => format!(
            "{:.1} %",
            (1000.0 * part as f64 / whole as f64).floor() / 10.0
        ),
    }
}

/// `rust` in relation to `c`; a dash where C has none.
pub fn ratio(rust: impl Borrow<u64>, c: impl Borrow<u64>) -> String {
    let (rust, c) = (*rust.borrow(), *c.borrow());
    match c {
        0 => "-".to_owned(),
        _ => format!("{:.3}", rust as f64 / c as f64),
    }
}

/// Seconds, as one says them.
pub fn duration(seconds: impl Borrow<u64>) -> String {
    let seconds = *seconds.borrow();
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A date that is written as YYYYMMDD-HHMMSS, as one reads it; another as it is.
pub fn date(stamp: &str) -> String {
    let parts = [0..4, 4..6, 6..8, 8..9, 9..11, 11..13, 13..15].map(|part| stamp.get(part));
    match parts {
        [Some(year), Some(month), Some(day), Some("-"), Some(hour), Some(minute), Some(second)]
            if stamp.len() == 15 =>
        {
            format!("{year}-{month}-{day} {hour}:{minute}:{second} UTC")
        }
        _ => stamp.to_owned(),
    }
}

/// A commit as short as names of commits are here.
pub fn commit(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// A word for one thing or for several.
pub fn count(number: impl Borrow<u64>, one: &str, several: &str) -> String {
    let number = *number.borrow();
    let word = if number == 1 { one } else { several };
    format!("{} {word}", self::number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read() {
        let numbers = [0_u64, 999, 1000, 2_014_682].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "2,014,682"]);
        assert_eq!(count(1, "test", "tests"), "1 test");
        assert_eq!(count(1234, "test", "tests"), "1,234 tests");
        let times = [59_u64, 2772, 7300].map(duration);
        assert_eq!(times, ["59 s", "46 min", "2 h 1 min"]);
    }

    #[test]
    fn dates_and_commits_can_be_read() {
        assert_eq!(date("20261126-082419"), "2026-11-26 08:24:19 UTC");
        for other in ["", "2026-11-26", "20261126-0824190", "20261126 082419"] {
            assert_eq!(date(other), other);
        }
        let long = "33db63d4640e07eb0be4c5e285451ae8fd9c6915";
        assert_eq!(
            [commit(long), commit("unknown")],
            ["33db63d4640e", "unknown"]
        );
    }

    #[test]
    fn shares_do_not_flatter() {
        assert_eq!(percent(3, 3), "100.0 %");
        assert_eq!(percent(99_999, 100_000), "99.9 %");
        assert_eq!(percent(0, 0), "-");
        assert_eq!(ratio(314, 353), "0.890");
        assert_eq!(ratio(1, 0), "-");
    }
}
