// SPDX-License-Identifier: GPL-2.0
//! Names of tests: `b01_b17:x@host`, `kunit:suite.b01_x@host`, `tests::b01_x`.

use super::Id;

/// The name without the host that the test ran on.
pub fn stem(test: &str) -> &str {
    test.split_once('@').map_or(test, |(stem, _)| stem)
}

/// The function of a unit test and of a KUnit test, the program otherwise.
fn last(stem: &str) -> &str {
    stem.rsplit([':', '.', '/']).next().unwrap_or(stem)
}

/// The ids of the behaviours that a test guards, as its name says: nothing but
/// ids before a colon, or what its function begins with.
pub fn ids(test: &str) -> Vec<Id> {
    let stem = stem(test);
    let before = stem.split_once(':').map(|(before, _)| before);
    match before.map(leading) {
        Some((ids, "")) => ids,
        _ => leading(last(stem)).0,
    }
}

/// The ids that `name` begins with, and what comes behind them.
fn leading(name: &str) -> (Vec<Id>, &str) {
    let mut ids = Vec::new();
    let mut rest = name;
    while let Some((id, behind)) = leading_id(rest) {
        ids.push(id);
        rest = behind;
    }
    (ids, rest)
}

/// The id that `name` begins with, such as `b01`, and what comes behind it.
fn leading_id(name: &str) -> Option<(Id, &str)> {
    let (word, behind) = name.split_once('_').unwrap_or((name, ""));
    let digits = word.strip_prefix('b')?;
    let all = digits.len() >= 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number = all.then(|| digits.parse().ok())??;
    Some((Id(number), behind))
}

/// Whether `pattern` names `test`: all of its stem, or the last part of it; a `*`
/// at its end is for any rest.
pub fn is_named(test: &str, pattern: &str) -> bool {
    let stem = stem(test);
    let is = |name: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    is(stem) || is(last(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_ids() {
        for (name, expected) in [
            ("b24:kvm/arm64/aarch32_id_regs@rust-vhe-max", &[24][..]),
            (
                "b01_b16_b22:contest-protected@rust-protected-max",
                &[1, 16, 22],
            ),
            ("kunit:kvm_arm64_fp.b10_format_is_said@rust-vhe-max", &[10]),
            ("b36:hostile:mpidr_of_another", &[36]),
            ("tests::exploration::b01_b25_no_state_is_wrong", &[1, 25]),
            ("b33:relay@vhe", &[33]),
            ("b05_discard_lets_nobody_in", &[5]),
            ("fault:load_does_not_save", &[]),
            ("kvm/arm64/set_id_regs", &[]),
            ("boot@rust-vhe-max", &[]),
            ("big_endian", &[]),
            ("tests::big", &[]),
            ("tests::base_b12_x", &[]),
        ] {
            let expected: Vec<Id> = expected.iter().map(|&number| Id(number)).collect();
            assert_eq!(ids(name), expected, "{name}");
        }
    }

    #[test]
    fn patterns_name_stems_and_functions() {
        for (test, pattern, named) in [
            ("kunit:s.b09_x@h", "b09_*", true),
            ("tests::b09_x", "b09_*", true),
            ("tests::b06_b09_x", "b09_*", false),
            ("b36:hostile:x", "b36:hostile:*", true),
            ("fault:switch-gcr@h", "fault:switch-gcr", true),
            ("b35:errors@rust-vhe-max", "b35:errors", true),
            ("b24:kvm/arm64/aarch32_id_regs@h", "aarch32_id_regs", true),
        ] {
            assert_eq!(is_named(test, pattern), named, "{test} {pattern}");
        }
    }
}
