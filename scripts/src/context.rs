// SPDX-License-Identifier: GPL-2.0
//! Where things are, and what every command needs.

use crate::digest;
use crate::error::hinted;
use crate::files;
use crate::lock::Lock;
use crate::progress::Ui;
use crate::source;
use anyhow::{Context as _, Result};
use std::fs;
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A folder that no other run has, and none removes meanwhile. It goes away with this if nothing
/// is in it.
#[derive(Debug)]
pub struct LogFolder {
    path: PathBuf,
    /// Told by [`remove_oldest_logs`] from one that is in use.
    _in_use: Option<Lock>,
}

impl LogFolder {
    /// Makes one in `parent` whose name begins with `name`.
    ///
    /// Two runs can start in the same second, and in the tool root they may
    /// well have the same process id.
    pub fn new(parent: &Path, name: &str) -> Result<Self> {
        let cannot = |path: &Path| format!("cannot make the folder {}", path.display());
        fs::create_dir_all(parent).with_context(|| cannot(parent))?;
        let mut number = 1;
        loop {
            let path = parent.join(format!("{name}-{number}"));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                result => {
                    result.with_context(|| cannot(&path))?;
                    return Ok(Self {
                        _in_use: Lock::share_existing(&path)?,
                        path,
                    });
                }
            }
        }
    }
}

impl Deref for LogFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for LogFolder {
    fn drop(&mut self) {
        // Fails where there are logs in it.
        let _ = fs::remove_dir(&self.path);
    }
}

/// Removes logs in the folder `logs` of runs before the last `keep`, but for those of runs that
/// have not ended.
pub fn remove_oldest_logs(logs: &Path, keep: usize) -> Result<()> {
    let Ok(entries) = fs::read_dir(logs) else {
        return Ok(());
    };
    let mut runs: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    runs.sort();
    for old in &runs[..runs.len().saturating_sub(keep)] {
        if let Some(_alone) = Lock::take_if_free(old)? {
            files::remove_all(old)?;
        }
    }
    Ok(())
}

/// Paths and progress of this run. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The checkout of this project.
    pub checkout: PathBuf,
    /// Everything that is not in the checkout.
    pub cache: PathBuf,
    /// Logs of this run.
    pub logs: Arc<LogFolder>,
    /// Where progress goes.
    pub ui: Ui,
    /// Take what was built last, whatever changed since.
    pub no_build: bool,
    /// Further options for the kernels, from the file that FRAGMENT names or that
    /// the command has.
    pub fragment: Option<Arc<str>>,
    /// The kernel source that the user names.
    pub named: source::Named,
}

impl Context {
    /// A folder for cargo, of this checkout alone: cargo tells by the time of a
    /// file whether it changed, which says nothing about that of another.
    pub fn target(&self, name: &str) -> PathBuf {
        let checkout = digest::of_bytes(self.checkout.as_os_str().as_encoded_bytes());
        self.cache
            .join("target")
            .join(digest::short(&checkout))
            .join(name)
    }

    /// Takes the cache folder from the environment and the checkout from where
    /// this program was built.
    pub fn new(command: &str, no_build: bool) -> Result<Self> {
        let cache = std::env::var_os("KVM_RUST_CACHE")
            .map(PathBuf::from)
            .ok_or_else(|| {
                hinted(
                    "KVM_RUST_CACHE is not set",
                    "start this program through scripts/xtask",
                )
            })?;
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the crate has no parent folder")?
            .to_owned();
        let logs = LogFolder::new(&cache.join("log"), &format!("{}-{command}", now()))?;
        Ok(Self {
            checkout,
            cache,
            logs: Arc::new(logs),
            ui: Ui::new(),
            no_build,
            fragment: users_fragment()?,
            named: source::Named::by_user(),
        })
    }

    /// That of a test: `checkout` and `cache` are its own, and nobody names anything.
    #[cfg(test)]
    pub fn of_test(checkout: &Path, cache: &Path) -> Self {
        Self {
            checkout: checkout.to_owned(),
            cache: cache.to_owned(),
            logs: Arc::new(LogFolder::new(cache, "log").unwrap()),
            ui: Ui::new(),
            no_build: false,
            fragment: None,
            named: source::Named::default(),
        }
    }

