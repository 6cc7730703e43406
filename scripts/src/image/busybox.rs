// SPDX-License-Identifier: GPL-2.0
//! Guests with Debian's kernel for servers that are rented and with BusyBox, which small
//! distributions are made of: an initramfs that loads modules, and a root on a disk.

use super::fetched::{Packages, KERNEL};
use super::{mkfs, read, Manifest, Programs};
use crate::context::Context;
use crate::cpio::Archive;
use crate::{files, process};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

const PACKAGES: Packages = Packages {
    name: "busybox",
    architecture: "arm64",
    packages: "busybox-static,linux-image-cloud-arm64",
    parts: &MODULES,
};
/// Modules between the kernel and the root, besides those that they depend on.
const MODULES: [&str; 3] = ["virtio_iommu", "virtio_blk", "erofs"];
/// What is fetched besides the kernel.
const BUSYBOX: &str = "busybox";
const LOADED: &str = "modules";
/// In `scripts/busybox/` of the repository: the first process of the initramfs, and what is in
/// the root.
const INIT: &str = "init";
const IN_ROOT: [&str; 4] = [
    "etc/inittab",
    "etc/init.d/rcS",
    "etc/init.d/disk",
    "etc/init.d/fp",
];
/// Folders of the root that others are mounted on.
const MOUNTED_ON: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// How many steps it takes.
pub fn steps_to_come(ctx: &Context) -> usize {
    PACKAGES.steps_to_come(ctx)
}

/// Fetches what Debian has of it.
pub fn fetch(ctx: &Context) -> Result<PathBuf> {
    PACKAGES.fetch(ctx, take)
}

/// Adds what such a guest is made of. The image of its root is made in `workplace`, from where
/// it is copied with the manifest's other files.
pub fn add(
    ctx: &Context,
    programs: &Programs,
    workplace: &Path,
    manifest: &mut Manifest,
) -> Result<()> {
    let fetched = fetch(ctx)?;
    manifest.file("guest/busybox/vmlinuz", fetched.join(KERNEL))?;
    manifest.bytes("guest/busybox/initramfs.cpio", initramfs(ctx, &fetched)?);
    let root = workplace.join("root.erofs");
    let folder = workplace.join("root");
    fill_root(ctx, programs, &fetched, &folder)?;
    process::output(&mut mkfs(&folder, &root))?;
    manifest.file("guest/busybox/root.erofs", root)
}

/// Takes BusyBox and the modules from the packages that are unpacked in `system`.
fn take(system: &Path, to: &Path) -> Result<()> {
    let busybox = system.join("usr/bin").join(BUSYBOX);
    let place = to.join(BUSYBOX);
    fs::copy(&busybox, &place).with_context(|| format!("cannot copy {}", busybox.display()))?;
    let folder = to.join(LOADED);
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let modules = Modules::of(&system.join("usr/lib/modules"))?;
    for (number, name) in modules.in_order(&MODULES)?.iter().enumerate() {
        let mut unpack = Command::new("xz");
        unpack
            .args(["--decompress", "--stdout"])
            .arg(&modules.files[name]);
        let module = process::output_bytes(&mut unpack)?;
        let place = folder.join(format!("{number:02}-{name}.ko"));
        files::write_atomic(&place, &module)?;
    }
    Ok(())
}

/// The modules of a kernel, by their names.
struct Modules {
    files: BTreeMap<String, PathBuf>,
    built_in: Vec<String>,
}

/// The name of a module whose file has this path: `-` and `_` are the same there.
fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (name, ending) = name.split_once('.')?;
    matches!(ending, "ko" | "ko.xz").then(|| name.replace('-', "_"))
}

impl Modules {
    /// Those in `folder`.
    fn of(folder: &Path) -> Result<Self> {
        let mut modules = Self {
            files: BTreeMap::new(),
            built_in: Vec::new(),
        };
        for entry in WalkDir::new(folder) {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            let path = entry.into_path();
            if path.ends_with("modules.builtin") {
                let text = files::read_text(&path)?;
                let paths = text.lines().map(Path::new);
                modules.built_in.extend(paths.filter_map(name_of));
            } else if let Some(name) = name_of(&path) {
                modules.files.insert(name, path);
            }
        }
        Ok(modules)
    }

