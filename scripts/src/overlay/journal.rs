// SPDX-License-Identifier: GPL-2.0
//! Changes of a tree that happen whole: everything is staged in a folder of
//! the tree, a journal says what goes where, and only then files move. A run
//! after a crash finishes a journal it finds, or drops what was only staged.

use super::patch::File;
use super::state::{State, STATE};
use crate::files;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const STAGE: &str = ".kvm-arm64-rust.stage";
const JOURNAL: &str = "journal.json";

/// What remains to be done once everything is staged.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journal {
    /// Path in the tree, and the number of the staged file that goes there or
    /// None where the path goes away.
    moves: Vec<(String, Option<usize>)>,
    /// Folders to remove where they are empty then, deepest first.
    folders: Vec<String>,
    /// The state of the tree afterwards; None: not applied.
    state: Option<State>,
}

/// True where an interrupted run left something.
pub fn is_pending(tree: &Path) -> bool {
    tree.join(STAGE).exists()
}

impl Journal {
    /// Stages `changes` of `tree`. Nothing outside the stage changes yet.
    pub fn stage(
        tree: &Path,
        changes: &BTreeMap<String, Option<File>>,
        folders: &BTreeSet<String>,
        state: Option<State>,
    ) -> Result<Self> {
        let stage = tree.join(STAGE);
        files::remove_all(&stage)?;
        fs::create_dir(&stage).with_context(|| format!("cannot make {}", stage.display()))?;
        let mut moves = Vec::new();
        for (number, (path, file)) in changes.iter().enumerate() {
            let Some(file) = file else {
                moves.push((path.clone(), None));
                continue;
            };
            let staged = stage.join(number.to_string());
            let write = || -> std::io::Result<()> {
                fs::write(&staged, &file.bytes)?;
                fs::set_permissions(&staged, fs::Permissions::from_mode(file.mode))?;
                fs::File::open(&staged)?.sync_all()
            };
            write().with_context(|| format!("cannot stage {path} in {}", stage.display()))?;
            moves.push((path.clone(), Some(number)));
        }
        let journal = Self {
            moves,
            folders: folders.iter().rev().cloned().collect(),
            state,
        };
        // From here on the change happens, now or after a crash.
        files::write_atomic(
            &stage.join(JOURNAL),
            serde_json::to_string(&journal)?.as_bytes(),
        )?;
        Ok(journal)
    }

    /// Moves what is staged to its place. Can be repeated after a crash at any
    /// point.
    pub fn finish(&self, tree: &Path) -> Result<()> {
        for number in 0..self.moves.len() {
            self.advance(tree, number)?;
        }
        for folder in &self.folders {
            // Not empty means that somebody else's files are in there.
            let _ = fs::remove_dir(tree.join(folder));
        }
        match &self.state {
            Some(state) => state.write(tree)?,
            None => files::remove_all(&tree.join(STATE))?,
        }
        files::remove_all(&tree.join(STAGE))
    }

    fn advance(&self, tree: &Path, number: usize) -> Result<()> {
        let (path, staged) = &self.moves[number];
        let place = tree.join(path);
        let Some(staged) = staged else {
            return files::remove_all(&place);
        };
        let staged = tree.join(STAGE).join(staged.to_string());
        // Not there any more: moved before the crash.
        if !staged.exists() {
            return Ok(());
        }
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::rename(&staged, &place).with_context(|| format!("cannot write {}", place.display()))
    }

    /// Finishes or drops what an interrupted run left. True if there was
    /// something to finish.
    pub fn recover(tree: &Path) -> Result<bool> {
        let stage = tree.join(STAGE);
        match fs::read(stage.join(JOURNAL)) {
            Ok(bytes) => {
                let journal: Self = serde_json::from_slice(&bytes)
                    .with_context(|| format!("cannot read {}", stage.join(JOURNAL).display()))?;
                journal.finish(tree)?;
                Ok(true)
            }
            Err(_) => files::remove_all(&stage).map(|()| false),
        }
    }

    /// Moves only the first `count` files, as a run that is killed would.
    #[cfg(test)]
    pub fn crash_after(&self, tree: &Path, count: usize) {
        for number in 0..count {
            self.advance(tree, number).unwrap();
        }
    }

    /// Number of moves.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.moves.len()
    }
}
