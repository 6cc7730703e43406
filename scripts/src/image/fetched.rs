// SPDX-License-Identifier: GPL-2.0
//! Parts of Debian's packages that guests are made of, fetched once.

use crate::context::Context;
use crate::progress::Step;
use crate::{apt, digest, files, once, process};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Parts of packages that no guest has.
const LEFT_OUT: &str = "/usr/share/*";
/// Space that the packages take, with what they depend on.
const MIB: u64 = 700;
/// The kernel, in the folder that came of it.
pub const KERNEL: &str = "vmlinuz";

/// Packages, a kernel among them, of which a guest has a part.
pub struct Packages {
    /// What is called so.
    pub name: &'static str,
    /// Of this architecture.
    pub architecture: &'static str,
    /// Their names, separated by commas.
    pub packages: &'static str,
    /// What is taken from them besides the kernel.
    pub parts: &'static [&'static str],
}

impl Packages {
    fn place(&self, ctx: &Context) -> PathBuf {
        let Self {
            name,
            architecture,
            packages,
            parts,
        } = self;
        let suite = apt::SUITE;
        let recipe = format!("{suite} {architecture} {packages} without {LEFT_OUT}: {parts:?}");
        let digest = digest::of_bytes(recipe.as_bytes());
        ctx.cache.join(format!("{name}-{}", digest::short(&digest)))
    }

    /// How many steps it takes to fetch them.
    pub fn steps_to_come(&self, ctx: &Context) -> usize {
        usize::from(!self.place(ctx).exists())
    }

    /// The folder with the kernel, and with what `take` takes from the packages, which are
    /// unpacked in its first argument, to its second one.
    pub fn fetch(
        &self,
        ctx: &Context,
        take: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.place(ctx);
        let title = format!("packages of {} guests", self.name);
        once::folder(ctx, (&place, &title, MIB), |partial, log, step| {
            fs::create_dir(partial)
                .with_context(|| format!("cannot make {}", partial.display()))?;
            let system = partial.join("system");
            self.unpack(&system, log, step)?;
            let (release, kernel) = kernel_in(&system.join("boot"))?;
            let to = partial.join(KERNEL);
            fs::rename(&kernel, &to).with_context(|| format!("cannot name {}", to.display()))?;
            take(&system, partial)?;
            files::remove_all(&system)?;
            Ok(release)
        })?;
        Ok(place)
    }

    fn unpack(&self, system: &Path, log: &Path, step: &Step) -> Result<()> {
        let (architecture, packages) = (self.architecture, self.packages);
        let mut command = apt::unpack_packages(architecture, packages, &[LEFT_OUT], system)?;
        process::run(&mut command, log, step).with_context(|| format!("cannot unpack {packages}"))
    }
}

/// The kernel in `folder`, and its release.
fn kernel_in(folder: &Path) -> Result<(String, PathBuf)> {
    let entries = fs::read_dir(folder);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let mut kernels = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let release = name.strip_prefix("vmlinuz-")?;
        Some((release.to_owned(), entry.path()))
    });
    let kernel = kernels.next();
    kernel.with_context(|| format!("there is no kernel in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_found_beside_other_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(kernel_in(dir.path()).is_err());
        for name in ["config-6.12", "vmlinuz-6.12", "System.map-6.12"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let (release, path) = kernel_in(dir.path()).unwrap();
        assert_eq!(release, "6.12");
        assert_eq!(path, dir.path().join("vmlinuz-6.12"));
    }
}
