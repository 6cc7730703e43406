// SPDX-License-Identifier: GPL-2.0
//! What two servers and their guest came to, for the table.

use super::plans::{FIRST, SECOND};
use crate::boot::Outcome;
use crate::host::Cpu;
use serde::Deserialize;

/// The head of the table.
pub const HEAD: [&str; 8] = [
    "CPU",
    "Rust up",
    "C up",
    "guest up",
    "longest SVE vector",
    "migrations",
    "guest's checks",
    "host tasks' checks",
];

/// What `selftests/server` reports on the first server.
#[derive(Debug, Deserialize)]
struct Guest {
    guest: Boot,
    stays: Vec<Stay>,
    #[serde(flatten)]
    tasks: Tasks,
}

#[derive(Debug, Deserialize)]
struct Boot {
    boot_ms: u64,
    sve_vl: u64,
}

#[derive(Debug, Deserialize)]
struct Stay {
    migration_ms: u64,
    checks: u64,
}

/// What it reports on the second one.
#[derive(Debug, Deserialize)]
struct Tasks {
    host_checks: u64,
}

/// A step's last report, if it is one.
fn reported<T: for<'a> Deserialize<'a>>(outcome: &Outcome, step: &str) -> Option<T> {
    let end = outcome.ends.iter().find(|end| end.name == step)?;
    serde_json::from_value(end.output.last()?.clone()).ok()
}

/// A row of the table.
pub fn row(cpu: Cpu, outcomes: Option<&[Outcome; 2]>) -> Vec<String> {
    let mut row = vec![cpu.name().to_owned()];
    let cells = outcomes.and_then(cells);
    row.extend(cells.unwrap_or_else(|| vec!["-".to_owned(); HEAD.len() - 1]));
    row
}

fn cells([first, second]: &[Outcome; 2]) -> Option<Vec<String>> {
    let guest: Guest = reported(first, FIRST)?;
    let tasks: Tasks = reported(second, SECOND)?;
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    let vector = match guest.guest.sve_vl {
        0 => "none".to_owned(),
        bytes => format!("{} bits", bytes * 8),
    };
    let migrations: Vec<_> = guest.stays.iter().skip(1).collect();
    let times: Vec<_> = migrations
        .iter()
        .map(|stay| seconds(stay.migration_ms))
        .collect();
    let checks: u64 = guest.stays.iter().map(|stay| stay.checks).sum();
    Some(vec![
        seconds(first.boot_ms),
        seconds(second.boot_ms),
        seconds(guest.guest.boot_ms),
        vector,
        times.join(", "),
        checks.to_string(),
        (guest.tasks.host_checks + tasks.host_checks).to_string(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    fn outcome(step: &str, text: &str) -> Outcome {
        Outcome {
            ends: vec![plan::End {
                name: step.to_owned(),
                outcome: plan::Outcome::Exited,
                code: 0,
                seconds: 1.0,
                output_tail: String::new(),
                output: vec![serde_json::from_str(text).unwrap()],
            }],
            boot_ms: 30_000,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_row_has_what_both_servers_report() {
        // As a test of selftests/server has it.
        let first = r#"{"guest":{"boot_ms":1500,"kernel":"7.3.4","sve_vl":32},"stays":[
            {"address":"10.0.0.1","migration_ms":0,"checks":1,"corruptions":0},
            {"address":"10.0.0.2","migration_ms":700,"checks":5,"corruptions":0}],
            "host_checks":2,"host_corruptions":0}"#;
        let second = r#"{"host_checks":3,"host_corruptions":0}"#;
        let both = [outcome(FIRST, first), outcome(SECOND, second)];
        let row = row(Cpu::NeoverseV1, Some(&both));
        assert_eq!(row.len(), HEAD.len());
        assert_eq!(
            row[1..],
            ["30.0 s", "30.0 s", "1.5 s", "256 bits", "0.7 s", "6", "5"]
        );
    }

    #[test]
    fn what_did_not_come_to_its_end_has_no_figures() {
        let row = row(Cpu::NeoverseN1, None);
        assert_eq!(row.len(), HEAD.len());
        assert!(row[1..].iter().all(|cell| cell == "-"));
    }
}
