// SPDX-License-Identifier: GPL-2.0
//! Locks between runs: whoever comes second waits and says so.

use crate::progress::Ui;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

/// Holds an exclusive lock until dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its file descriptor")] File);

fn flock(file: &File, flags: libc::c_int) -> std::io::Result<()> {
    // SAFETY: flock() takes no pointers, and the descriptor is open because
    // `file` is borrowed.
    match unsafe { libc::flock(file.as_raw_fd(), flags) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

impl Lock {
    /// Takes the lock `path` alone; its holder is busy with `what`.
    pub fn take(ui: &Ui, path: &Path, what: &str) -> Result<Self> {
        Self::with(ui, path, what, libc::LOCK_EX)
    }

    /// Takes the lock `path` together with others that only read.
    pub fn share(ui: &Ui, path: &Path, what: &str) -> Result<Self> {
        Self::with(ui, path, what, libc::LOCK_SH)
    }

    fn with(ui: &Ui, path: &Path, what: &str, kind: libc::c_int) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        if flock(&file, kind | libc::LOCK_NB).is_err() {
            ui.line(&format!("waiting for another run that works on {what}"));
            flock(&file, kind)
                .with_context(|| format!("cannot take the lock {}", path.display()))?;
        }
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let ui = Ui::new();
        let free = |kind| flock(&File::open(&path).unwrap(), kind | libc::LOCK_NB).is_ok();
        let reader = Lock::share(&ui, &path, "x").unwrap();
        assert!(free(libc::LOCK_SH) && !free(libc::LOCK_EX));
        drop(reader);
        let writer = Lock::take(&ui, &path, "x").unwrap();
        assert!(!free(libc::LOCK_SH));
        drop(writer);
        assert!(free(libc::LOCK_EX));
    }
}
