// SPDX-License-Identifier: GPL-2.0
//! Behaviours with the tests that guard them, and what those came to in each
//! mode.

use crate::behaviours::{self, Behaviour};
use crate::host::Mode;
use crate::kernel::Variant;
use crate::plan::Verdict;
use crate::record::Record;
use anyhow::Result;

/// The program of the unit tests that run on the simulated CPU.
const SIMULATED: &str = "simulated_cpu";

/// Where a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Mode(Mode),
    Simulated,
    /// On the building machine.
    Here,
}

/// Columns of the table.
const COLUMNS: [(Where, &str); 7] = [
    (Where::Mode(Mode::Vhe), "VHE"),
    (Where::Mode(Mode::Nvhe), "nVHE"),
    (Where::Mode(Mode::Hvhe), "hVHE"),
    (Where::Mode(Mode::Protected), "pKVM"),
    (Where::Mode(Mode::Nested), "nested"),
    (Where::Simulated, "simulated CPU"),
    (Where::Here, "build"),
];

/// The heads of the columns.
pub fn columns() -> [&'static str; COLUMNS.len()] {
    COLUMNS.map(|(_, head)| head)
}

/// How many tests came to what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// They passed.
    pub passed: u64,
    /// They failed.
    pub failed: u64,
    /// They were skipped.
    pub skipped: u64,
}

impl Counts {
    /// Counts a test.
    pub fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        let all = [
            (self.failed, "FAILED"),
            (self.passed, "passed"),
            (self.skipped, "skipped"),
        ];
        let some = all.iter().filter(|(count, _)| *count > 0);
        let words = some.map(|(count, word)| format!("{count} {word}"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A test that guards a behaviour, on all its hosts.
#[derive(Debug, PartialEq, Eq)]
pub struct Guard {
    /// Its name, without the host and without what says of which kind it is.
    pub name: String,
    /// What it came to.
    pub counts: Counts,
}

/// The tests of one kind that guard a behaviour.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// What they are.
    pub kind: String,
    /// The tests.
    pub tests: Vec<Guard>,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The behaviour.
    pub behaviour: Behaviour,
    /// What its tests came to, in each column.
    pub cells: [Counts; COLUMNS.len()],
    /// The tests.
    pub groups: Vec<Group>,
    /// Names of tests that the description has and this run had not.
    pub missing: Vec<String>,
}

impl Row {
    /// Tests that guard it.
    pub fn tests(&self) -> usize {
        self.groups.iter().map(|group| group.tests.len()).sum()
    }

    /// Whether nothing that ran guards it.
    pub fn is_unguarded(&self) -> bool {
        let ran = |counts: &Counts| counts.passed + counts.failed > 0;
        !self.cells.iter().any(ran)
    }

    /// Whether a test of it failed.
    pub fn has_failed(&self) -> bool {
        self.cells.iter().any(|counts| counts.failed > 0)
    }

    /// Whether a reviewer has to look at it.
    pub fn is_wrong(&self) -> bool {
        self.is_unguarded() || self.has_failed()
    }
}

/// The rows under one heading.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub name: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A test that may guard something.
struct Candidate<'a> {
    name: &'a str,
    kind: String,
    /// What is shown of the name.
    short: String,
    place: Where,
    verdict: &'a Verdict,
}

/// The kind of a test that is not one of cargo's, and what else its name has.
fn kind(test: &str) -> (String, String) {
    let stem = behaviours::stem(test);
    if let Some(case) = stem.strip_prefix("kunit:") {
        let case = case.rsplit_once('.').map_or(case, |(_, case)| case);
        return ("KUnit".to_owned(), case.to_owned());
    }
    // Behind ids.
    let name = match stem.split_once(':') {
        Some((_, name)) if !behaviours::ids(stem).is_empty() => name,
        _ => stem,
    };
    let kinds = [
        ("kvm/", "kselftest"),
        ("contest", "contest"),
        ("sve-abi/", "sve-abi"),
        ("syndromes", "syndromes"),
        ("hostile:", "hostile-host"),
        ("fault:", "deliberate faults"),
    ];
    match kinds.iter().find(|(start, _)| name.starts_with(start)) {
        Some((start, kind)) if !start.ends_with(['/', ':']) => ((*kind).into(), name.into()),
        Some((start, kind)) => ((*kind).into(), name[start.len()..].into()),
        None => ("other".to_owned(), name.to_owned()),
    }
}

/// The tests of a run, but for those on hosts with C: of them, Rust is what
/// they say nothing of.
fn candidates(record: &Record) -> Vec<Candidate<'_>> {
    let tests = record.tests.tests().iter();
    let tests = tests.filter(|test| test.kernel != Some(Variant::C));
    let tests = tests.map(|test| {
        let (kind, short) = kind(&test.name);
        Candidate {
            name: &test.name,
            kind,
            short,
            place: test.mode.map_or(Where::Here, Where::Mode),
            verdict: &test.verdict,
        }
    });
    let units = record.unit_tests.iter().map(|test| {
        let simulated = test.program == SIMULATED;
        let (_, function) = test.name.rsplit_once("::").unwrap_or(("", &test.name));
        Candidate {
            name: &test.name,
            kind: match simulated {
                true => "simulated CPU".to_owned(),
                false => format!("unit tests of {}", test.program.replace('_', "-")),
            },
            short: function.to_owned(),
            place: if simulated {
                Where::Simulated
            } else {
                Where::Here
            },
            verdict: &test.verdict,
        }
    });
    tests.chain(units).collect()
}

