// SPDX-License-Identifier: GPL-2.0
//! What was measured, as tables of text.

use super::figures::{Figure, Report};
use super::limits::Limits;
use crate::report::ratio;
use crate::table;

/// All tables.
pub fn tables(report: &Report, limits: &Limits) -> String {
    let mut text = instructions(&report.figures, limits);
    text.push_str("\nC / Rust:\n");
    text.push_str(&counts(&report.figures));
    if !report.sizes.is_empty() {
        text.push('\n');
        text.push_str(&sizes(report, limits));
    }
    if !report.estimates.is_empty() {
        text.push('\n');
        text.push_str(&estimates(report));
    }
    text
}

/// Instructions, and what is required.
fn instructions(figures: &[Figure], limits: &Limits) -> String {
    let row = |figure: &Figure| {
        let (c, rust) = figure.instructions();
        vec![
            figure.exit.name().to_owned(),
            figure.mode.name().to_owned(),
            c.to_string(),
            rust.to_string(),
            ratio(rust, c),
            limits.required(figure),
        ]
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    table::render(
        &["exit", "mode", "C", "Rust", "Rust / C", "required"],
        &rows,
    )
}

/// All else that is counted.
fn counts(figures: &[Figure]) -> String {
    let mut head = vec!["exit", "mode"];
    let names = figures.first().map(|figure| figure.c.counts.rows());
    head.extend(names.iter().flatten().map(|(name, _)| *name));
    let row = |figure: &Figure| {
        let rows = figure
            .c
            .counts
            .rows()
            .into_iter()
            .zip(figure.rust.counts.rows());
        let cells = rows.map(|((_, c), (_, rust))| format!("{c} / {rust}"));
        let place = [figure.exit.name(), figure.mode.name()].map(str::to_owned);
        place.into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    table::render(&head, &rows)
}

fn sizes(report: &Report, limits: &Limits) -> String {
    let row = |size: &super::sizes::Size| {
        vec![
            size.what.clone(),
            size.c.to_string(),
            size.rust.to_string(),
            ratio(size.rust, size.c),
            limits.required_size(size),
        ]
    };
    let rows: Vec<Vec<String>> = report.sizes.iter().map(row).collect();
    table::render(&["bytes", "C", "Rust", "Rust / C", "required"], &rows)
}

fn estimates(report: &Report) -> String {
    let row = |estimate: &super::mca::Estimate| {
        vec![
            estimate.exit.name().to_owned(),
            estimate.mode.name().to_owned(),
            estimate.core.name().to_owned(),
            estimate.c.to_string(),
            estimate.rust.to_string(),
            ratio(estimate.rust, estimate.c),
        ]
    };
    let rows: Vec<Vec<String>> = report.estimates.iter().map(row).collect();
    let head = ["ESTIMATED cycles", "mode", "core", "C", "Rust", "Rust / C"];
    format!("{}{}\n", table::render(&head, &rows), report.estimates_note)
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::report;
    use super::*;

    #[test]
    fn the_tables_are_as_they_were() {
        let mut report = report();
        report.figures.truncate(2);
        let expected = "\
exit       mode  C      Rust   Rust / C  required
hypercall  vhe   1000   800    0.800
ipi        vhe   20000  21000  1.050     ratio <= 1.00: NOT MET

C / Rust:
exit       mode  instructions   MSR          MRS    ISB    DSB    ERET   vector moves  loads  stores
hypercall  vhe   1000 / 800     100 / 80     0 / 0  0 / 0  0 / 0  0 / 0  32 / 0        0 / 0  0 / 0
ipi        vhe   20000 / 21000  2000 / 2100  0 / 0  0 / 0  0 / 0  0 / 0  32 / 0        0 / 0  0 / 0

bytes            C   Rust  Rust / C  required
struct kvm_vcpu  10  10    1.000     <= C: met

ESTIMATED cycles  mode  core         C    Rust  Rust / C
hypercall         vhe   neoverse-v2  500  400   0.800
estimates
";
        assert_eq!(tables(&report, &Limits::default()), expected);
    }
}
