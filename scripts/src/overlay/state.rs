// SPDX-License-Identifier: GPL-2.0
//! What was put into a tree, kept in the tree.

use crate::error::hinted;
use crate::files;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Name of the state file in the tree.
pub const STATE: &str = ".kvm-arm64-rust.json";

/// What was put into a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Files of the folders, with their digests.
    pub files: BTreeMap<String, String>,
    /// Names and texts of the patches, in the order they were applied.
    pub patches: Vec<(String, String)>,
    /// Folders that did not exist before.
    pub folders: BTreeSet<String>,
}

impl State {
    /// Reads the state of `tree`; None: nothing was applied.
    pub fn read(tree: &Path) -> Result<Option<Self>> {
        let path = tree.join(STATE);
        let Ok(bytes) = fs::read(&path) else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            hinted(
                format!("{} cannot be read: {e}", path.display()),
                "take a fresh copy of the tree, or restore that file",
            )
        })
    }

    /// Writes the state of `tree`.
    pub fn write(&self, tree: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot write the state")?;
        files::write_atomic(&tree.join(STATE), text.as_bytes())
    }
}
