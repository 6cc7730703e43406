// SPDX-License-Identifier: GPL-2.0
//! What an image has in it next to the userland: files and their places.

use crate::digest;
use crate::error::hinted;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files by their places.
#[derive(Debug, Default)]
pub struct Manifest(BTreeMap<PathBuf, Entry>);

#[derive(Debug)]
struct Entry {
    content: Content,
    digest: String,
}

#[derive(Debug)]
enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Manifest {
    /// Puts a copy of the file `from` at `place`.
    pub fn file(&mut self, place: impl Into<PathBuf>, from: PathBuf) -> Result<()> {
        let digest = digest::of_file(&from)?;
        let content = Content::File(from);
        self.0.insert(place.into(), Entry { content, digest });
        Ok(())
    }

    /// Puts a file of `bytes` at `place`.
    pub fn bytes(&mut self, place: impl Into<PathBuf>, bytes: Vec<u8>) {
        let digest = digest::of_bytes(&bytes);
        let content = Content::Bytes(bytes);
        self.0.insert(place.into(), Entry { content, digest });
    }

    /// A line for each file with its place and digest: equal for equal files,
    /// wherever and whenever they were built.
    pub fn listing(&self) -> String {
        let mut text = String::new();
        for (place, entry) in &self.0 {
            text.push_str(&format!("{} {}\n", place.display(), entry.digest));
        }
        text
    }

    /// Copies the files into `folder`.
    pub fn copy_to(&self, folder: &Path) -> Result<()> {
        for (place, entry) in &self.0 {
            let target = folder.join(place);
            let write = || -> std::io::Result<()> {
                fs::create_dir_all(target.parent().unwrap_or(folder))?;
                match &entry.content {
                    Content::File(from) => fs::copy(from, &target).map(|_| ()),
                    Content::Bytes(bytes) => fs::write(&target, bytes),
                }
            };
            write().with_context(|| format!("cannot write {}", target.display()))?;
            // An image with other contents than its name says would stay.
            if digest::of_file(&target)? != entry.digest {
                return Err(hinted(
                    format!("{} changed while it was copied", place.display()),
                    "another run builds in this checkout: run the same command again",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::time::{Duration, SystemTime};

    #[test]
    fn places_and_contents_count_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let listing = |folder: &str, place: &str, text: &str, age: u64| {
            let file = dir.path().join(folder);
            fs::write(&file, text).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            fs::File::open(&file).unwrap().set_modified(time).unwrap();
            let mut manifest = Manifest::default();
            manifest.file(place, file).unwrap();
            manifest.listing()
        };
        let first = listing("one", "bin/x", "abc", 0);
        assert_eq!(listing("two", "bin/x", "abc", 100), first);
        assert_ne!(listing("one", "bin/x", "abd", 0), first);
        assert_ne!(listing("one", "bin/y", "abc", 0), first);
    }

    #[test]
    fn files_arrive_as_they_were_listed() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        fs::write(&program, "abc").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut manifest = Manifest::default();
        manifest.file("bin/program", program.clone()).unwrap();
        manifest.bytes("guest/initramfs", b"def".to_vec());
        let image = dir.path().join("image");
        manifest.copy_to(&image).unwrap();
        assert_eq!(fs::read(image.join("bin/program")).unwrap(), b"abc");
        let mode = fs::metadata(image.join("bin/program")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(fs::read(image.join("guest/initramfs")).unwrap(), b"def");
        fs::write(&program, "abd").unwrap();
        let error = manifest.copy_to(&image).unwrap_err().to_string();
        assert_eq!(error, "bin/program changed while it was copied");
    }
}
