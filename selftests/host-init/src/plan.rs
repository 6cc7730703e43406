// SPDX-License-Identifier: GPL-2.0

//! What the host is to do, from /plan.json in its initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What to run, one after the other. A step that fails does not keep the
    /// others from running.
    pub steps: Vec<Step>,
}

/// A program to run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name in reports and in the console log.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Seconds after which it is killed.
    pub timeout_s: u64,
    /// Working directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Additional environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl Plan {
    /// Reads the plan at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("there is no plan at {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a plan", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_and_a_misspelt_field_refused() {
        let text = r#"{"steps":[{"name":"a","argv":["/x","-y"],"timeout_s":3}]}"#;
        let plan: Plan = serde_json::from_str(text).unwrap();
        assert_eq!(plan.steps[0].argv, ["/x", "-y"]);
        assert!(serde_json::from_str::<Plan>(&text.replace("timeout_s", "timeout")).is_err());
    }
}
