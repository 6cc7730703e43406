// SPDX-License-Identifier: GPL-2.0
//! What is on the page, and the page: templates/report/.

use super::elsewhere::{Mutation, Soak};
use super::figures::{self, number};
use super::guards::{self, Section};
use super::{MUTATION_COMMAND, MUTATION_HOSTS_COMMAND, SOAK_COMMAND};
use crate::behaviours::{self, Behaviour, Piece};
use crate::explored::Explored;
use crate::faults;
use crate::host::{Cpu, Mode};
use crate::hostile;
use crate::libtest::UnitTest;
use crate::matrix::Level;
use crate::mutation::HostsReport;
use crate::plan::Verdict;
use crate::record::Record;
use crate::trace::{Entry, Exit};
use crate::unsafe_count::LayerCount;
use anyhow::{Context as _, Result};
use askama::Template;

/// With this no script runs in the page, and nothing is loaded.
pub const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" \
    content=\"default-src 'none'; style-src 'unsafe-inline'\">";

/// What the page is made of.
pub struct Sources {
    /// The run.
    pub record: Record,
    /// What the system must do.
    pub behaviours: Vec<Behaviour>,
    /// Mutations, if they were made.
    pub mutation: Option<Mutation>,
    /// What booted hosts noticed of some of them, if they were asked.
    pub mutation_on_hosts: Option<HostsReport>,
    /// The soak, if there was one.
    pub soak: Option<Soak>,
}

/// How many passed, of how many, in words.
pub struct Share {
    /// What they are, and what is wanted of them.
    pub what: &'static str,
    /// Those that are as they must be.
    pub passed: usize,
    /// The tests: names, and whether they passed.
    pub tests: Vec<(String, bool)>,
}

/// Tests that were skipped for one reason.
pub struct Skip<'a> {
    /// The reason.
    pub why: &'a str,
    /// Names without hosts, with the number of hosts.
    pub tests: Vec<(&'a str, usize)>,
}

/// Listed differences that have one reason.
pub struct Differences<'a> {
    /// The reason.
    pub reason: &'a str,
    /// Where they are.
    pub entries: Vec<&'a Entry>,
}

/// The page.
#[derive(Template)]
#[template(path = "report/page.html")]
pub struct Page<'a> {
    record: &'a Record,
    sections: Vec<Section>,
    mutation: Option<&'a Mutation>,
    mutation_on_hosts: Option<&'a HostsReport>,
    soak: Option<&'a Soak>,
    shares: Vec<Share>,
    skips: Vec<Skip<'a>>,
    differences: Vec<Differences<'a>>,
}

impl<'a> Page<'a> {
    /// The page of `sources`.
    pub fn new(sources: &'a Sources) -> Result<Self> {
        let record = &sources.record;
        Ok(Self {
            sections: guards::sections(&sources.behaviours, record)?,
            mutation: sources.mutation.as_ref(),
            mutation_on_hosts: sources.mutation_on_hosts.as_ref(),
            soak: sources.soak.as_ref(),
            shares: [
                ("deliberate faults noticed", faults::PREFIX),
                ("lies of a hostile host withstood", hostile::PREFIX),
            ]
            .into_iter()
            .map(|(what, prefix)| share(record, what, prefix))
            .collect(),
            skips: skips(record),
            differences: differences(record),
            record,
        })
    }

    /// As text.
    pub fn html(&self) -> Result<String> {
        self.render().context("the page cannot be made")
    }

    /// Passed, failed, skipped.
    fn counts(&self) -> (usize, usize, usize) {
        self.record.tests.counts()
    }

    /// The rows of the table of behaviours.
    fn behaviours(&self) -> impl Iterator<Item = &guards::Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    /// Behaviours that nothing guards that ran.
    fn unguarded(&self) -> usize {
        self.behaviours().filter(|row| row.is_unguarded()).count()
    }

    /// Behaviours with which something is wrong.
    pub fn wrong_behaviours(&self) -> usize {
        self.behaviours().filter(|row| row.is_wrong()).count()
    }

    /// All numbers of tests that passed in the table of behaviours, together.
    pub fn passed(&self) -> u64 {
        let cells = self.behaviours().flat_map(|row| &row.cells);
        cells.map(|counts| counts.passed).sum()
    }

    /// Deliberate faults and lies.
    pub fn faults(&self) -> usize {
        self.shares.iter().map(|share| share.tests.len()).sum()
    }

    /// How many rows there are in the tables of sections.
    pub fn rows(&self) -> [(&'static str, usize); 10] {
        let record = self.record;
        let failures = record.tests.failures().count() + self.failed_unit_tests().len();
        let mutations = self.mutation.map_or(0, |mutation| {
            mutation.files.len() + mutation.survivors.len()
        });
        [
            ("failures", failures),
            ("behaviours", self.behaviours().count()),
            ("exploration", record.explored.len()),
            ("mutation", mutations),
            ("soak", self.soak.map_or(0, |soak| soak.modes.len())),
            ("instructions", record.costs.len()),
            ("differences", record.trace_differences.difference.len()),
            ("unsafe", record.unsafe_code.len()),
            ("hosts", record.hosts.len()),
            ("skips", self.skips.len()),
        ]
    }

    /// In one word.
    pub fn verdict(&self) -> &'static str {
        match (&self.record.given_up, self.record.tests.held()) {
            (Some(_), _) => "GIVEN UP",
            (None, true) => "PASSED",
            (None, false) => "FAILED",
        }
    }

