// SPDX-License-Identifier: GPL-2.0
//! The kernel of guests of Debian's armhf, whose CPUs are in AArch32 state.

use crate::context::Context;
use crate::{apt, digest, files, once, process};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Debian's kernel for armhf machines, with the page tables that such guests mostly have. It
/// comes with what it depends on, which is not needed here.
const PACKAGE: &str = "linux-image-armmp-lpae";
const LEFT_OUT: [&str; 2] = ["/usr/lib/modules/*", "/usr/share/*"];
const MIB: u64 = 400;
/// Its file.
const FILE: &str = "vmlinuz";

/// Where it is, for this package.
fn place(ctx: &Context) -> PathBuf {
    let digest = digest::of_bytes(format!("{} {PACKAGE}", apt::SUITE).as_bytes());
    let name = format!("armhf-{}", digest::short(&digest));
    ctx.cache.join(name)
}

/// How many steps it takes.
pub fn steps_to_come(ctx: &Context) -> usize {
    usize::from(!place(ctx).exists())
}

/// The kernel, fetched once.
pub fn kernel(ctx: &Context) -> Result<PathBuf> {
    let place = place(ctx);
    once::folder(ctx, (&place, "armhf kernel", MIB), |partial, log, step| {
        let system = partial.join("system");
        fs::create_dir(partial).with_context(|| format!("cannot make {}", partial.display()))?;
        let mut command = apt::unpack("armhf");
        command
            .args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")))
            .arg(format!("--include={PACKAGE}"))
            .arg(apt::SUITE)
            .arg(&system)
            .arg(format!("deb {} {} main", apt::mirror()?, apt::SUITE));
        process::run(&mut command, log, step).context("cannot unpack a kernel of armhf")?;
        let (release, kernel) = in_boot(&system.join("boot"))?;
        fs::rename(&kernel, partial.join(FILE))
            .with_context(|| format!("cannot move {}", kernel.display()))?;
        files::remove_all(&system)?;
        Ok(release)
    })?;
    Ok(place.join(FILE))
}

/// The kernel in `folder`, and its release.
fn in_boot(folder: &Path) -> Result<(String, PathBuf)> {
    let entries = fs::read_dir(folder);
    let entries = entries.with_context(|| format!("cannot read {}", folder.display()))?;
    let kernels = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let release = name.strip_prefix("vmlinuz-")?;
        Some((release.to_owned(), entry.path()))
    });
    let mut kernels: Vec<_> = kernels.collect();
    let kernel = kernels.pop();
    kernel.with_context(|| format!("there is no kernel in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_found_beside_other_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(in_boot(dir.path()).is_err());
        for name in ["config-6.12", "vmlinuz-6.12", "System.map-6.12"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let (release, path) = in_boot(dir.path()).unwrap();
        assert_eq!(release, "6.12");
        assert_eq!(path, dir.path().join("vmlinuz-6.12"));
    }
}
