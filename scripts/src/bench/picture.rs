// SPDX-License-Identifier: GPL-2.0
//! The comparison as pictures: a row for each exit, and a column for each mode.

use super::figures::{Figure, Report};
use super::mca::{Core, Estimate};
use crate::host::{Cpu, Mode};
use crate::report::{number, ratio};
use crate::trace::{Counts, Exit};
use anyhow::{Context as _, Result};
use askama::Template;

/// Where the first column begins.
const LEFT: u64 = 140;
/// From one mode to the next.
const COLUMN: u64 = 148;
/// How long the bar of C is; that of Rust is in relation to it.
const LENGTH: u64 = 128;
/// How much longer than that of C a bar is at most.
const MOST_PERCENT: u64 = 110;
/// What is above the first exit: the legend, and the names of the modes.
const TOP: u64 = 92;
/// From one exit to the next.
const ROW: u64 = 36;

/// What a picture is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Instructions.
    Instructions,
    /// Those that read and write system registers.
    Accesses,
    /// Estimates of the cycles that a core takes.
    Cycles(Core),
}

impl Quantity {
    /// Those that there are pictures of.
    pub const ALL: [Self; 3] = [
        Self::Instructions,
        Self::Accesses,
        Self::Cycles(Core::NeoverseV1),
    ];

    /// The name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Instructions => "bench.svg",
            Self::Accesses => "bench-accesses.svg",
            Self::Cycles(_) => "bench-cycles.svg",
        }
    }

    fn title(self, cpu: Cpu) -> String {
        let on = cpu.name();
        match self {
            Self::Instructions => {
                format!("Instructions from a guest's exit to its next entry, on {on}")
            }
            Self::Accesses => format!("MSR and MRS from a guest's exit to its next entry, on {on}"),
            Self::Cycles(core) => format!(
                "Cycles from a guest's exit to its next entry, estimated for {}: MSR, MRS, ISB, DSB \
                 and ERET are one or two",
                core.name()
            ),
        }
    }

    /// That of each exit in each mode.
    fn cells(self, report: &Report) -> Vec<Cell> {
        let count = |of: &dyn Fn(&Counts) -> u64| {
            let cell = |figure: &Figure| Cell {
                mode: figure.mode,
                exit: figure.exit,
                c: of(&figure.c.counts),
                rust: of(&figure.rust.counts),
            };
            report.figures.iter().map(cell).collect()
        };
        match self {
            Self::Instructions => count(&|counts| counts.instructions),
            Self::Accesses => count(&|counts| counts.msr + counts.mrs),
            Self::Cycles(core) => {
                let estimates = report.estimates.iter().filter(|it| it.core == core);
                let cell = |estimate: &Estimate| Cell {
                    mode: estimate.mode,
                    exit: estimate.exit,
                    c: estimate.c,
                    rust: estimate.rust,
                };
                estimates.map(cell).collect()
            }
        }
    }
}

/// C and Rust at an exit, in a mode.
#[derive(Debug, Clone, Copy)]
struct Cell {
    mode: Mode,
    exit: Exit,
    c: u64,
    rust: u64,
}

