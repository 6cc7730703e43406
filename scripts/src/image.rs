// SPDX-License-Identifier: GPL-2.0
//! What an emulated host has on its disk: Debian's arm64 userland with QEMU,
//! the test programs, and the guest; and the initramfs it boots with.

use crate::context::Context;
use crate::cpio::Archive;
use crate::kernel::{Kernel, Variant};
use crate::lock::Lock;
use crate::plan::Plan;
use crate::{apt, digest, disk, files, process};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// Debian packages of the userland, with what they depend on.
const PACKAGES: &str = "qemu-system-arm";
/// Parts of the userland that no test needs.
const NOT_NEEDED: [&str; 8] = [
    "usr/bin/qemu-system-arm",
    "usr/share",
    "usr/lib/aarch64-linux-gnu/gconv",
    "usr/lib/aarch64-linux-gnu/perl-base",
    "usr/lib/systemd",
    "usr/lib/udev",
    "var/cache",
    "var/lib",
];
/// Folders that Debian's base-files would make, and links for merged /usr.
const FOLDERS: [&str; 9] = [
    "dev", "etc", "kvm-rust", "mnt", "proc", "root", "run", "sys", "tmp",
];
const MERGED: [&str; 3] = ["bin", "lib", "sbin"];

const USERLAND_MIB: u64 = 700;
const IMAGE_MIB: u64 = 300;

/// Programs of selftests/ that hosts have in /kvm-rust/bin.
const OURS: [&str; 3] = ["contest", "kunit", "vmm"];
/// Guests of selftests/exits that hosts have in /kvm-rust/guest.
const BARE_GUESTS: [&str; 4] = [
    "exit-hypercall",
    "exit-timer",
    "exit-vgic-mmio",
    "exit-vmm-mmio",
];

/// The programs that go into images.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Folder with the programs of selftests/.
    pub ours: PathBuf,
    /// Folder with the test programs of selftests/, one for each crate, where
    /// they are wanted.
    pub tests: Option<PathBuf>,
    /// Folder where the kernel's selftests are built.
    pub kernels: PathBuf,
}

impl Programs {
    /// Crates of selftests/ whose tests are in /kvm-rust/tests.
    pub fn unit_tests(&self) -> Result<Vec<String>> {
        let found = match &self.tests {
            Some(tests) => programs_in(tests)?,
            None => Vec::new(),
        };
        Ok(found.iter().map(|p| p.display().to_string()).collect())
    }

    /// Names of the kernel's KVM selftests, as in /kvm-rust/kselftest/.
    pub fn kvm_selftests(&self) -> Result<Vec<String>> {
        let found = programs_in(&self.kernels.join("kvm"))?;
        Ok(found
            .iter()
            .map(|p| format!("kvm/{}", p.display()))
            .collect())
    }
}

/// Where the userland is, for this list of packages.
fn userland_path(ctx: &Context) -> PathBuf {
    let recipe = format!(
        "{} {PACKAGES} {NOT_NEEDED:?} {FOLDERS:?} {MERGED:?}",
        apt::SUITE
    );
    let digest = digest::of_bytes(recipe.as_bytes());
    ctx.cache
        .join(format!("userland-{}", digest::short(&digest)))
}

/// How many steps a disk image with this guest takes at first sight.
pub fn steps_to_come(ctx: &Context, guest: Variant) -> usize {
    usize::from(!files::beside(&image_path(ctx, guest), "stamp").exists())
}

/// How many steps the userland takes.
pub fn userland_steps_to_come(ctx: &Context) -> usize {
    usize::from(!userland_path(ctx).exists())
}

fn image_path(ctx: &Context, guest: Variant) -> PathBuf {
    ctx.cache
        .join("image")
        .join(format!("{}.erofs", guest.name()))
}

/// Makes the userland, once for each list of packages.
fn userland(ctx: &Context) -> Result<PathBuf> {
    let path = userland_path(ctx);
    if path.exists() {
        return Ok(path);
    }
    let _lock = Lock::take(&ctx.ui, &files::beside(&path, "lock"), "the arm64 userland")?;
    if path.exists() {
        return Ok(path);
    }
    disk::need(&ctx.cache, USERLAND_MIB, "the arm64 userland")?;
    let step = ctx.ui.step("arm64 userland");
    let log = ctx.log("userland");
    let partial = files::beside(&path, "partial");
    files::remove_all(&partial)?;
    let mut command = Command::new("mmdebstrap");
    command
        // Only unpacked, never run: works without binfmt and privileges.
        .args(["--mode=root", "--variant=extract", "--architectures=arm64"])
        .args([
            "--aptopt=Apt::Install-Recommends \"false\"",
            "--aptopt=APT::Sandbox::User \"root\"",
        ])
        .args([
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
        ])
        .arg(format!("--include={PACKAGES}"))
        .arg(apt::SUITE)
        .arg(&partial)
        .arg(format!("deb {} {} main", apt::mirror()?, apt::SUITE));
    process::run(&mut command, &log, &step).context("cannot make the arm64 userland")?;
    for unneeded in NOT_NEEDED {
        files::remove_all(&partial.join(unneeded))?;
    }
    for folder in FOLDERS {
        let folder = partial.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for link in MERGED {
        let place = partial.join(link);
        if fs::symlink_metadata(&place).is_err() {
            symlink(format!("usr/{link}"), &place)
                .with_context(|| format!("cannot make {}", place.display()))?;
        }
    }
    fs::rename(&partial, &path).with_context(|| format!("cannot name {}", path.display()))?;
    step.end("unpacked");
    Ok(path)
}

/// The programs below `folder`, by their path in it, without what else a
/// build leaves.
fn programs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let executable =
            entry.file_type().is_file() && entry.metadata()?.permissions().mode() & 0o100 != 0;
        if executable && entry.path().extension().is_none() {
            found.push(entry.path().strip_prefix(folder)?.to_owned());
        }
    }
    Ok(found)
}

