// SPDX-License-Identifier: GPL-2.0
//! What is required of Rust: scripts/bench-limits.toml, and never more
//! instructions or memory than C.

use super::figures::{Figure, Report};
use super::sizes::Size;
use crate::files;
use crate::host::Mode;
use crate::trace::{Counts, Exit};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// Where the list is, in scripts/.
pub const PATH: &str = "bench-limits.toml";

/// The list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default)]
    limit: Vec<Limit>,
    #[serde(default)]
    more: Vec<More>,
}

/// What may take more memory than with C.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    what: String,
    bytes: u64,
    because: String,
}

/// What something may count at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    mode: Vec<Mode>,
    exit: Vec<Exit>,
    count: Count,
    most: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Count {
    Instructions,
    SystemRegisters,
    VectorMoves,
}

impl Count {
    fn of(self, counts: &Counts) -> u64 {
        match self {
            Self::Instructions => counts.instructions,
            Self::SystemRegisters => counts.msr + counts.mrs,
            Self::VectorMoves => counts.vector_moves,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::SystemRegisters => "MSR and MRS",
            Self::VectorMoves => "vector moves",
        }
    }
}

impl Limit {
    fn is_for(&self, figure: &Figure) -> bool {
        self.mode.contains(&figure.mode) && self.exit.contains(&figure.exit)
    }

    /// What Rust counts, and whether that is too much.
    fn judge(&self, figure: &Figure) -> (u64, bool) {
        let count = self.count.of(&figure.rust.counts);
        (count, count > self.most)
    }

    /// For the table: what is required, and what there is where that is not met.
    fn cell(&self, figure: &Figure) -> String {
        let (count, is_above) = self.judge(figure);
        let required = format!("{} <= {}", self.count.name(), self.most);
        match is_above {
            true => format!("{required}: NOT MET, {count}"),
            false => format!("{required}: met"),
        }
    }
}

