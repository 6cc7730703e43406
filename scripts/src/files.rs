// SPDX-License-Identifier: GPL-2.0
//! Files: read with an error that names them, written whole or not at all.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// `path` with `.suffix` after its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

/// The text in the file `path`.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes `bytes` to `path` so that a reader, or a run after a crash, sees the
/// old content or the new one.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let write = || -> std::io::Result<()> {
        // With a name that no other run has, in whatever namespace; it goes away on an error.
        let mut file = tempfile::Builder::new()
            .prefix(path.file_name().unwrap_or_default())
            .suffix(".partial")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(path.parent().unwrap_or(Path::new("")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Writes `bytes` to `path` unless that is its content already, so that an
/// unchanged file keeps its time. True if it wrote.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    write_atomic(path, bytes)?;
    Ok(true)
}

/// Gives the folder `partial`, which is whole now, the name `path`. After a power cut it is whole
/// as well, or is not there.
pub fn name_whole_folder(partial: &Path, path: &Path) -> Result<()> {
    let sync = || {
        let folder = File::open(partial)?;
        // SAFETY: syncfs() takes no pointers, and the descriptor is open because `folder` lives.
        match unsafe { libc::syncfs(folder.as_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    sync().with_context(|| format!("cannot write {} to the disk", partial.display()))?;
    fs::rename(partial, path).with_context(|| format!("cannot name {}", path.display()))
}

/// Removes `path` and what is in it, if it is there.
pub fn remove_all(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    result.with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_content_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b");
        assert!(write_if_changed(&file, b"1").unwrap());
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        assert!(!write_if_changed(&file, b"1").unwrap());
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
        assert!(write_if_changed(&file, b"2").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"2");
        assert_eq!(
            fs::read_dir(dir.path().join("a")).unwrap().count(),
            1,
            "nothing stays beside"
        );
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a");
        fs::create_dir_all(place.join("in the way")).unwrap();
        let error = write_atomic(&place, b"1").unwrap_err();
        assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_gets_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let [partial, path] = ["partial", "path"].map(|name| dir.path().join(name));
        assert!(name_whole_folder(&partial, &path).is_err());
        fs::create_dir(&partial).unwrap();
        name_whole_folder(&partial, &path).unwrap();
        assert!(path.is_dir() && !partial.exists());
    }
}