/// Name, size and time of the programs below `folder`: changes when they do.
fn listing(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for program in programs_in(folder)? {
        let path = folder.join(&program);
        let meta =
            fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let time = meta
            .modified()
            .with_context(|| format!("no time of {}", path.display()))?;
        text.push_str(&format!("{} {} {time:?}\n", program.display(), meta.len()));
    }
    Ok(text)
}

/// Copies the programs below `from` to `to`.
fn copy_programs(from: &Path, to: &Path) -> Result<()> {
    for program in programs_in(from)? {
        let (source, target) = (from.join(&program), to.join(&program));
        let copy = || -> std::io::Result<u64> {
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            fs::copy(&source, &target)
        };
        copy()
            .with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))?;
    }
    Ok(())
}

/// Folders of the kernel's selftests and where they are in the image.
const KERNELS: [(&str, &str); 2] = [("kvm", "kselftest/kvm"), ("arm64/fp", "kselftest/fp")];

/// A disk image.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// Changes whenever something in the image does.
    pub signature: String,
}

/// The disk image of hosts whose guests run `guest`.
pub fn disk_image(ctx: &Context, guest: &Kernel, programs: &Programs) -> Result<Disk> {
    let base = userland(ctx)?;
    let image = image_path(ctx, guest.variant);
    let _lock = Lock::take(&ctx.ui, &files::beside(&image, "lock"), "the disk image")?;
    let guest_initramfs = guest_initramfs(programs)?;
    let mut contents = format!("{} {}\n", base.display(), guest.digest()?);
    contents.push_str(&digest::of_bytes(&guest_initramfs));
    for name in OURS.iter().chain(&BARE_GUESTS) {
        contents.push_str(&digest::of_bytes(&read(programs.ours.join(name))?));
    }
    if let Some(tests) = &programs.tests {
        for test in programs.unit_tests()? {
            let digest = digest::of_file(&tests.join(&test))?;
            contents.push_str(&format!("{test} {digest}\n"));
        }
    }
    for (from, _) in KERNELS {
        contents.push_str(&listing(&programs.kernels.join(from))?);
    }
    let signature = digest::of_bytes(contents.as_bytes());
    let stamp = files::beside(&image, "stamp");
    if fs::read_to_string(&stamp).is_ok_and(|s| s == signature) && image.exists() {
        return Ok(Disk {
            path: image,
            signature,
        });
    }
    disk::need(&ctx.cache, IMAGE_MIB, "the disk image")?;
    let step = ctx.ui.step(&format!(
        "disk image with the guest {}",
        guest.variant.name()
    ));
    let log = ctx.log(&format!("image-{}", guest.variant.name()));
    files::remove_all(&stamp)?;
    let folder = files::beside(&image, "folder");
    files::remove_all(&folder)?;
    if let Some(parent) = image.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let mut command = Command::new("cp");
    command.args(["-a", "--link"]).arg(&base).arg(&folder);
    process::run(&mut command, &log, &step)?;
    let inside = folder.join("kvm-rust");
    for sub in ["bin", "guest"] {
        fs::create_dir_all(inside.join(sub))
            .with_context(|| format!("cannot fill {}", inside.display()))?;
    }
    let copy = |from: &Path, to: PathBuf| {
        fs::copy(from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
    };
    for name in OURS {
        copy(&programs.ours.join(name), inside.join("bin").join(name))?;
    }
    for name in BARE_GUESTS {
        copy(&programs.ours.join(name), inside.join("guest").join(name))?;
    }
    copy(&guest.image, inside.join("guest/Image"))?;
    let initramfs = inside.join("guest/initramfs.cpio");
    fs::write(&initramfs, guest_initramfs)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    if let Some(tests) = &programs.tests {
        copy_programs(tests, &inside.join("tests"))?;
    }
    for (from, to) in KERNELS {
        copy_programs(&programs.kernels.join(from), &inside.join(to))?;
    }
    let partial = files::beside(&image, "partial");
    files::remove_all(&partial)?;
    let mut command = Command::new("mkfs.erofs");
    command
        .args(["--quiet", "-T0", "--all-root"])
        .arg(&partial)
        .arg(&folder);
    process::run(&mut command, &log, &step).context("cannot make the disk image")?;
    fs::rename(&partial, &image).with_context(|| format!("cannot name {}", image.display()))?;
    files::remove_all(&folder)?;
    files::write_atomic(&stamp, signature.as_bytes())?;
    step.end("made");
    Ok(Disk {
        path: image,
        signature,
    })
}

fn read(path: PathBuf) -> Result<Vec<u8>> {
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn guest_initramfs(programs: &Programs) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.file("init", 0o755, &read(programs.ours.join("guest-init"))?);
    Ok(archive.finish())
}

/// The initramfs of a host that carries out `plan`.
pub fn host_initramfs(programs: &Programs, plan: &Plan) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.file("init", 0o755, &read(programs.ours.join("host-init"))?);
    archive.file("plan.json", 0o644, serde_json::to_string(plan)?.as_bytes());
    Ok(archive.finish())
}