    /// The same, where kernels have the options of `scripts/config/NAME` unless the user
    /// has named others.
    pub fn with_fragment(&self, name: &str) -> Result<Self> {
        let mut ctx = self.clone();
        if ctx.fragment.is_none() {
            ctx.fragment = Some(ctx.read_fragment(name)?.into());
        }
        Ok(ctx)
    }

    /// The options of `scripts/config/NAME`.
    pub fn read_fragment(&self, name: &str) -> Result<String> {
        let path = self.scripts().join("config").join(name);
        files::read_text(&path)
    }

    /// The log file `name` of this run.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs
            .join(format!("{}.log", name.replace(['/', ' '], "-")))
    }

    /// The file or folder `name` with what a command came to that is not part of `make test`.
    pub fn result(&self, name: &str) -> PathBuf {
        self.results().join(name)
    }

    /// Where those are.
    pub fn results(&self) -> PathBuf {
        self.cache.join("results")
    }

    /// `scripts/` of the checkout.
    pub fn scripts(&self) -> PathBuf {
        self.checkout.join("scripts")
    }
}

fn users_fragment() -> Result<Option<Arc<str>>> {
    let Some(path) = std::env::var_os("FRAGMENT").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let text = fs::read_to_string(&path).map_err(|error| {
        hinted(
            format!("FRAGMENT={}: {error}", path.display()),
            "name a file with lines such as CONFIG_PREEMPT_LAZY=y",
        )
    })?;
    Ok(Some(text.into()))
}

/// Number of CPUs of this machine.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Seconds since 1970.
pub fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// The time, in UTC, as YYYYMMDD-HHMMSS.
pub fn now() -> String {
    stamp(seconds())
}

/// Seconds since 1970 as YYYYMMDD-HHMMSS, so that log folders sort by age.
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Civil date from days since 1970-01-01; years begin in March here, which
    // puts the leap day at the end.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::{remove_oldest_logs, stamp, LogFolder};
    use crate::earlier::tests::context;

    #[test]
    fn a_users_options_come_before_those_of_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let mut ctx = context(dir.path(), "a");
        let path = ctx.scripts().join("config/c.config");
        crate::files::write_atomic(&path, b"CONFIG_C=y\n").unwrap();
        let options = |ctx: &super::Context| {
            let with = ctx.with_fragment("c.config").unwrap();
            with.fragment.as_deref().map(str::to_owned)
        };
        assert_eq!(options(&ctx).as_deref(), Some("CONFIG_C=y\n"));
        assert!(ctx.with_fragment("d.config").is_err());
        ctx.fragment = Some("CONFIG_U=y\n".into());
        assert_eq!(options(&ctx).as_deref(), Some("CONFIG_U=y\n"));
    }

    #[test]
    fn runs_of_the_same_second_have_logs_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("log");
        let [first, second] = [(); 2].map(|()| LogFolder::new(&parent, "now-test").unwrap());
        assert_ne!(*first, *second);
        std::fs::write(first.join("x.log"), "").unwrap();
        let paths = [first, second].map(|folder| folder.to_path_buf());
        // Dropped by now: what has logs stays.
        assert_eq!(paths.map(|path| path.exists()), [true, false]);
    }

    #[test]
    fn the_oldest_logs_go_unless_somebody_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("log");
        let there = || {
            let entries = std::fs::read_dir(&parent).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        remove_oldest_logs(&parent, 1).unwrap();
        let folders = ["1", "2", "3"].map(|name| LogFolder::new(&parent, name).unwrap());
        for folder in &folders {
            std::fs::write(folder.join("x.log"), "").unwrap();
        }
        let [first, second, third] = folders;
        drop((second, third));
        let become_those = |names: &[&str]| {
            // A child that another test starts has the lock, too, until it runs its program.
            for _ in 0..1000 {
                remove_oldest_logs(&parent, 1).unwrap();
                if there() == names {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            panic!("{:?} are there", there());
        };
        become_those(&["1-1", "3-1"]);
        drop(first);
        become_those(&["3-1"]);
    }

    #[test]
    fn stamps_are_dates() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_782_400), "20000229-000000");
        assert_eq!(stamp(1_767_225_599), "20251231-235959");
    }
}
