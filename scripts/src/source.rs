// SPDX-License-Identifier: GPL-2.0
//! Kernel source, first match: KDIR, LINUX_TARBALL, the distribution's source
//! package, the release tarball of kernel.org.

use crate::apt::Apt;
use crate::context::Context;
use crate::error::hinted;
use crate::lock::Lock;
use crate::progress::Step;
use crate::version::{Version, SUPPORTED};
use crate::{digest, disk, files, kernel_org, overlay, process};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Space that unpacking takes.
const DISK_MIB: u64 = 2600;

/// A kernel source that is never modified.
#[derive(Debug, Clone)]
pub struct Source {
    /// The tree.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
    /// True where this program unpacked it, so that nobody edits it.
    pub unpacked: bool,
}

/// The source that the user names.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// A tree, `KDIR=`. It comes first.
    pub tree: Option<String>,
    /// A tarball, `LINUX_TARBALL=`.
    tarball: Option<String>,
}

impl Named {
    /// As the environment has it.
    pub fn by_user() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self {
            tree: variable("KDIR"),
            tarball: variable("LINUX_TARBALL"),
        }
    }
}

/// What was unpacked for an origin, so that the next run need not ask again.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    folder: String,
}

/// Finds or fetches the kernel source.
pub fn find(ctx: &Context) -> Result<Source> {
    if let Some(dir) = &ctx.named.tree {
        let path = fs::canonicalize(dir).map_err(|_| {
            hinted(
                format!("KDIR={dir} does not exist"),
                "name a tree of Linux 7.3.y",
            )
        })?;
        let version = overlay::supported(&ctx.checkout, &path, &format!("KDIR={dir}"))?;
        return Ok(Source {
            path,
            version,
            unpacked: false,
        });
    }
    let sources = ctx.cache.join("source");
    let _lock = Lock::take(&ctx.ui, &sources.join("lock"), "the kernel source")?;
    if let Some(file) = &ctx.named.tarball {
        let path = fs::canonicalize(file).map_err(|_| {
            hinted(
                format!("LINUX_TARBALL={file} does not exist"),
                "name a tarball of Linux 7.3.y",
            )
        })?;
        return from_tarball(ctx, &sources, &path, &format!("LINUX_TARBALL={file}"));
    }
    if let Some(source) = recorded(&sources, "default")? {
        return Ok(source);
    }
    disk::need(&ctx.cache, DISK_MIB, "the kernel source")?;
    let step = ctx.ui.step("kernel source");
    let log = ctx.log("source");
    let downloads = ctx.cache.join("download");
    let package = format!("linux-source-{}.{}", SUPPORTED.0, SUPPORTED.1);
    let from_package =
        Apt::new(ctx).and_then(|apt| apt.download(&package, &downloads, &log, &step));
    let source = match from_package {
        Ok(deb) => unpack(ctx, &sources, &deb, &package, &step, |into| {
            let member = format!("./usr/src/{package}.tar.xz");
            let script = "set -o pipefail; dpkg-deb --fsys-tarfile \"$1\" | tar -xO \"$2\" \
                          | tar -xJ --strip-components=1 -C \"$3\"";
            let mut command = Command::new("bash");
            command
                .args(["-c", script, "bash"])
                .arg(&deb)
                .arg(&member)
                .arg(into);
            process::run(&mut command, &log, &step)
        })?,
        Err(package_error) => {
            let tarball = kernel_org::download(&downloads, &log, &step).map_err(|e| {
                hinted(
                    format!(
                        "no kernel source: the package {package} cannot be had ({package_error:#}), \
                         and neither can the tarball of kernel.org ({e:#})"
                    ),
                    "check the network, or set KDIR= to a tree or LINUX_TARBALL= to a tarball of Linux 7.3.y",
                )
            })?;
            unpack(ctx, &sources, &tarball, "kernel.org", &step, |into| {
                untar(&tarball, into, &log, &step)
            })?
        }
    };
    record(&sources, "default", &source)?;
    step.end(&format!("Linux {}", source.version));
    Ok(source)
}

/// How many steps finding the source and copying it take at first sight.
pub fn steps_to_come(ctx: &Context) -> usize {
    let named = ctx.named.tree.is_some() || ctx.named.tarball.is_some();
    let fetched = named || ctx.cache.join("source/default.json").exists();
    usize::from(!fetched) + usize::from(!ctx.cache.join("tree").exists())
}