    /// `names` and what they depend on, in an order in which they can be loaded.
    fn in_order(&self, names: &[&str]) -> Result<Vec<String>> {
        let mut order = Vec::new();
        for name in names {
            self.add(name, &mut order, &|file| {
                let mut modinfo = Command::new("modinfo");
                modinfo.args(["--field=depends"]).arg(file);
                process::output(&mut modinfo)
            })?;
        }
        Ok(order)
    }

    fn add(
        &self,
        name: &str,
        order: &mut Vec<String>,
        needs: &dyn Fn(&Path) -> Result<String>,
    ) -> Result<()> {
        let name = name.replace('-', "_");
        if order.contains(&name) || self.built_in.contains(&name) {
            return Ok(());
        }
        let file = self.files.get(&name);
        let file = file.with_context(|| format!("the kernel has no module {name}"))?;
        for needed in needs(file)?.trim().split(',').filter(|it| !it.is_empty()) {
            self.add(needed, order, needs)?;
        }
        order.push(name);
        Ok(())
    }
}

fn initramfs(ctx: &Context, fetched: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", LOADED, "proc", "root", "sys"] {
        archive.folder(folder);
    }
    archive.file("bin/busybox", 0o755, &read(fetched.join(BUSYBOX))?);
    archive.file("init", 0o755, &read(ours(ctx, INIT))?);
    let modules = fetched.join(LOADED);
    let entries = fs::read_dir(&modules);
    let entries = entries.with_context(|| format!("cannot read {}", modules.display()))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let place = format!("{LOADED}/{}", name.to_string_lossy());
        archive.file(&place, 0o644, &read(modules.join(&name))?);
    }
    Ok(archive.finish())
}

/// A file of `scripts/busybox/`.
fn ours(ctx: &Context, name: &str) -> PathBuf {
    ctx.scripts().join("busybox").join(name)
}

fn fill_root(ctx: &Context, programs: &Programs, fetched: &Path, folder: &Path) -> Result<()> {
    let mut root = Manifest::default();
    root.file("bin/busybox", fetched.join(BUSYBOX))?;
    root.file("sbin/guest-init", programs.ours.join("guest-init"))?;
    for name in IN_ROOT {
        root.file(name, ours(ctx, name))?;
    }
    root.copy_to(folder)?;
    let init = folder.join("sbin/init");
    symlink("../bin/busybox", &init).with_context(|| format!("cannot make {}", init.display()))?;
    for name in MOUNTED_ON {
        let place = folder.join(name);
        fs::create_dir(&place).with_context(|| format!("cannot make {}", place.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_after_those_that_they_need() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a-b.ko.xz", "c.ko.xz", "d_e.ko", "notes.txt"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::write(dir.path().join("modules.builtin"), "kernel/f.ko\n").unwrap();
        let modules = Modules::of(dir.path()).unwrap();
        let needs = |file: &Path| {
            let name = file.file_name().unwrap().to_str().unwrap();
            let needed = [("a-b.ko.xz", "c,d-e\n"), ("c.ko.xz", "f,d_e\n")];
            let found = needed.iter().find(|(of, _)| *of == name);
            Ok(found.map_or(String::new(), |(_, names)| (*names).to_owned()))
        };
        let mut order = Vec::new();
        modules.add("a_b", &mut order, &needs).unwrap();
        modules.add("c", &mut order, &needs).unwrap();
        assert_eq!(order, ["d_e", "c", "a_b"]);
        let error = modules.add("g", &mut order, &needs).unwrap_err();
        assert_eq!(error.to_string(), "the kernel has no module g");
    }

    #[test]
    fn the_initramfs_has_what_its_first_process_asks_for() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let init = fs::read_to_string(scripts.join("busybox").join(INIT)).unwrap();
        assert!(init.contains(&format!("/{LOADED}/*")));
        assert!(MODULES.contains(&"erofs") && init.contains("mount -t erofs"));
        let folders = ["dev", "proc", "sys", "root"];
        for line in init
            .lines()
            .filter(|line| line.contains("busybox mount -t "))
        {
            let onto = line.rsplit('/').next().unwrap();
            assert!(folders.contains(&onto), "{line}");
        }
    }
}
