// SPDX-License-Identifier: GPL-2.0
//! The version of a kernel tree, and which ones are supported.

use crate::error::hinted;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Version of Linux that the patches are for.
pub const SUPPORTED: (u32, u32) = (7, 3);

/// The last of its stable releases that all was tested with.
pub const TESTED: u32 = 4;

/// Version of a kernel tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    extra: String,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{}.{}{}",
            self.major, self.minor, self.patch, self.extra
        )
    }
}

impl Version {
    /// Reads the version from the top of the Makefile of `tree`.
    pub fn of_tree(tree: &Path) -> Result<Self> {
        let makefile = tree.join("Makefile");
        let text = fs::read_to_string(&makefile).map_err(|_| {
            hinted(
                format!(
                    "{} is not a Linux source tree: it has no Makefile",
                    tree.display()
                ),
                format!("name a tree of Linux {}.{}.y", SUPPORTED.0, SUPPORTED.1),
            )
        })?;
        Self::of_makefile(&text).with_context(|| {
            format!(
                "{} is not a Linux source tree: its Makefile has no version",
                tree.display()
            )
        })
    }

    fn of_makefile(text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.lines().take(20).find_map(|l| {
                l.strip_prefix(name)?
                    .trim_start()
                    .strip_prefix('=')
                    .map(str::trim)
            })
        };
        let number = |name: &str| -> Result<u32> {
            value(name)
                .with_context(|| format!("no {name}"))?
                .parse()
                .with_context(|| format!("{name} is not a number"))
        };
        Ok(Self {
            major: number("VERSION")?,
            minor: number("PATCHLEVEL")?,
            patch: number("SUBLEVEL")?,
            extra: value("EXTRAVERSION").unwrap_or_default().to_owned(),
        })
    }

    /// What to say of a release that is not the one that all was tested with.
    pub fn untested(&self) -> Option<String> {
        let (major, minor) = SUPPORTED;
        let other = self.patch != TESTED || !self.extra.is_empty();
        other.then(|| format!("Linux {self}; tested with {major}.{minor}.{TESTED}"))
    }

    /// Whether it is of a later series than the one that is supported.
    pub fn is_newer(&self) -> bool {
        (self.major, self.minor) > SUPPORTED
    }

    /// Fails with one line unless the version is a release that is supported.
    pub fn check(&self, origin: &str) -> Result<()> {
        let supported = (self.major, self.minor) == SUPPORTED && !self.extra.starts_with("-rc");
        if supported {
            return Ok(());
        }
        let (major, minor) = SUPPORTED;
        Err(hinted(
            format!("{origin} is Linux {self}; supported: {major}.{minor} and its stable releases {major}.{minor}.y"),
            format!("set KDIR= to a tree, or LINUX_TARBALL= to a tarball, of Linux {major}.{minor}.y"),
        ))
    }
}

/// The lines of a kernel's Makefile that say that it is `version`.
#[cfg(test)]
pub fn makefile(version: &str) -> String {
    let (numbers, extra) = version.split_at(version.find('-').unwrap_or(version.len()));
    let names = ["VERSION", "PATCHLEVEL", "SUBLEVEL"];
    let mut lines = String::new();
    for (name, number) in names.into_iter().zip(numbers.split('.')) {
        lines += &format!("{name} = {number}\n");
    }
    lines + &format!("EXTRAVERSION = {extra}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::of_makefile(text).unwrap()
    }

    #[test]
    fn releases_of_the_series_pass_and_others_do_not() {
        let good = version(&format!("# SPDX\n{}", makefile("7.3.4")));
        assert_eq!(good.to_string(), "7.3.4");
        assert_eq!(good.untested(), None);
        let newer = version(&makefile("7.3.9"));
        newer.check("x").unwrap();
        assert_eq!(
            newer.untested().as_deref(),
            Some("Linux 7.3.9; tested with 7.3.4")
        );
        good.check("x").unwrap();
        for shown in ["7.3.0-rc5", "7.2.9", "6.3.4"] {
            let other = version(&makefile(shown));
            let message = other.check("KDIR").unwrap_err().to_string();
            assert!(
                message.contains(&format!("KDIR is Linux {shown}; supported: 7.3")),
                "{message}"
            );
        }
    }

    #[test]
    fn other_folders_are_no_trees() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Version::of_tree(dir.path())
            .unwrap_err()
            .to_string()
            .contains("no Makefile"));
        fs::write(dir.path().join("Makefile"), "all:\n").unwrap();
        assert!(Version::of_tree(dir.path())
            .unwrap_err()
            .to_string()
            .contains("has no version"));
    }
}
