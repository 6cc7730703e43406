// SPDX-License-Identifier: GPL-2.0
//! What something was built from, in a file beside it. It is there only if the build came to
//! its end.

use crate::files;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Such a file.
#[derive(Debug)]
pub struct Stamp(PathBuf);

impl Stamp {
    /// That of what is at `path`.
    pub fn of(path: &Path) -> Self {
        Self(files::beside(path, "stamp"))
    }

    /// What it was built from, as a digest. `None`: it has not been, or not to the end.
    pub fn signature(&self) -> Option<String> {
        fs::read_to_string(&self.0).ok()
    }

    /// Whether it has been built, from whatever.
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Whether it has been built from what has this digest.
    pub fn is(&self, signature: &str) -> bool {
        self.signature().is_some_and(|found| found == signature)
    }

    /// Says that what is there is no longer what was built.
    pub fn remove(&self) -> Result<()> {
        files::remove_all(&self.0)
    }

    /// Says that it has been built from what has this digest.
    pub fn write(&self, signature: &str) -> Result<()> {
        files::write_atomic(&self.0, signature.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_built_to_the_end_has_one() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = Stamp::of(&dir.path().join("out"));
        assert!(!stamp.exists() && stamp.signature().is_none() && !stamp.is(""));
        stamp.write("one").unwrap();
        assert!(stamp.exists() && stamp.is("one") && !stamp.is("two"));
        assert!(dir.path().join("out.stamp").exists());
        stamp.remove().unwrap();
        assert!(!stamp.exists());
        stamp.remove().unwrap();
    }
}
