// SPDX-License-Identifier: GPL-2.0
//! The comparison as a picture: for each exit a bar for C and one for Rust.

use super::figures::{Figure, Report};
use crate::report::{number, ratio};
use anyhow::{Context as _, Result};
use askama::Template;

/// Where bars begin.
const LEFT: u64 = 170;
/// How long the bar of C is; that of Rust is in relation to it.
const LENGTH: u64 = 420;
/// How much longer than that of C a bar is at most.
const MOST_PERCENT: u64 = 130;
/// From one exit to the next.
const ROW: u64 = 34;
/// What a mode takes on top of its exits.
const HEAD: u64 = 40;
/// What is above the first mode, with the legend.
const TOP: u64 = 64;

/// The picture.
#[derive(Template)]
#[template(path = "bench/bench.svg")]
struct Picture {
    cpu: &'static str,
    height: u64,
    groups: Vec<Group>,
}

/// The exits of a mode.
struct Group {
    mode: &'static str,
    y: u64,
    bars: Vec<Bars>,
}

/// C and Rust at one exit.
struct Bars {
    exit: &'static str,
    y: u64,
    rust: u64,
    is_worse: bool,
    numbers: String,
}

impl Bars {
    fn of(figure: &Figure, y: u64) -> Self {
        let (c, rust) = figure.instructions();
        let length = (LENGTH * rust).checked_div(c).unwrap_or(0);
        Self {
            exit: figure.exit.name(),
            y,
            rust: length.min(LENGTH * MOST_PERCENT / 100),
            is_worse: rust > c,
            numbers: format!("{} / {}, {}", number(c), number(rust), ratio(rust, c)),
        }
    }
}

impl Picture {
    fn new(report: &Report) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut y = TOP;
        for figures in report.figures.chunk_by(|a, b| a.mode == b.mode) {
            let first = y + HEAD;
            let bars = figures.iter().zip(0..);
            groups.push(Group {
                mode: figures[0].mode.name(),
                y: y + HEAD / 2,
                bars: bars
                    .map(|(f, row)| Bars::of(f, first + ROW * row))
                    .collect(),
            });
            y = first + ROW * figures.len() as u64;
        }
        Self {
            cpu: report.cpu.name(),
            height: y + 16,
            groups,
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
    use crate::host::Mode;
    use crate::trace::Exit;

    #[test]
    fn the_picture_is_as_it_was() {
        insta::assert_snapshot!(svg(&report()).unwrap());
    }

    #[test]
    fn bars_are_in_relation_to_that_of_c() {
        let bars = |c, rust| Bars::of(&figure(Mode::Vhe, Exit::Ipi, c, rust), 0);
        assert_eq!(
            (bars(1000, 500).rust, bars(1000, 500).is_worse),
            (210, false)
        );
        assert_eq!(
            (bars(1000, 1000).rust, bars(1000, 1000).is_worse),
            (420, false)
        );
        assert!(bars(1000, 1001).is_worse);
        assert_eq!(bars(10, 1000).rust, 546, "it stays in the picture");
        assert_eq!(bars(14_056, 2000).numbers, "14,056 / 2,000, 0.142");
    }
}
