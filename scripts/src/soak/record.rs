// SPDX-License-Identifier: GPL-2.0
//! What is kept of a soak: its numbers, and what a failure leaves behind.

use super::report::Report;
use crate::boot::Outcome;
use crate::console;
use crate::context::{self, Context};
use crate::files;
use crate::host::Mode;
use crate::versions;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A soak in all its modes.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// When it ended.
    pub date: String,
    /// The commit of the checkout, with a `+` where it was changed since.
    pub commit: String,
    /// The seed.
    pub seed: u64,
    /// What came of it in each mode.
    pub modes: &'a [InMode],
}

/// What came of it in a mode.
#[derive(Debug, Serialize)]
pub struct InMode {
    /// The mode.
    pub mode: &'static str,
    /// How long it was.
    pub seconds: u64,
    /// Comparisons of all registers.
    pub checks: u64,
    /// Those that found something else.
    pub corruptions: u64,
    /// Warnings of the kernel.
    pub warnings: usize,
    /// What else was counted.
    #[serde(flatten)]
    pub counters: BTreeMap<String, u64>,
    /// What was wrong.
    pub problems: Vec<String>,
}

impl InMode {
    /// By the last report of a host, which may be one of progress, and its outcome.
    pub fn new(mode: Mode, report: &Report, warnings: usize, problems: Vec<String>) -> Self {
        Self {
            mode: mode.name(),
            seconds: report.seconds,
            checks: report.checks(),
            corruptions: report.corruptions(),
            warnings,
            counters: report.counters.clone(),
            problems,
        }
    }
}

/// Its name, among the results.
pub const NAME: &str = "soak.json";

/// Where it is.
pub fn path(ctx: &Context) -> PathBuf {
    ctx.result(NAME)
}

/// Writes the record.
pub fn write(ctx: &Context, seed: u64, modes: &[InMode]) -> Result<()> {
    let record = Record {
        date: context::now(),
        commit: versions::commit(ctx).unwrap_or_else(|| "unknown".to_owned()),
        seed,
        modes,
    };
    let mut text = serde_json::to_string_pretty(&record)?;
    text.push('\n');
    files::write_atomic(&path(ctx), text.as_bytes())
}

/// What a failure leaves behind, where no later run removes it.
#[derive(Debug)]
pub struct Remains {
    /// The console log of the host.
    pub log: PathBuf,
    /// The kernel's messages in it.
    pub dmesg: PathBuf,
    /// The seed, the command that runs it again, and what was wrong.
    pub note: PathBuf,
}

/// Keeps what there is of a host on which something was wrong.
pub fn keep(folder: &Path, mode: Mode, outcome: &Outcome, note: &str) -> Result<Remains> {
    let place = |name: &str| folder.join(format!("{}.{name}", mode.name()));
    let remains = Remains {
        log: place("log"),
        dmesg: place("dmesg"),
        note: place("txt"),
    };
    files::write_atomic(&remains.note, note.as_bytes())?;
    files::write_atomic(
        &remains.dmesg,
        console::kernel_messages(&outcome.console).as_bytes(),
    )?;
    match fs::copy(&outcome.log, &remains.log) {
        // QEMU may not have come to write one.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => {
            result.with_context(|| format!("cannot copy {}", outcome.log.display()))?;
        }
    }
    Ok(remains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_recorded_with_its_numbers() {
        let report = Report {
            seed: 1,
            seconds: 60,
            counters: [("guests", 3), ("hotplugs", 4), ("host_checks", 5)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            failures: Vec::new(),
        };
        let json = serde_json::to_value(InMode::new(Mode::Nvhe, &report, 0, vec![])).unwrap();
        assert_eq!(
            (&json["mode"], &json["seconds"]),
            (&"nvhe".into(), &60.into())
        );
        assert_eq!((&json["guests"], &json["hotplugs"]), (&3.into(), &4.into()));
        assert_eq!(
            (&json["checks"], &json["corruptions"]),
            (&5.into(), &0.into())
        );
        assert_eq!(json["warnings"], 0);
    }

    #[test]
    fn a_failure_leaves_log_dmesg_and_seed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("host.log");
        let console = "[soak] seed 5\n[    1.000000] BUG: x\n";
        fs::write(&log, console).unwrap();
        let outcome = Outcome {
            console: console.to_owned(),
            log,
            ..Default::default()
        };
        let folder = dir.path().join("failed");
        let remains = keep(&folder, Mode::Vhe, &outcome, "seed 5\n").unwrap();
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(text(&remains.log), console);
        assert_eq!(text(&remains.dmesg), "[    1.000000] BUG: x\n");
        assert_eq!(text(&remains.note), "seed 5\n");
    }
}
