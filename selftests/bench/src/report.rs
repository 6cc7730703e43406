// SPDX-License-Identifier: GPL-2.0

//! All that was measured: what the table and the JSON file show.

use serde::Serialize;

use crate::exit::{Exit, Unit};
use crate::head::Head;
use crate::sample::{Figures, Sample};

/// A run of this program.
#[derive(Debug, Serialize)]
pub struct Report {
    pub head: Head,
    pub rows: Vec<Row>,
    /// What has to be known to read the figures.
    pub remarks: Vec<String>,
}

/// An exit.
#[derive(Debug, Serialize)]
pub struct Row {
    pub exit: Exit,
    /// What the figures are for.
    pub unit: Unit,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Measured(Figures),
    /// It cannot be measured here, for this reason.
    Skipped(String),
}

impl Report {
    /// One without exits.
    pub fn new(head: Head) -> Self {
        Self {
            head,
            rows: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds an exit.
    pub fn add(&mut self, exit: Exit, outcome: Outcome) {
        let unit = exit.unit();
        self.rows.push(Row {
            exit,
            unit,
            outcome,
        });
    }

    /// Adds a remark, unless it is there.
    pub fn remark(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Says why events are missing, of rounds that lack some.
    pub fn remark_missing(&mut self, samples: &[Sample]) {
        for sample in samples {
            let kinds = [
                ("cycles", &sample.cycles),
                ("instructions", &sample.instructions),
            ];
            for (kind, counted) in kinds {
                if let Err(why) = counted {
                    self.remark(format!("No {kind}: {why}."));
                }
            }
        }
    }
}
