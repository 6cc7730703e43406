// SPDX-License-Identifier: GPL-2.0
//! Puts this repository's folders and patches into a kernel tree, and takes
//! them out again: zero fuzz, all or nothing, repeatable.

mod folders;
mod journal;
pub mod patch;
mod state;
#[cfg(test)]
mod tests;

pub use folders::{in_tree, Overlay};
pub use state::STATE;

use crate::digest;
use crate::error::hinted;
use crate::lock::Lock;
use crate::version::Version;
use anyhow::{Context, Result};
use journal::Journal;
use patch::{File, FilePatch};
use state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What bringing a tree up to date did.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was as it should be.
    Unchanged,
    /// So many files were written or removed.
    Changed(usize),
}

/// Puts `overlay` into `tree`, in place of an older one that is in there.
pub fn apply(tree: &Path, overlay: &Overlay) -> Result<Outcome> {
    let _lock = Lock::take_folder(tree)?;
    Journal::recover(tree)?;
    match plan(tree, Some(overlay))? {
        None => Ok(Outcome::Unchanged),
        Some(plan) => plan.carry_out(tree),
    }
}

/// True where `tree` has exactly `overlay` in it. Changes nothing.
pub fn is_applied(tree: &Path, overlay: &Overlay) -> Result<bool> {
    let _lock = Lock::take_folder(tree)?;
    Ok(!journal::is_pending(tree) && plan(tree, Some(overlay))?.is_none())
}

/// The version of `tree`, which is called `origin`. Fails unless it is supported, and says of a
/// newer one what of the overlay of `checkout` does not apply to it any more. Changes nothing.
pub fn supported(checkout: &Path, tree: &Path, origin: &str) -> Result<Version> {
    let version = Version::of_tree(tree)?;
    let Err(refusal) = version.check(origin) else {
        return Ok(version);
    };
    if !version.is_newer() {
        return Err(refusal);
    }
    let overlay = Overlay::read(checkout)?;
    let _lock = Lock::take_folder(tree)?;
    let (what, hint) = match plan(tree, Some(&overlay)) {
        Ok(_) => (
            "everything applies to it, which says nothing of whether it works".to_owned(),
            "`make distance` lists what has changed in the C that is replaced",
        ),
        Err(error) => (
            format!("{error:#}"),
            "`make distance` lists what else has changed; CONTRIBUTING.md says how to take it over",
        ),
    };
    Err(hinted(format!("{refusal:#}\n{what}"), hint))
}

/// Takes out of `tree` whatever [`apply`] put there.
pub fn reverse(tree: &Path) -> Result<Outcome> {
    let _lock = Lock::take_folder(tree)?;
    Journal::recover(tree)?;
    match plan(tree, None)? {
        None => Ok(Outcome::Unchanged),
        Some(plan) => plan.carry_out(tree),
    }
}

/// Paths in `tree` of what [`apply`] put there or changed, and of its record.
pub fn put_there(tree: &Path) -> Result<Vec<String>> {
    let Some(state) = State::read(tree)? else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<String> = state.files.into_keys().collect();
    for (name, text) in &state.patches {
        paths.extend(parse(name, text)?.into_iter().map(|patch| patch.path));
    }
    paths.push(STATE.to_owned());
    Ok(paths)
}

/// A change of a tree that was checked to the end but not begun.
struct Plan {
    changes: BTreeMap<String, Option<File>>,
    folders: BTreeSet<String>,
    state: Option<State>,
}

impl Plan {
    fn stage(&self, tree: &Path) -> Result<Journal> {
        Journal::stage(tree, &self.changes, &self.folders, self.state.clone())
    }

    fn carry_out(self, tree: &Path) -> Result<Outcome> {
        self.stage(tree)?.finish(tree)?;
        Ok(Outcome::Changed(self.changes.len()))
    }
}

/// The tree as it is, with changes on top that are only in memory.
struct View<'a> {
    tree: &'a Path,
    changes: BTreeMap<String, Option<File>>,
}

impl View<'_> {
    fn on_disk(&self, path: &str) -> Result<Option<File>> {
        let full = self.tree.join(path);
        let meta = match fs::symlink_metadata(&full) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", full.display())),
        };
        if !meta.is_file() {
            return Err(hinted(
                format!(
                    "{} is in the way: it is not an ordinary file",
                    full.display()
                ),
                "take a fresh copy of the tree",
            ));
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        Ok(Some(File {
            bytes,
            mode: meta.permissions().mode() & 0o777,
        }))
    }

    fn get(&self, path: &str) -> Result<Option<File>> {
        match self.changes.get(path) {
            Some(file) => Ok(file.clone()),
            None => self.on_disk(path),
        }
    }

    fn patch(&mut self, patch: &FilePatch) -> Result<()> {
        let before = self.get(&patch.path)?;
        let after = patch.apply(before.as_ref())?;
        self.changes.insert(patch.path.clone(), after);
        Ok(())
    }
}