/// The one of `all` that `is` it, or a new one at their end.
fn entry<T>(all: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl Fn() -> T) -> &mut T {
    let place = all.iter().position(is).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    });
    &mut all[place]
}

fn row(behaviour: &Behaviour, candidates: &[Candidate<'_>]) -> Row {
    let mut cells = [Counts::default(); COLUMNS.len()];
    let mut groups: Vec<Group> = Vec::new();
    for test in candidates {
        if !behaviour.is_guarded_by(test.name) {
            continue;
        }
        for (cell, (place, _)) in cells.iter_mut().zip(COLUMNS) {
            if place == test.place {
                cell.add(test.verdict);
            }
        }
        let group = entry(
            &mut groups,
            |group| group.kind == test.kind,
            || Group {
                kind: test.kind.clone(),
                tests: Vec::new(),
            },
        );
        let guard = entry(
            &mut group.tests,
            |guard| guard.name == test.short,
            || Guard {
                name: test.short.clone(),
                counts: Counts::default(),
            },
        );
        guard.counts.add(test.verdict);
    }
    let is_named = |pattern: &&str| {
        candidates
            .iter()
            .any(|test| behaviours::is_named(test.name, pattern))
    };
    let missing = behaviour.named().filter(|name| name.ends_with('*'));
    let missing = missing.filter(|pattern| !is_named(pattern));
    Row {
        missing: missing.map(str::to_owned).collect(),
        behaviour: behaviour.clone(),
        cells,
        groups,
    }
}

/// The table. Fails where a test has an id that no behaviour has.
pub fn sections(behaviours: &[Behaviour], record: &Record) -> Result<Vec<Section>> {
    let candidates = candidates(record);
    behaviours::check_names(behaviours, candidates.iter().map(|test| test.name))?;
    let mut sections: Vec<Section> = Vec::new();
    for behaviour in behaviours {
        let row = row(behaviour, &candidates);
        match sections.last_mut() {
            Some(section) if section.name == behaviour.section => section.rows.push(row),
            _ => sections.push(Section {
                name: behaviour.section.clone(),
                rows: vec![row],
            }),
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sources;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    fn rows() -> Vec<Row> {
        let sources = sources();
        let sections = sections(&sources.behaviours, &sources.record).unwrap();
        let rows = sections.into_iter().flat_map(|section| section.rows);
        rows.collect()
    }

    #[test]
    fn tests_are_counted_where_they_ran() {
        let rows = rows();
        let b1 = &rows[0];
        // The contest and KUnit, not those with C.
        assert_eq!(b1.cells[0], counts(2, 0, 0));
        assert_eq!(b1.cells[1], counts(1, 0, 0));
        assert_eq!(b1.cells[3], counts(0, 1, 0));
        assert_eq!(b1.cells[5], counts(1, 0, 0));
        assert_eq!(counts(2, 1, 0).words(), "1 FAILED, 2 passed");
        assert!(b1.cells[4].is_empty() && b1.has_failed() && !b1.is_unguarded());
        let groups: Vec<(&str, usize)> = b1
            .groups
            .iter()
            .map(|group| (group.kind.as_str(), group.tests.len()))
            .collect();
        assert_eq!(groups, [("contest", 1), ("KUnit", 1), ("simulated CPU", 1)]);
        let b12 = &rows[3];
        assert_eq!(b12.cells[1], counts(0, 0, 1));
        assert_eq!(b12.cells[6], counts(1, 0, 0), "entry-as-in-c");
    }

    #[test]
    fn behaviours_without_a_test_stand_out() {
        let rows = rows();
        let unguarded: Vec<String> = rows
            .iter()
            .filter(|row| row.is_unguarded())
            .map(|row| row.behaviour.id.to_string())
            .collect();
        assert_eq!(unguarded, ["B2", "B3", "B37"]);
        assert_eq!(rows[1].missing, ["b02_*"]);
        assert!(rows[0].missing.is_empty() && rows[4].missing.is_empty());
        assert_eq!((rows[2].tests(), rows[5].tests()), (0, 1));
    }

    #[test]
    fn names_are_shown_without_what_the_kind_says() {
        for (name, expected) in [
            ("kunit:kvm_arm64_fp.b01_x@rust-vhe-max", ("KUnit", "b01_x")),
            (
                "b12_b27:kvm/arm64/set_id_regs@rust-vhe-max",
                ("kselftest", "arm64/set_id_regs"),
            ),
            (
                "b01_b04:contest-qemu@rust-vhe-max",
                ("contest", "contest-qemu"),
            ),
            ("b36:hostile:mpidr", ("hostile-host", "mpidr")),
            ("fault:switch-gcr", ("deliberate faults", "switch-gcr")),
            ("b33:relay@vhe", ("other", "relay")),
            ("entry-as-in-c", ("other", "entry-as-in-c")),
        ] {
            let (kind, short) = kind(name);
            assert_eq!((kind.as_str(), short.as_str()), expected, "{name}");
        }
    }
}
