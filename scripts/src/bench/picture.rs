// SPDX-License-Identifier: GPL-2.0
//! The comparison as a picture: a row for each exit, and a column for each mode.

use super::figures::{Figure, Report};
use crate::host::Mode;
use crate::report::{number, ratio};
use crate::trace::Exit;
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

/// The picture.
#[derive(Template)]
#[template(path = "bench/bench.svg")]
struct Picture {
    cpu: &'static str,
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
    fn of(figure: &Figure, x: u64) -> Self {
        let (c, rust) = figure.instructions();
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
    fn new(report: &Report) -> Self {
        let has_mode = |mode: &Mode| report.figures.iter().any(|f| f.mode == *mode);
        let has_exit = |exit: &Exit| report.figures.iter().any(|f| f.exit == *exit);
        let places: Vec<(Mode, u64)> = (Mode::ALL.into_iter().filter(has_mode))
            .zip((LEFT..).step_by(COLUMN as usize))
            .collect();
        let exits: Vec<(Exit, u64)> = (Exit::ALL.into_iter().filter(has_exit))
            .zip((TOP..).step_by(ROW as usize))
            .collect();
        let bars = |exit| {
            let of_exit = report.figures.iter().filter(move |f| f.exit == exit);
            let place = |figure: &Figure| places.iter().find(|(mode, _)| *mode == figure.mode);
            of_exit
                .filter_map(|figure| Some(Bar::of(figure, place(figure)?.1)))
                .collect()
        };
        Self {
            cpu: report.cpu.name(),
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

/// The picture of `report`, as SVG.
pub fn svg(report: &Report) -> Result<String> {
    Picture::new(report)
        .render()
        .context("the picture cannot be made")
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{figure, report};
    use super::*;

    #[test]
    fn the_picture_is_as_it_was() {
        insta::assert_snapshot!(svg(&report()).unwrap());
    }

    #[test]
    fn bars_are_in_relation_to_that_of_c() {
        let bar = |c, rust| Bar::of(&figure(Mode::Vhe, Exit::Ipi, c, rust), 0);
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
        let picture = Picture::new(&report);
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
