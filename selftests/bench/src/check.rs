// SPDX-License-Identifier: GPL-2.0

//! `--check`: whether figures can be right.

use anyhow::{ensure, Result};

use crate::report::{Outcome, Report};

/// Fails where an exit took no time, or nothing was executed for it, or there was none at all.
pub fn check(report: &Report) -> Result<()> {
    let mut measured = 0;
    for row in &report.rows {
        let Outcome::Measured(figures) = &row.outcome else {
            continue;
        };
        measured += 1;
        let name = row.exit.name();
        ensure!(figures.ns.min > 0.0, "{name} took no time");
        ensure!(figures.cycles != Some(0.0), "{name} took no cycles");
        ensure!(
            figures.instructions != Some(0.0),
            "{name} took no instructions"
        );
    }
    ensure!(measured > 0, "nothing was measured");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use crate::exit::Exit;
    use crate::head::Head;
    use crate::sample::{Counted, Figures, Sample};

    fn checked(samples: &[(u64, Counted)]) -> Result<()> {
        let cpu = Cpu {
            number: 0,
            midr: None,
            name: None,
        };
        let mut report = Report::new(Head::of_this_host(cpu, 1_000_000_000, 1));
        report.add(Exit::FirstSve, Outcome::Skipped("no SVE".to_owned()));
        for (ticks, instructions) in samples {
            let sample = Sample {
                ticks: *ticks,
                cycles: Err("none".to_owned()),
                instructions: instructions.clone(),
            };
            let figures = Figures::of(&[sample], 4096, 1_000_000_000).unwrap();
            report.add(Exit::Timer, Outcome::Measured(figures));
        }
        check(&report)
    }

    #[test]
    fn figures_that_cannot_be_are_noticed() {
        let none = || Err("none".to_owned());
        assert!(checked(&[(5000, Ok(7)), (1, none())]).is_ok());
        assert!(checked(&[(5000, Ok(7)), (0, none())]).is_err());
        assert!(checked(&[(5000, Ok(0))]).is_err());
        assert!(checked(&[]).is_err());
    }
}
