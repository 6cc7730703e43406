// SPDX-License-Identifier: GPL-2.0
//! The work tree: a copy of the kernel source with the overlay in it. It has
//! one path whatever the source is, so that ccache and kbuild know its files.

use crate::context::Context;
use crate::lock::Lock;
use crate::overlay::{self, Overlay};
use crate::progress::Step;
use crate::source::Source;
use crate::{digest, disk, files, process};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// Space that a copy of a tree takes that is not ours to link to.
const DISK_MIB: u64 = 2200;

/// What a KDIR may have in it that is no source: build results.
const NOT_SOURCE: [&str; 16] = [
    ".git",
    "*.o",
    "*.a",
    "*.so",
    "*.ko",
    "*.mod",
    "*.rmeta",
    ".*.cmd",
    "/.config",
    "/.config.old",
    "/vmlinux*",
    "/System.map",
    "/Module.symvers",
    "/include/config",
    "/include/generated",
    "/arch/*/include/generated",
];

/// The work tree, locked so that nobody changes it meanwhile. Others may
/// build from it.
pub struct Tree {
    /// Where it is.
    pub path: PathBuf,
    /// Changes whenever any file in the tree changes.
    pub signature: String,
    /// Changes whenever a file that the patches touch does, but not with our
    /// own sources.
    pub patched: String,
    _lock: Lock,
}

/// Brings the work tree up to date with `source` and this checkout.
pub fn prepare(ctx: &Context, source: &Source) -> Result<Tree> {
    let path = ctx.cache.join("tree").join(source.version.to_string());
    let lock = files::beside(&path, "lock");
    let marker = files::beside(&path, "source");
    let wanted = signature(source)?;
    let overlay = Overlay::read(&ctx.checkout)?;
    loop {
        let shared = Lock::share(&ctx.ui, &lock, "the kernel tree")?;
        let copied = fs::read_to_string(&marker).ok().as_ref() == Some(&wanted);
        if copied && overlay::is_applied(&path, &overlay)? {
            return Ok(Tree {
                patched: digest::of_bytes(format!("{wanted}\n{:?}", overlay.patches).as_bytes()),
                signature: digest::of_bytes(format!("{wanted}\n{}", overlay.digest()).as_bytes()),
                path,
                _lock: shared,
            });
        }
        drop(shared);
        let _alone = Lock::take(&ctx.ui, &lock, "the kernel tree")?;
        if fs::read_to_string(&marker).ok().as_ref() != Some(&wanted) {
            copy(ctx, source, &path, &marker, &wanted)?;
        }
        overlay::apply(&path, &overlay)?;
        // Another run may change the tree before the lock is shared again:
        // then this one starts over.
    }
}

/// Makes the tree at `path` the same as `source`.
fn copy(ctx: &Context, source: &Source, path: &Path, marker: &Path, wanted: &str) -> Result<()> {
    let step = ctx.ui.step("kernel tree");
    let log = ctx.log("tree");
    // Without the marker, a run after an interrupt starts over.
    files::remove_all(marker)?;
    if path.exists() {
        overlay::reverse(path)?;
        rsync(source, path, &["--checksum"], &log, &step)?;
    } else {
        copy_to(ctx, source, path, &log, &step)?;
    }
    files::write_atomic(marker, wanted.as_bytes())?;
    step.end(&format!("Linux {}", source.version));
    Ok(())
}

/// Makes a copy of `source` at `path`, where there is nothing. Whoever changes a file in it
/// has to replace it: it can be the source's.
pub fn copy_to(ctx: &Context, source: &Source, path: &Path, log: &Path, step: &Step) -> Result<()> {
    if !source.unpacked {
        disk::need(&ctx.cache, DISK_MIB, "the copy of KDIR")?;
        return rsync(source, path, &["--times"], log, step);
    }
    let partial = files::beside(path, "partial");
    files::remove_all(&partial)?;
    // Links are enough: the overlay replaces files and never writes into
    // them, and everything is built elsewhere.
    process::copy_linked(&source.path, &partial, log, step)?;
    fs::rename(&partial, path).with_context(|| format!("cannot name {}", path.display()))
}

fn rsync(source: &Source, to: &Path, options: &[&str], log: &Path, step: &Step) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let mut command = Command::new("rsync");
    command
        .args(["--recursive", "--links", "--perms", "--delete"])
        .args(options);
    for pattern in NOT_SOURCE {
        command.arg(format!("--exclude={pattern}"));
    }
    let mut from = source.path.clone().into_os_string();
    from.push("/");
    command.arg(from).arg(to);
    process::run(&mut command, log, step)
}

/// Changes whenever the source does. What we unpacked does not change; a tree
/// of the user is looked through.
pub fn signature(source: &Source) -> Result<String> {
    if source.unpacked {
        return Ok(source.path.display().to_string());
    }
    let mut text = String::new();
    let walk = WalkDir::new(&source.path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|e| e.file_name() != ".git");
    for entry in walk {
        let entry = entry.with_context(|| format!("cannot read {}", source.path.display()))?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_dir() || name.ends_with(".o") || name.ends_with(".cmd") {
            continue;
        }
        let meta = entry.metadata()?;
        text.push_str(&format!(
            "{} {} {}.{}\n",
            entry.path().display(),
            meta.len(),
            meta.mtime(),
            meta.mtime_nsec()
        ));
    }
    Ok(digest::of_bytes(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{self, Version};

    #[test]
    fn signature_follows_edits_but_not_build_results() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        put("Makefile", &version::makefile("7.3.4"));
        let source = Source {
            path: dir.path().to_owned(),
            version: Version::of_tree(dir.path()).unwrap(),
            unpacked: false,
        };
        let first = signature(&source).unwrap();
        put("a.o", "object");
        assert_eq!(signature(&source).unwrap(), first);
        put("a.c", "int a;");
        assert_ne!(signature(&source).unwrap(), first);
    }
}
