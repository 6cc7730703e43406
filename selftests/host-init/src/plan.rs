// SPDX-License-Identifier: GPL-2.0

//! What the host is to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The root that it is done in, where host-init is the first process.
    #[serde(default)]
    pub root: Root,
    /// What to run, one after the other. A step that fails does not keep the
    /// others from running.
    pub steps: Vec<Step>,
}

/// What becomes the root in the place of the initramfs.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// An overlay over the image on /dev/vda.
    #[default]
    Image,
    /// The ext4 file system on this device, which is written to.
    Disk(String),
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
        assert_eq!(plan.root, Root::Image);
        let text = r#"{"root":{"disk":"/dev/nvme0n1p2"},"steps":[]}"#;
        let plan: Plan = serde_json::from_str(text).unwrap();
        assert_eq!(plan.root, Root::Disk("/dev/nvme0n1p2".into()));
    }
}
