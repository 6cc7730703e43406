// SPDX-License-Identifier: GPL-2.0
//! Files of a tree, by their paths in it.

use crate::files;
use crate::overlay::patch::File;
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The file at `path` of the tree `root`, if there is one.
pub fn read(root: &Path, path: &str) -> Result<Option<File>> {
    let full = root.join(path);
    if !full.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
    let mode = fs::metadata(&full)?.permissions().mode() & 0o777;
    Ok(Some(File { bytes, mode }))
}

/// Puts `file` at `path` of the tree `root`, or nothing. What is there is replaced, not
/// written into: another tree may have it, too.
pub fn put(root: &Path, path: &str, file: Option<&File>) -> Result<()> {
    let full = root.join(path);
    files::remove_all(&full)?;
    let Some(file) = file else {
        return Ok(());
    };
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(full.parent().unwrap_or(root))?;
        fs::write(&full, &file.bytes)?;
        fs::set_permissions(&full, fs::Permissions::from_mode(file.mode))
    };
    write().with_context(|| format!("cannot write {}", full.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_tree_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        let file = |text: &str| File {
            bytes: text.into(),
            mode: 0o755,
        };
        put(&one, "a/b", Some(&file("first"))).unwrap();
        fs::create_dir_all(two.join("a")).unwrap();
        fs::hard_link(one.join("a/b"), two.join("a/b")).unwrap();
        put(&two, "a/b", Some(&file("second"))).unwrap();
        assert_eq!(read(&one, "a/b").unwrap(), Some(file("first")));
        assert_eq!(read(&two, "a/b").unwrap(), Some(file("second")));
        put(&two, "a/b", None).unwrap();
        assert_eq!(read(&two, "a/b").unwrap(), None);
    }
}