fn parse(name: &str, text: &str) -> Result<Vec<FilePatch>> {
    patch::parse(text.as_bytes()).with_context(|| format!("patches/{name} cannot be read"))
}

/// Works out how `tree` gets `overlay` (None: gets rid of it), or says why it
/// cannot. None: nothing to do.
fn plan(tree: &Path, overlay: Option<&Overlay>) -> Result<Option<Plan>> {
    let old = State::read(tree)?;
    let none = Overlay::default();
    let new = overlay.unwrap_or(&none);
    let before = old.clone().unwrap_or_default();
    let mut view = View {
        tree,
        changes: BTreeMap::new(),
    };

    for (name, text) in before.patches.iter().rev() {
        for patch in parse(name, text)?.iter().rev() {
            view.patch(&patch.reversed()).map_err(|e| {
                hinted(
                    format!("{name} cannot be taken out of {}: {}: {e:#}", tree.display(), patch.path),
                    "the file was edited since the patch was applied: undo that, or take a fresh copy of the tree",
                )
            })?;
        }
    }
    for (path, recorded) in &before.files {
        let current = view.get(path)?;
        let wanted = new.files.get(path);
        let ours = match &current {
            None => true,
            Some(file) => {
                digest::of_bytes(&file.bytes) == *recorded
                    || wanted.is_some_and(|w| w.bytes == file.bytes)
            }
        };
        if !ours {
            return Err(hinted(
                format!("{}/{path} was edited in the tree", tree.display()),
                "take the edit over into this repository, then undo it in the tree",
            ));
        }
        if wanted.is_none() {
            view.changes.insert(path.clone(), None);
        }
    }
    for (path, file) in &new.files {
        if !before.files.contains_key(path) {
            // The same content can only be a copy of ours made by hand.
            if view
                .get(path)?
                .is_some_and(|there| there.bytes != file.bytes)
            {
                return Err(hinted(
                    format!(
                        "{}/{path} exists in the tree as something else",
                        tree.display()
                    ),
                    "this tree cannot take the files of this repository; nothing was changed",
                ));
            }
        }
        view.changes.insert(path.clone(), Some(file.clone()));
    }
    let mut problems = Vec::new();
    let mut broken = BTreeSet::new();
    let mut is_there = false;
    for (name, text) in &new.patches {
        for patch in parse(name, text)? {
            // What changes a file further fails for the same reason.
            if broken.contains(&patch.path) {
                continue;
            }
            if let Err(error) = view.patch(&patch) {
                is_there |= view.patch(&patch.reversed()).is_ok();
                problems.push(format!(
                    "patches/{name} does not apply to {}: {}: {error:#}",
                    tree.display(),
                    patch.path
                ));
                broken.insert(patch.path);
            }
        }
    }
    if !problems.is_empty() {
        let hint = if is_there {
            "the tree has this change already, but no record of it; nothing was changed"
        } else {
            "this tree does not match the patches; nothing was changed"
        };
        return Err(hinted(problems.join("\n"), hint));
    }

    let mut changes = BTreeMap::new();
    for (path, file) in &view.changes {
        if view.on_disk(path)? != *file {
            changes.insert(path.clone(), file.clone());
        }
    }
    let mut folders = before.folders;
    for (path, file) in &changes {
        if file.is_some() {
            folders.extend(missing_folders(tree, path));
        }
    }
    let state = overlay.map(|overlay| State {
        files: overlay
            .files
            .iter()
            .map(|(path, file)| (path.clone(), digest::of_bytes(&file.bytes)))
            .collect(),
        patches: overlay.patches.clone(),
        folders: folders.clone(),
    });
    if changes.is_empty() && state == old {
        return Ok(None);
    }
    Ok(Some(Plan {
        changes,
        folders,
        state,
    }))
}

/// The folders above `path` that `tree` does not have.
fn missing_folders(tree: &Path, path: &str) -> Vec<String> {
    path.match_indices('/')
        .map(|(end, _)| path[..end].to_owned())
        .filter(|folder| !tree.join(folder).exists())
        .collect()
}