    /// The counts in words.
    pub fn title(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        let number = |of: usize| number(of as u64);
        format!(
            "{} passed, {} failed, {} skipped",
            number(passed),
            number(failed),
            number(skipped)
        )
    }

    /// What there is to say of tests that did not run, as it was known what they come to.
    fn recalled(&self) -> Option<String> {
        match self.record.tests.recalled() {
            0 => None,
            1 => Some("A test was recalled: nothing that it depends on had changed.".to_owned()),
            count => Some(format!(
                "{} tests were recalled: nothing that they depend on had changed.",
                number(count as u64)
            )),
        }
    }

    fn failed_unit_tests(&self) -> Vec<(&UnitTest, &str)> {
        let tests = self.record.unit_tests.iter();
        let failed = tests.filter_map(|test| match &test.verdict {
            Verdict::Failed(why) => Some((test, why.as_str())),
            _ => None,
        });
        failed.collect()
    }

    /// Whether there is something to say of failures.
    pub fn has_failures(&self) -> bool {
        self.record.given_up.is_some()
            || self.counts().1 > 0
            || !self.failed_unit_tests().is_empty()
    }

    /// The version of the kernel or of a tool.
    fn version(&self, name: &str) -> &str {
        let found = self.record.versions.iter().find(|v| v.name == name);
        found.map_or("unknown", |version| &version.version)
    }

    /// What makes such a run again.
    fn command(&self) -> String {
        match (self.record.only.as_str(), self.record.level) {
            ("", level) => level.command().to_owned(),
            (only, level) => format!(
                "scripts/xtask test {}--host '{only}'",
                match level {
                    Level::Quick => "--quick ",
                    Level::Normal => "",
                    Level::Full => "--full ",
                }
            ),
        }
    }

    /// The commit, and whether the checkout had changes that are in none.
    fn commit(&self) -> Option<(&str, bool)> {
        let commit = self.record.commit.as_deref()?;
        let changed = commit.strip_suffix('+');
        Some((changed.unwrap_or(commit), changed.is_some()))
    }

    /// All explorations together.
    fn explored(&self) -> Explored {
        let all = &self.record.explored;
        Explored {
            machine: "all".to_owned(),
            states: all.iter().map(|one| one.states).sum(),
            depth: all.iter().map(|one| one.depth).max().unwrap_or(0),
            steps: all.iter().map(|one| one.steps).sum(),
            violations: all.iter().map(|one| one.violations).sum(),
            seconds: all.iter().map(|one| one.seconds).sum(),
        }
    }

    /// All layers together.
    fn unsafe_code(&self) -> LayerCount {
        let sum = |of: fn(&LayerCount) -> usize| self.record.unsafe_code.iter().map(of).sum();
        LayerCount {
            layer: "all".to_owned(),
            files: sum(|layer| layer.files),
            blocks: sum(|layer| layer.blocks),
            functions: sum(|layer| layer.functions),
            impls: sum(|layer| layer.impls),
            other: sum(|layer| layer.other),
        }
    }
}

fn share(record: &Record, what: &'static str, prefix: &str) -> Share {
    let tests = record.tests.tests().iter();
    let tests = tests.filter_map(|test| {
        let name = test.name.strip_prefix(prefix)?;
        Some((name.to_owned(), test.verdict == Verdict::Passed))
    });
    let tests: Vec<(String, bool)> = tests.collect();
    Share {
        what,
        passed: tests.iter().filter(|(_, passed)| *passed).count(),
        tests,
    }
}

fn skips(record: &Record) -> Vec<Skip<'_>> {
    let skip = |(why, names): (_, Vec<_>)| {
        let mut tests: Vec<(&str, usize)> = Vec::new();
        for name in names {
            let stem = behaviours::stem(name);
            match tests.iter_mut().find(|(known, _)| *known == stem) {
                Some((_, hosts)) => *hosts += 1,
                None => tests.push((stem, 1)),
            }
        }
        Skip { why, tests }
    };
    record.tests.skips().into_iter().map(skip).collect()
}

fn differences(record: &Record) -> Vec<Differences<'_>> {
    let mut all: Vec<Differences<'_>> = Vec::new();
    for entry in &record.trace_differences.difference {
        match all.iter_mut().find(|other| other.reason == entry.reason) {
            Some(same) => same.entries.push(entry),
            None => all.push(Differences {
                reason: &entry.reason,
                entries: vec![entry],
            }),
        }
    }
    all
}

/// Names between commas.
fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> String {
    let names: Vec<&str> = all.iter().map(|&one| name(one)).collect();
    names.join(", ")
}
