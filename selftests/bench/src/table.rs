// SPDX-License-Identifier: GPL-2.0

//! The report as text.

use std::io::{self, Write};

use crate::report::{Outcome, Report, Row};

/// The whole text.
pub fn text(report: &Report) -> String {
    let mut text = report.head.lines();
    text += "\n";
    text += &line(["exit", "per", "ns", "min..max", "cycles", "instructions"].map(str::to_owned));
    text.extend(report.rows.iter().map(row));
    if !report.remarks.is_empty() {
        text += "\n";
    }
    for remark in &report.remarks {
        text += &format!("{remark}\n");
    }
    text
}

fn row(row: &Row) -> String {
    let name = row.exit.name();
    let figures = match &row.outcome {
        Outcome::Measured(figures) => figures,
        Outcome::Skipped(why) => return format!("{name:<18} skipped: {why}\n"),
    };
    let count = |count: Option<f64>| count.map_or_else(|| "-".to_owned(), |n| format!("{n:.0}"));
    let ns = figures.ns;
    line([
        name.to_owned(),
        row.unit.name().to_owned(),
        format!("{:.1}", ns.median),
        format!("{:.1}..{:.1}", ns.min, ns.max),
        count(figures.cycles),
        count(figures.instructions),
    ])
}

fn line([name, unit, ns, range, cycles, instructions]: [String; 6]) -> String {
    format!("{name:<18} {unit:<5} {ns:>11} {range:>23} {cycles:>9} {instructions:>12}\n")
}

/// Prints to a reader that may not be there any more, which is its own affair.
pub fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use crate::exit::Exit;
    use crate::head::Head;
    use crate::sample::{Figures, Sample};

    fn report() -> Report {
        let cpu = Cpu {
            number: 0,
            midr: None,
            name: None,
        };
        Report::new(Head::of_this_host(cpu, 1_000_000_000, 2))
    }

    fn samples() -> [Sample; 2] {
        [400, 500].map(|ticks| Sample {
            ticks: 4096 * ticks,
            cycles: Ok(4096 * 1234),
            instructions: Err("this host has none".to_owned()),
        })
    }

    #[test]
    fn columns_without_figures_have_a_reason_below() {
        let mut report = report();
        let figures = Figures::of(&samples(), 4096, 1_000_000_000).unwrap();
        report.add(Exit::Hypercall, Outcome::Measured(figures));
        report.add(Exit::FirstSve, Outcome::Skipped("no SVE".to_owned()));
        report.remark_missing(&samples());
        report.remark_missing(&samples());
        let text = text(&report);
        let table = text.split_once("\n\n").unwrap().1;
        assert_eq!(
            table,
            "exit               per            ns                min..max    cycles instructions\n\
             hypercall          exit        450.0            400.0..500.0      1234            -\n\
             first-sve          skipped: no SVE\n\
             \n\
             No instructions: this host has none.\n"
        );
    }

    #[test]
    fn the_file_has_what_the_table_has() {
        let mut report = report();
        let figures = Figures::of(&samples(), 4096, 1_000_000_000).unwrap();
        report.add(Exit::RunIdle, Outcome::Measured(figures));
        report.add(Exit::FirstSve, Outcome::Skipped("no SVE".to_owned()));
        let json = serde_json::to_value(&report).unwrap();
        let (first, second) = (&json["rows"][0], &json["rows"][1]);
        assert_eq!(first["exit"], "run-idle");
        assert_eq!(first["unit"], "round");
        assert_eq!(first["measured"]["ns"]["median"], 450.0);
        assert!(first["measured"]["instructions"].is_null());
        assert_eq!(second["skipped"], "no SVE");
        assert_eq!(json["head"]["counter_hz"], 1_000_000_000);
    }
}
