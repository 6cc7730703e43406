// SPDX-License-Identifier: GPL-2.0
//! What a run of the tests came to, as a file: results.json among its logs. It
//! is written however the run ends, unless it is interrupted.

use crate::context::{self, Context};
use crate::error::hinted;
use crate::explored::Explored;
use crate::files;
use crate::host_row::HostRow;
use crate::libtest::UnitTest;
use crate::matrix::Level;
use crate::results::Results;
use crate::trace::{Allowed, Costs};
use crate::unsafe_count::LayerCount;
use crate::versions::{self, Version};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the file.
const NAME: &str = "results.json";

/// What a run of the tests came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// How much was tested.
    pub level: Level,
    /// Only hosts and traces with this in their names, if anything.
    #[serde(default)]
    pub only: String,
    /// When it began, in UTC, as YYYYMMDD-HHMMSS.
    pub date: String,
    /// How long it took.
    #[serde(default)]
    pub seconds: u64,
    /// What was tested.
    pub commit: Option<String>,
    /// With which kernel, and which tools.
    pub versions: Vec<Version>,
    /// Why it was given up, if it was.
    #[serde(default)]
    pub given_up: Option<String>,
    /// The tests.
    pub tests: Results,
    /// Those of cargo, which are one test each of `tests`.
    #[serde(default)]
    pub unit_tests: Vec<UnitTest>,
    /// The hosts.
    #[serde(default)]
    pub hosts: Vec<HostRow>,
    /// Instructions of exits.
    #[serde(default)]
    pub costs: Vec<Costs>,
    /// Differences between traces that are wanted.
    #[serde(default)]
    pub trace_differences: Allowed,
    /// What was explored.
    #[serde(default)]
    pub explored: Vec<Explored>,
    /// Unsafe code.
    #[serde(default)]
    pub unsafe_code: Vec<LayerCount>,
}

impl Record {
    /// One of a run that begins.
    pub fn new(ctx: &Context, level: Level, only: &str) -> Self {
        Self {
            level,
            only: only.to_owned(),
            date: context::now(),
            seconds: 0,
            commit: versions::commit(ctx),
            versions: Vec::new(),
            given_up: None,
            tests: Results::default(),
            unit_tests: Vec::new(),
            hosts: Vec::new(),
            costs: Vec::new(),
            trace_differences: Allowed::default(),
            explored: Vec::new(),
            unsafe_code: Vec::new(),
        }
    }

    /// Where the record of this run is.
    pub fn path(ctx: &Context) -> PathBuf {
        ctx.logs.join(NAME)
    }

    /// Writes it.
    pub fn write(&self, ctx: &Context) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        files::write_atomic(&Self::path(ctx), &json)
    }

    /// Reads one.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            hinted(
                format!("{} is not the record of a run: {error}", path.display()),
                "make test writes one that this version reads",
            )
        })
    }

    /// The record of the run that began last, among the logs in `folder`.
    pub fn newest(folder: &Path) -> Result<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let records = entries.map(|entry| entry.path().join(NAME));
        // Names of log folders sort by age.
        records.filter(|path| path.is_file()).max().ok_or_else(|| {
            hinted(
                format!(
                    "no run of the tests has left its results in {}",
                    folder.display()
                ),
                "make test, or make test-quick",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let error = Record::newest(dir.path()).unwrap_err();
        assert_eq!(
            crate::error::hint(&error),
            Some("make test, or make test-quick")
        );
        for (folder, has) in [
            ("20261125-235959-test-1", true),
            ("20261126-000000-test-1", true),
            ("20261126-000001-run-1", false),
        ] {
            let folder = dir.path().join(folder);
            fs::create_dir(&folder).unwrap();
            if has {
                fs::write(folder.join(NAME), "{}").unwrap();
            }
        }
        let newest = Record::newest(dir.path()).unwrap();
        assert!(newest.ends_with("20261126-000000-test-1/results.json"));
        let error = Record::read(&newest).unwrap_err().to_string();
        assert!(error.contains("missing field `level`"), "{error}");
    }
}
