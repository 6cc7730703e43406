// SPDX-License-Identifier: GPL-2.0
//! The disk images that are kept in the cache folder. Each is named by what is
//! in it and never changes, so runs that want different ones do not meet.

use crate::context::Context;
use crate::digest;
use crate::files;
use crate::lock::Lock;
use crate::progress::Ui;
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many images are kept, on top of those in use: two for each of three
/// runs that want others.
const KEEP: usize = 6;

/// A disk image.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// Changes whenever something in the image does.
    pub signature: String,
}

/// A disk image that is not removed while this exists.
#[derive(Debug)]
pub struct InUse {
    /// The image.
    pub disk: Disk,
    _lock: Lock,
}

/// The images in a folder.
#[derive(Debug)]
pub struct Images {
    folder: PathBuf,
    keep: usize,
}

impl Images {
    /// Those in the cache folder.
    pub fn of(ctx: &Context) -> Self {
        Self {
            folder: ctx.cache.join("image"),
            keep: KEEP,
        }
    }

    /// True where there is an image of this kind, whatever is in it.
    pub fn has(&self, kind: &str) -> bool {
        let begin = format!("{kind}-");
        let is_one = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&begin))
        };
        self.all().is_ok_and(|all| all.iter().any(is_one))
    }

    /// The image of this kind with these contents. Where there is none, `make`
    /// writes it to its second argument; its first is an empty folder to work
    /// in. Images that have not been used for longest are removed then.
    pub fn get(
        &self,
        ui: &Ui,
        kind: &str,
        signature: &str,
        make: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<InUse> {
        let path = self
            .folder
            .join(format!("{kind}-{}.erofs", digest::short(signature)));
        let in_use = |lock| InUse {
            disk: Disk {
                path: path.clone(),
                signature: signature.to_owned(),
            },
            _lock: lock,
        };
        if let Some(lock) = take_into_use(&path)? {
            return Ok(in_use(lock));
        }
        let _alone = Lock::take(ui, &self.folder.join("lock"), "a disk image")?;
        // The other run may have made this one.
        if let Some(lock) = take_into_use(&path)? {
            return Ok(in_use(lock));
        }
        let partial = self.folder.join("partial");
        files::remove_all(&partial)?;
        let workplace = partial.join("workplace");
        fs::create_dir_all(&workplace)
            .with_context(|| format!("cannot make {}", workplace.display()))?;
        let image = partial.join("image");
        make(&workplace, &image)?;
        // Its name says that it is whole, also after a crash.
        File::open(&image)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("cannot write {}", image.display()))?;
        fs::rename(&image, &path).with_context(|| format!("cannot name {}", path.display()))?;
        let lock = take_into_use(&path)?
            .with_context(|| format!("{} was removed at once", path.display()))?;
        files::remove_all(&partial)?;
        self.prune()?;
        Ok(in_use(lock))
    }

    /// All images, those used last first.
    fn all(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder)
            .with_context(|| format!("cannot read {}", self.folder.display()))?;
        let mut images: Vec<_> = entries
            .flatten()
            .filter(|e| e.path().extension().is_some_and(|x| x == "erofs"))
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
            .collect();
        images.sort();
        Ok(images.into_iter().rev().map(|(_, path)| path).collect())
    }

    /// Removes what is neither among the newest nor in use.
    fn prune(&self) -> Result<()> {
        for path in self.all()?.into_iter().skip(self.keep) {
            if let Some(_nobody_uses_it) = Lock::take_if_free(&path)? {
                files::remove_all(&path)?;
            }
        }
        Ok(())
    }
}

/// Keeps `path` from being removed and notes that it is used now. None if
/// there is no such image.
fn take_into_use(path: &Path) -> Result<Option<Lock>> {
    while let Some(lock) = Lock::share_existing(path)? {
        // It may have been removed between opening and locking it.
        if lock.is_of(path) {
            lock.file()
                .set_modified(SystemTime::now())
                .with_context(|| format!("cannot set the time of {}", path.display()))?;
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn images(folder: &Path) -> Images {
        Images {
            folder: folder.to_owned(),
            keep: 2,
        }
    }

    fn write(text: &'static str) -> impl FnOnce(&Path, &Path) -> Result<()> {
        move |_, image| Ok(fs::write(image, text)?)
    }

    fn never(_: &Path, _: &Path) -> Result<()> {
        panic!("it is there already");
    }

    fn set_age(path: &Path, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        File::open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn other_contents_leave_an_image_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (images, ui) = (images(dir.path()), Ui::new());
        assert!(!images.has("c"));
        let first = images.get(&ui, "c", "aaaa", write("1")).unwrap();
        let second = images.get(&ui, "c", "bbbb", write("2")).unwrap();
        assert_ne!(first.disk.path, second.disk.path);
        assert_eq!(fs::read(&first.disk.path).unwrap(), b"1");
        let again = images.get(&ui, "c", "aaaa", never).unwrap();
        assert_eq!(again.disk.path, first.disk.path);
        assert_eq!(again.disk.signature, "aaaa");
        assert!(images.has("c") && !images.has("rust"));
    }

    #[test]
    fn an_image_that_was_not_finished_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (images, ui) = (images(dir.path()), Ui::new());
        let broken = images.get(&ui, "c", "aaaa", |workplace, image| {
            fs::write(workplace.join("file"), "")?;
            fs::write(image, "half of it")?;
            anyhow::bail!("no space")
        });
        assert!(broken.is_err() && !images.has("c"));
        let whole = images.get(&ui, "c", "aaaa", |workplace, image| {
            assert_eq!(fs::read_dir(workplace)?.count(), 0, "left by the other");
            write("all")(workplace, image)
        });
        assert_eq!(fs::read(whole.unwrap().disk.path).unwrap(), b"all");
        assert!(!dir.path().join("partial").exists());
    }

    #[test]
    fn what_was_not_used_for_longest_goes_unless_it_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let (images, ui) = (images(dir.path()), Ui::new());
        let make = |name| images.get(&ui, "c", name, write("")).unwrap();
        let (used, old, new) = (make("used"), make("old"), make("new"));
        let paths = [&used, &old, &new].map(|image| image.disk.path.clone());
        drop((old, new));
        for (path, age) in paths.iter().zip([900, 600, 300]) {
            set_age(path, age);
        }
        drop(make("other"));
        let there = || paths.clone().map(|path| path.exists());
        assert_eq!(there(), [true, false, true]);
        // Use makes it new again, so that the others are older.
        drop(used);
        set_age(&paths[0], 900);
        drop(images.get(&ui, "c", "used", never).unwrap());
        drop(make("another"));
        assert_eq!(there(), [true, false, false]);
    }
}
