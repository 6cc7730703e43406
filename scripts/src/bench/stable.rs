// SPDX-License-Identifier: GPL-2.0
//! Whether two runs count the same.

use super::figures::{Figure, Side};

/// Two runs may differ by less than one in so many.
const ONE_IN: u64 = 100;

/// What differs between two runs by more than it may, a line each.
pub fn faults(first: &[Figure], second: &[Figure]) -> Vec<String> {
    let mut faults = Vec::new();
    for figure in first {
        let same = |other: &&Figure| (other.mode, other.exit) == (figure.mode, figure.exit);
        let Some(other) = second.iter().find(same) else {
            faults.push(format!("{}: it was measured once only", figure.place()));
            continue;
        };
        let sides = [
            ("C", &figure.c, &other.c),
            ("Rust", &figure.rust, &other.rust),
        ];
        for (kernel, first, second) in sides {
            faults.extend(
                differences(first, second)
                    .map(|what| format!("{}, {kernel}: two runs differ: {what}", figure.place())),
            );
        }
    }
    faults
}

/// Counts that differ by more than they may.
fn differences<'a>(first: &'a Side, second: &'a Side) -> impl Iterator<Item = String> + 'a {
    let rows = first.counts.rows().into_iter().zip(second.counts.rows());
    rows.filter_map(|((name, first), (_, second))| {
        let differs = ONE_IN * first.abs_diff(second) >= first.max(second).max(1);
        differs.then(|| format!("{first} and then {second} {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::figure;
    use super::*;
    use crate::host::Mode;
    use crate::trace::Exit;

    #[test]
    fn runs_may_differ_by_less_than_a_hundredth() {
        let of = |rust| [figure(Mode::Vhe, Exit::Ipi, 20_000, rust)];
        assert!(faults(&of(10_000), &of(10_000)).is_empty());
        assert!(faults(&of(10_000), &of(10_099)).is_empty());
        assert_eq!(
            faults(&of(10_000), &of(9900)),
            [
                "ipi in vhe, Rust: two runs differ: 10000 and then 9900 instructions",
                "ipi in vhe, Rust: two runs differ: 1000 and then 990 MSR"
            ]
        );
        let elsewhere = [figure(Mode::Nvhe, Exit::Ipi, 20_000, 10_000)];
        assert_eq!(
            faults(&of(10_000), &elsewhere),
            ["ipi in vhe: it was measured once only"]
        );
    }

    #[test]
    fn something_is_not_the_same_as_nothing() {
        let mut first = [figure(Mode::Vhe, Exit::Ipi, 20_000, 10_000)];
        let second = first.clone();
        first[0].rust.counts.vector_moves = 1;
        assert_eq!(faults(&first, &second).len(), 1);
    }
}