/// A picture.
#[derive(Template)]
#[template(path = "bench/bench.svg")]
struct Picture {
    title: String,
    width: u64,
    height: u64,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// A mode.
struct Column {
    mode: &'static str,
    x: u64,
}

/// An exit.
struct Row {
    exit: &'static str,
    y: u64,
    bars: Vec<Bar>,
}

/// C and Rust at one exit, in one mode.
struct Bar {
    x: u64,
    rust: u64,
    is_worse: bool,
    numbers: String,
}

impl Bar {
    fn of(cell: &Cell, x: u64) -> Self {
        let &Cell { c, rust, .. } = cell;
        let length = (LENGTH * rust).checked_div(c).unwrap_or(0);
        Self {
            x,
            rust: length.min(LENGTH * MOST_PERCENT / 100),
            is_worse: rust > c,
            numbers: format!("{} / {}, {}", number(c), number(rust), ratio(rust, c)),
        }
    }
}

impl Picture {
    fn new(report: &Report, quantity: Quantity) -> Self {
        let cells = quantity.cells(report);
        let has_mode = |mode: &Mode| cells.iter().any(|cell| cell.mode == *mode);
        let has_exit = |exit: &Exit| cells.iter().any(|cell| cell.exit == *exit);
        let places: Vec<(Mode, u64)> = (Mode::ALL.into_iter().filter(has_mode))
            .zip((LEFT..).step_by(COLUMN as usize))
            .collect();
        let exits: Vec<(Exit, u64)> = (Exit::ALL.into_iter().filter(has_exit))
            .zip((TOP..).step_by(ROW as usize))
            .collect();
        let bars = |exit| {
            let of_exit = cells.iter().filter(|cell| cell.exit == exit);
            let place = |cell: &Cell| places.iter().find(|(mode, _)| *mode == cell.mode);
            of_exit
                .filter_map(|cell| Some(Bar::of(cell, place(cell)?.1)))
                .collect()
        };
        Self {
            title: quantity.title(report.cpu),
            width: LEFT + COLUMN * places.len().max(3) as u64,
            height: TOP + ROW * exits.len() as u64 + 8,
            rows: exits
                .iter()
                .map(|&(exit, y)| Row {
                    exit: exit.name(),
                    y,
                    bars: bars(exit),
                })
                .collect(),
            columns: places
                .iter()
                .map(|&(mode, x)| Column {
                    mode: mode.name(),
                    x,
                })
                .collect(),
        }
    }
}

/// The picture of a quantity in `report`, as SVG, if it has any.
pub fn svg(report: &Report, quantity: Quantity) -> Result<Option<String>> {
    let picture = Picture::new(report, quantity);
    if picture.rows.iter().all(|row| row.bars.is_empty()) {
        return Ok(None);
    }
    let text = picture.render().context("the picture cannot be made")?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{figure, report};
    use super::*;

    #[test]
    fn the_picture_is_as_it_was() {
        insta::assert_snapshot!(svg(&report(), Quantity::Instructions).unwrap().unwrap());
    }

    #[test]
    fn each_quantity_has_a_picture_of_its_own() {
        let numbers = |quantity| {
            let picture = Picture::new(&report(), quantity);
            let bars = picture.rows.into_iter().flat_map(|row| row.bars);
            bars.map(|bar| bar.numbers).collect::<Vec<_>>()
        };
        let [instructions, accesses, cycles] = Quantity::ALL.map(numbers);
        assert_eq!(instructions[0], "1,000 / 800, 0.800");
        assert_eq!(accesses[0], "100 / 80, 0.800");
        // There is no estimate for that core.
        assert_eq!(cycles, [""; 0]);
        let of_v2 = numbers(Quantity::Cycles(Core::NeoverseV2));
        assert_eq!(of_v2, ["500 / 400, 0.800"]);
        let files: std::collections::BTreeSet<_> = Quantity::ALL.map(Quantity::file).into();
        assert_eq!(files.len(), Quantity::ALL.len());
    }

    #[test]
    fn bars_are_in_relation_to_that_of_c() {
        let (mode, exit) = (Mode::Vhe, Exit::Ipi);
        let bar = |c, rust| {
            Bar::of(
                &Cell {
                    mode,
                    exit,
                    c,
                    rust,
                },
                0,
            )
        };
        assert_eq!((bar(1000, 500).rust, bar(1000, 500).is_worse), (64, false));
        assert_eq!(
            (bar(1000, 1000).rust, bar(1000, 1000).is_worse),
            (128, false)
        );
        assert!(bar(1000, 1001).is_worse);
        assert_eq!(bar(10, 1000).rust, 140, "it stays in its column");
        assert_eq!(bar(14_056, 2000).numbers, "14,056 / 2,000, 0.142");
    }

    #[test]
    fn each_mode_is_a_column_and_each_exit_a_row() {
        let report = Report {
            figures: vec![
                figure(Mode::Vhe, Exit::Timer, 10, 9),
                figure(Mode::Vhe, Exit::Ipi, 10, 8),
                figure(Mode::Nvhe, Exit::Ipi, 10, 7),
            ],
            ..report()
        };
        let picture = Picture::new(&report, Quantity::Instructions);
        let modes: Vec<_> = picture.columns.iter().map(|c| (c.mode, c.x)).collect();
        assert_eq!(modes, [("vhe", LEFT), ("nvhe", LEFT + COLUMN)]);
        let places = |row: &Row| row.bars.iter().map(|bar| bar.x).collect::<Vec<_>>();
        let rows: Vec<_> = picture.rows.iter().map(|r| (r.exit, places(r))).collect();
        assert_eq!(
            rows,
            [("timer", vec![LEFT]), ("ipi", vec![LEFT, LEFT + COLUMN])]
        );
    }
}
