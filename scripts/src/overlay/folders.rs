// SPDX-License-Identifier: GPL-2.0
//! The folders of this repository and where they go in the kernel tree.

use super::patch::File;
use crate::error::hinted;
use crate::files;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use walkdir::WalkDir;

/// The only place that knows the way from here into the tree.
const PLACES: [(&str, &str); 6] = [
    ("Kconfig", "arch/arm64/kvm/rust/Kconfig"),
    ("Kbuild", "arch/arm64/kvm/rust/Kbuild"),
    ("arch-arm64-kvm", "arch/arm64/kvm/rust"),
    ("rust", "rust"),
    ("selftests", "tools/testing/selftests/kvm_arm64_rust"),
    ("Documentation", "Documentation/virt/kvm/arm/rust"),
];

/// What a file of this repository is called in the kernel tree, if it goes there.
pub fn in_tree(path: &str) -> Option<String> {
    PLACES.iter().find_map(|(here, there)| {
        let rest = path.strip_prefix(here)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{there}{rest}"))
    })
}

/// What is to be put into a tree.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Files by their path in the tree.
    pub files: BTreeMap<String, File>,
    /// Names and texts of the patches, in order.
    pub patches: Vec<(String, String)>,
}

impl Overlay {
    /// Reads the folders and patches of `checkout`; what is absent is empty.
    pub fn read(checkout: &Path) -> Result<Self> {
        let mut overlay = Self::default();
        for (here, there) in PLACES {
            overlay.read_folder(&checkout.join(here), there)?;
        }
        let folder = checkout.join("patches");
        if folder.is_dir() {
            for entry in fs::read_dir(&folder)
                .with_context(|| format!("cannot read {}", folder.display()))?
            {
                let path = entry
                    .with_context(|| format!("cannot read {}", folder.display()))?
                    .path();
                if path.extension().is_some_and(|e| e == "patch") {
                    let name = path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned();
                    let text = files::read_text(&path)?;
                    overlay.patches.push((name, text));
                }
            }
        }
        overlay.patches.sort();
        Ok(overlay)
    }

    /// Paths in the tree of all that it puts there or changes.
    pub fn paths(&self) -> Result<BTreeSet<String>> {
        let mut paths: BTreeSet<String> = self.files.keys().cloned().collect();
        for (name, text) in &self.patches {
            paths.extend(
                super::parse(name, text)?
                    .into_iter()
                    .map(|patch| patch.path),
            );
        }
        Ok(paths)
    }

    fn read_folder(&mut self, here: &Path, there: &str) -> Result<()> {
        if !here.exists() {
            return Ok(());
        }
        // Build results and what editors leave are not part of the overlay.
        let walk = WalkDir::new(here)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|e| {
                let name = e.file_name().to_string_lossy();
                let leftover =
                    name.ends_with('~') || name.ends_with(".orig") || name.ends_with(".rej");
                e.depth() == 0 || !(name.starts_with('.') || name == "target" || leftover)
            });
        for entry in walk {
            let entry = entry.with_context(|| format!("cannot read {}", here.display()))?;
            if !entry.file_type().is_file() {
                continue;
            }
            let inner = entry
                .path()
                .strip_prefix(here)
                .context("walks stay in their folder")?;
            let path = match inner.to_str() {
                Some("") => there.to_owned(),
                Some(inner) => format!("{there}/{inner}"),
                None => {
                    return Err(hinted(
                        format!("{} is not valid UTF-8", entry.path().display()),
                        "rename the file",
                    ))
                }
            };
            let bytes = fs::read(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            let executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mode = if executable { 0o755 } else { 0o644 };
            if self
                .files
                .insert(path.clone(), File { bytes, mode })
                .is_some()
            {
                return Err(hinted(
                    format!("two files of this repository go to {path}"),
                    "rename one of them",
                ));
            }
        }
        Ok(())
    }
}

impl Overlay {
    /// Changes whenever any file or patch does.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for (path, file) in &self.files {
            text.push_str(&format!(
                "{path} {:o} {}\n",
                file.mode,
                crate::digest::of_bytes(&file.bytes)
            ));
        }
        for (name, patch) in &self.patches {
            text.push_str(&format!(
                "{name} {}\n",
                crate::digest::of_bytes(patch.as_bytes())
            ));
        }
        crate::digest::of_bytes(text.as_bytes())
    }
}