impl Limits {
    /// Reads the list at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        Self::parse(&text).with_context(|| format!("{} is not a list of limits", path.display()))
    }

    /// Reads the list in `text`.
    pub fn parse(text: &str) -> Result<Self> {
        let limits: Self = toml::from_str(text)?;
        for limit in &limits.limit {
            anyhow::ensure!(
                !limit.mode.is_empty() && !limit.exit.is_empty(),
                "a limit is for no mode or for no exit"
            );
        }
        for more in &limits.more {
            anyhow::ensure!(
                !more.because.is_empty(),
                "{} is to take more for no reason",
                more.what
            );
        }
        Ok(limits)
    }

    /// What is required of `figure`, for the table.
    pub fn required(&self, figure: &Figure) -> String {
        let limits = self.limit.iter().filter(|limit| limit.is_for(figure));
        let mut cells: Vec<String> = limits.map(|limit| limit.cell(figure)).collect();
        let (c, rust) = figure.instructions();
        if rust > c {
            cells.push("ratio <= 1.00: NOT MET".to_owned());
        }
        cells.join("; ")
    }

    /// What is allowed to take more, if `size` is of that.
    fn more(&self, size: &Size) -> Option<&More> {
        self.more.iter().find(|more| more.what == size.what)
    }

    /// What is required of `size`, for the table.
    pub fn required_size(&self, size: &Size) -> String {
        let required = match self.more(size) {
            Some(More { bytes, because, .. }) => format!("C + {bytes}, for {because}"),
            None => "C".to_owned(),
        };
        match self.is_too_large(size) {
            true => format!("<= {required}: NOT MET"),
            false => format!("<= {required}: met"),
        }
    }

    fn is_too_large(&self, size: &Size) -> bool {
        let more = self.more(size).map_or(0, |more| more.bytes);
        size.rust > size.c + more
    }

    /// All that is not as required, a line each.
    pub fn faults(&self, report: &Report) -> Vec<String> {
        let mut faults: Vec<String> = report.figures.iter().flat_map(|f| self.of(f)).collect();
        let larger = report.sizes.iter().filter(|size| self.is_too_large(size));
        let fault = |size: &Size| {
            let Size { what, c, rust } = size;
            let required = self.required_size(size);
            format!("{what}: Rust takes {rust} bytes, and C {c}; {required}")
        };
        faults.extend(larger.map(fault));
        faults
    }

    fn of(&self, figure: &Figure) -> Vec<String> {
        let place = figure.place();
        let mut faults = Vec::new();
        let (c, rust) = figure.instructions();
        if rust > c {
            faults.push(format!(
                "{place}: Rust takes {rust} instructions, more than C with {c}"
            ));
        }
        for limit in self.limit.iter().filter(|limit| limit.is_for(figure)) {
            if let (count, true) = limit.judge(figure) {
                faults.push(format!(
                    "{place}: {} {}, and at most {} are allowed",
                    count,
                    limit.count.name(),
                    limit.most
                ));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{figure, report};
    use super::*;

    const LIST: &str = r#"
        [[limit]]
        mode = ["vhe", "nvhe"]
        exit = ["hypercall"]
        count = "instructions"
        most = 900

        [[limit]]
        mode = ["vhe"]
        exit = ["hypercall"]
        count = "system-registers"
        most = 70

        [[limit]]
        mode = ["vhe"]
        exit = ["hypercall"]
        count = "vector-moves"
        most = 0
    "#;

    fn faults(figure: Figure) -> Vec<String> {
        let report = Report {
            figures: vec![figure],
            ..report()
        };
        Limits::parse(LIST).unwrap().faults(&report)
    }

    #[test]
    fn more_instructions_than_c_are_a_fault_anywhere() {
        let of = |c, rust| faults(figure(Mode::Nested, Exit::Ipi, c, rust));
        assert!(of(1000, 1000).is_empty());
        assert_eq!(
            of(1000, 1001),
            ["ipi in nested: Rust takes 1001 instructions, more than C with 1000"]
        );
    }

    #[test]
    fn limits_are_for_their_modes_and_exits() {
        let of = |mode, exit, rust| faults(figure(mode, exit, 2000, rust));
        assert_eq!(
            of(Mode::Vhe, Exit::Hypercall, 901),
            [
                "hypercall in vhe: 901 instructions, and at most 900 are allowed",
                "hypercall in vhe: 90 MSR and MRS, and at most 70 are allowed"
            ]
        );
        assert_eq!(of(Mode::Nvhe, Exit::Hypercall, 901).len(), 1);
        assert!(of(Mode::Nvhe, Exit::Hypercall, 900).is_empty());
        assert!(of(Mode::Hvhe, Exit::Hypercall, 901).is_empty());
        assert!(of(Mode::Vhe, Exit::Timer, 901).is_empty());
    }

    #[test]
    fn vector_moves_have_limits_too() {
        let mut moves = figure(Mode::Vhe, Exit::Hypercall, 600, 600);
        assert!(faults(moves.clone()).is_empty());
        moves.rust.counts.vector_moves = 32;
        assert_eq!(
            faults(moves),
            ["hypercall in vhe: 32 vector moves, and at most 0 are allowed"]
        );
    }

    #[test]
    fn memory_may_not_be_more() {
        let mut report = report();
        report.figures.clear();
        assert!(Limits::default().faults(&report).is_empty());
        report.sizes[0].rust = 11;
        assert_eq!(
            Limits::default().faults(&report),
            ["struct kvm_vcpu: Rust takes 11 bytes, and C 10; <= C: NOT MET"]
        );
    }

    #[test]
    fn memory_may_be_more_where_that_has_a_reason() {
        let list = "[[more]]\nwhat=\"struct kvm_vcpu\"\nbytes=2\nbecause=\"a counter\"";
        let limits = Limits::parse(list).unwrap();
        let mut report = report();
        report.figures.clear();
        report.sizes[0].rust = 12;
        assert!(limits.faults(&report).is_empty());
        report.sizes[0].rust = 13;
        assert_eq!(
            limits.faults(&report),
            ["struct kvm_vcpu: Rust takes 13 bytes, and C 10; <= C + 2, for a counter: NOT MET"]
        );
        assert!(Limits::parse(&list.replace("a counter", "")).is_err());
    }

    #[test]
    fn the_table_says_what_is_required_and_whether_it_is_met() {
        let limits = Limits::parse(LIST).unwrap();
        let required = |exit, rust| limits.required(&figure(Mode::Vhe, exit, 900, rust));
        assert_eq!(required(Exit::Timer, 900), "");
        assert_eq!(required(Exit::Timer, 901), "ratio <= 1.00: NOT MET");
        assert_eq!(
            required(Exit::Hypercall, 800),
            "instructions <= 900: met; MSR and MRS <= 70: NOT MET, 80; vector moves <= 0: met"
        );
    }

    #[test]
    fn lists_that_say_nothing_are_refused() {
        for wrong in [
            "[[limit]]\nmode=[]\nexit=[\"timer\"]\ncount=\"instructions\"\nmost=1",
            "[[limit]]\nmode=[\"vhe\"]\nexit=[]\ncount=\"instructions\"\nmost=1",
            "[[limit]]\nmode=[\"vhe\"]\nexit=[\"timer\"]\ncount=\"cycles\"\nmost=1",
            "[[limits]]\n",
        ] {
            assert!(Limits::parse(wrong).is_err(), "{wrong}");
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
        assert!(!Limits::read(&own).unwrap().limit.is_empty());
    }
}