fn from_tarball(ctx: &Context, sources: &Path, path: &Path, origin: &str) -> Result<Source> {
    let meta = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !meta.is_file() {
        return Err(hinted(
            format!("{origin} is not a file"),
            "KDIR= takes a folder",
        ));
    }
    // A tarball that looks the same is not digested again.
    let identity = format!(
        "{}:{}:{}.{}",
        path.display(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    let key = format!(
        "tarball-{}",
        digest::short(&digest::of_bytes(identity.as_bytes()))
    );
    if let Some(source) = recorded(sources, &key)? {
        return Ok(source);
    }
    disk::need(&ctx.cache, DISK_MIB, "the kernel source")?;
    let step = ctx.ui.step("kernel source");
    let log = ctx.log("source");
    let source = unpack(ctx, sources, path, origin, &step, |into| {
        untar(path, into, &log, &step)
    })?;
    record(sources, &key, &source)?;
    step.end(&format!("Linux {}", source.version));
    Ok(source)
}

fn untar(tarball: &Path, into: &Path, log: &Path, step: &Step) -> Result<()> {
    let mut command = Command::new("tar");
    command
        .arg("-xf")
        .arg(tarball)
        .arg("--strip-components=1")
        .arg("-C")
        .arg(into);
    process::run(&mut command, log, step)
        .with_context(|| format!("cannot unpack {}", tarball.display()))
}

/// Unpacks `archive` with `extract` beside its place, checks the version and
/// moves the tree there.
fn unpack(
    ctx: &Context,
    sources: &Path,
    archive: &Path,
    origin: &str,
    step: &Step,
    extract: impl FnOnce(&Path) -> Result<()>,
) -> Result<Source> {
    step.at("checking the archive");
    let sum = digest::of_file(archive)?;
    step.at("unpacking");
    let partial = sources.join("partial");
    files::remove_all(&partial)?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    extract(&partial)?;
    let version = Version::of_tree(&partial)?;
    if let Err(refused) = version.check(origin) {
        files::remove_all(&partial)?;
        return Err(refused);
    }
    let path = sources.join(format!("linux-{version}-{}", digest::short(&sum)));
    if path.exists() {
        files::remove_all(&partial)?;
    } else {
        files::name_whole_folder(&partial, &path)?;
    }
    ctx.ui
        .line(&format!("kernel source {version} from {origin}"));
    Ok(Source {
        path,
        version,
        unpacked: true,
    })
}

fn recorded(sources: &Path, key: &str) -> Result<Option<Source>> {
    let Ok(text) = fs::read_to_string(sources.join(format!("{key}.json"))) else {
        return Ok(None);
    };
    let Ok(record) = serde_json::from_str::<Record>(&text) else {
        return Ok(None);
    };
    let path = sources.join(&record.folder);
    if !path.is_dir() {
        return Ok(None);
    }
    let version = Version::of_tree(&path)?;
    // One that an older checkout took, for which this one has others.
    if version.check(&path.display().to_string()).is_err() {
        return Ok(None);
    }
    Ok(Some(Source {
        path,
        version,
        unpacked: true,
    }))
}

fn record(sources: &Path, key: &str, source: &Source) -> Result<()> {
    let folder = source
        .path
        .file_name()
        .context("a source has a name")?
        .to_string_lossy()
        .into_owned();
    crate::files::write_atomic(
        &sources.join(format!("{key}.json")),
        serde_json::to_string(&Record { folder })?.as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earlier::tests::context;
    use crate::{files, version};

    #[test]
    fn the_tree_that_is_named_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut ctx = context(dir.path(), "a");
        let put = |name: &str, text: &str| {
            files::write_atomic(&dir.path().join(name), text.as_bytes()).unwrap();
        };
        put("cache/source/linux/Makefile", &version::makefile("7.3.4"));
        put("cache/source/default.json", "{\"folder\":\"linux\"}");
        put("tree/Makefile", &version::makefile("7.3.5"));
        let found = |ctx: &Context| {
            let source = find(ctx).unwrap();
            (source.version.to_string(), source.unpacked)
        };
        assert_eq!(found(&ctx), ("7.3.4".to_owned(), true));
        ctx.named.tree = Some(dir.path().join("tree").display().to_string());
        assert_eq!(found(&ctx), ("7.3.5".to_owned(), false));
        ctx.named.tree = Some("/nowhere".to_owned());
        let message = find(&ctx).unwrap_err().to_string();
        assert_eq!(message, "KDIR=/nowhere does not exist");
    }
}
