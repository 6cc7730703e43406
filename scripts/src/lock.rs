// SPDX-License-Identifier: GPL-2.0
//! Locks between runs: whoever comes second waits and says so.

use crate::progress::Ui;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Holds a lock until dropped.
#[derive(Debug)]
pub struct Lock(File);

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
            ui.line(&format!("waiting for who works on {what} now"));
            flock(&file, kind)
                .with_context(|| format!("cannot take the lock {}", path.display()))?;
        }
        Ok(Self(file))
    }

    /// Takes the lock on the folder `path` itself alone, which leaves no file behind.
    pub fn take_folder(path: &Path) -> Result<Self> {
        let folder = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        flock(&folder, libc::LOCK_EX).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self(folder))
    }

    /// Shares the lock on the file `path` itself, which is not made if it is
    /// not there. None then.
    pub fn share_existing(path: &Path) -> Result<Option<Self>> {
        let Some(file) = open_existing(path)? else {
            return Ok(None);
        };
        flock(&file, libc::LOCK_SH).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Some(Self(file)))
    }

    /// Takes the lock on the file `path` itself alone. None if others have it,
    /// or there is no such file.
    pub fn take_if_free(path: &Path) -> Result<Option<Self>> {
        let Some(file) = open_existing(path)? else {
            return Ok(None);
        };
        match flock(&file, libc::LOCK_EX | libc::LOCK_NB) {
            Ok(()) => Ok(Some(Self(file))),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// The file that is locked.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// True while `path` is the file that is locked: not removed, not replaced.
    pub fn is_of(&self, path: &Path) -> bool {
        match (self.0.metadata(), fs::metadata(path)) {
            (Ok(ours), Ok(now)) => (ours.dev(), ours.ino()) == (now.dev(), now.ino()),
            _ => false,
        }
    }
}

/// Opens a file that may have been removed.
fn open_existing(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot open {}", path.display())),
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
        // A child that another test starts has the lock, too, until it runs its program.
        let is_free = |_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            free(libc::LOCK_EX)
        };
        assert!((0..1000).any(is_free));
    }
    #[test]
    fn a_file_is_locked_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(Lock::share_existing(&path).unwrap().is_none());
        assert!(Lock::take_if_free(&path).unwrap().is_none());
        assert!(!path.exists(), "it is not made");
        fs::write(&path, "1").unwrap();
        let reader = Lock::share_existing(&path).unwrap().unwrap();
        assert!(Lock::take_if_free(&path).unwrap().is_none());
        assert!(reader.is_of(&path));
        fs::rename(&path, dir.path().join("moved")).unwrap();
        assert!(!reader.is_of(&path));
        fs::write(&path, "2").unwrap();
        assert!(!reader.is_of(&path), "another file of the same name");
        assert!(Lock::take_if_free(&path).unwrap().is_some());
    }
}
