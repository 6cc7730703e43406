// SPDX-License-Identifier: GPL-2.0
//! What an emulated host has on its disk: Debian's arm64 userland with QEMU,
//! the test programs, and the guest; and the initramfs it boots with.

mod armhf;
mod busybox;
mod fetched;
mod kept;
mod manifest;

pub use kept::{Disk, InUse};
pub use manifest::Manifest;

use crate::context::Context;
use crate::cpio::Archive;
use crate::kernel::{Kernel, Variant};
use crate::plan::Plan;
use crate::progress::Step;
use crate::{apt, digest, disk, files, once, process};
use anyhow::{Context as _, Result};
use kept::Images;
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

/// That of a file system says nothing here.
const UUID: &str = "6b766d2d-7275-7374-0000-000000000000";

const USERLAND_MIB: u64 = 700;
const IMAGE_MIB: u64 = 300;

/// Programs of selftests/ that hosts have in /kvm-rust/bin.
const OURS: [&str; 11] = [
    "aarch32",
    "bench",
    "contest",
    "fp-counters",
    "hostile-host",
    "kunit",
    "migration",
    "soak",
    "sve-abi",
    "syndromes",
    "vmm",
];
/// Guests without an operating system that hosts have in /kvm-rust/guest: those
/// of selftests/exits and selftests/syndromes.
const BARE_GUESTS: [&str; 15] = [
    "exit-first-fp",
    "exit-first-sve",
    "exit-hypercall",
    "exit-ipi",
    "exit-run-fp",
    "exit-run-fp-fp-guest",
    "exit-run-idle",
    "exit-run-idle-fp-guest",
    "exit-timer",
    "exit-vcpu-switch",
    "exit-vgic-mmio",
    "exit-vmm-mmio",
    "registers",
    "sve-worker",
    "syndromes-guest",
];

/// The programs that go into images.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Folder with the programs of selftests/.
    pub ours: PathBuf,
    /// Folder with those of them that armhf guests run.
    pub armhf: PathBuf,
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
    usize::from(!Images::of(ctx).has(guest.name()))
}

/// Fetches what all images have in common.
pub fn fetch(ctx: &Context) -> Result<()> {
    userland(ctx)?;
    armhf::fetch(ctx)?;
    busybox::fetch(ctx)?;
    Ok(())
}

/// How many steps that takes.
pub fn common_steps_to_come(ctx: &Context) -> usize {
    usize::from(!userland_path(ctx).exists())
        + armhf::steps_to_come(ctx)
        + busybox::steps_to_come(ctx)
}

/// Makes the userland, once for each list of packages.
fn userland(ctx: &Context) -> Result<PathBuf> {
    let path = userland_path(ctx);
    let what = (path.as_path(), "arm64 userland", USERLAND_MIB);
    once::folder(ctx, what, |partial, log, step| {
        unpack_userland(partial, log, step)?;
        Ok("unpacked".to_owned())
    })?;
    Ok(path)
}

fn unpack_userland(partial: &Path, log: &Path, step: &Step) -> Result<()> {
    let left_out = ["/usr/share/doc/*", "/usr/share/locale/*"];
    let mut command = apt::unpack_packages("arm64", PACKAGES, &left_out, partial)?;
    process::run(&mut command, log, step).context("cannot make the arm64 userland")?;
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
    Ok(())
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

/// Folders of the kernel's selftests and where they are in the image.
const KERNELS: [(&str, &str); 2] = [("kvm", "kselftest/kvm"), ("arm64/fp", "kselftest/fp")];

/// What is in /kvm-rust of hosts whose guests run `guest`.
fn manifest(guest: &Kernel, programs: &Programs) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    for name in OURS {
        manifest.file(format!("bin/{name}"), programs.ours.join(name))?;
    }
    for name in BARE_GUESTS {
        manifest.file(format!("guest/{name}"), programs.ours.join(name))?;
    }
    manifest.file("guest/Image", guest.image.clone())?;
    let initramfs = guest_initramfs(&programs.ours, &[])?;
    let nested = [
        ("kvm-rust/bin/vmm", read(programs.ours.join("vmm"))?),
        ("kvm-rust/guest/Image", read(guest.image.clone())?),
        ("kvm-rust/guest/initramfs.cpio", initramfs.clone()),
    ];
    manifest.bytes("guest/initramfs.cpio", initramfs);
    let hypervisor = guest_initramfs(&programs.ours, &nested)?;
    manifest.bytes("guest/hypervisor.cpio", hypervisor);
    if let Some(tests) = &programs.tests {
        for test in programs.unit_tests()? {
            manifest.file(format!("tests/{test}"), tests.join(&test))?;
        }
    }
    for (from, to) in KERNELS {
        let from = programs.kernels.join(from);
        for program in programs_in(&from)? {
            manifest.file(Path::new(to).join(&program), from.join(&program))?;
        }
    }
    Ok(manifest)
}

/// The disk image of hosts whose guests run `guest`.
pub fn disk_image(ctx: &Context, guest: &Kernel, programs: &Programs) -> Result<InUse> {
    let base = userland(ctx)?;
    // Its name says what is in it; where the cache is does not matter.
    let name = base.file_name().unwrap_or_default().to_string_lossy();
    let kind = guest.variant.name();
    let mut manifest = manifest(guest, programs)?;
    armhf::add(ctx, programs, &mut manifest)?;
    let busyboxes = tempfile::tempdir().context("cannot make a folder")?;
    busybox::add(ctx, programs, busyboxes.path(), &mut manifest)?;
    let signature = digest::of_bytes(format!("{name}\n{}", manifest.listing()).as_bytes());
    Images::of(ctx).get(&ctx.ui, kind, &signature, |workplace, image| {
        disk::need(&ctx.cache, IMAGE_MIB, "the disk image")?;
        let step = ctx.ui.step(&format!("disk image with the guest {kind}"));
        let log = ctx.log(&format!("image-{kind}"));
        let folder = workplace.join("root");
        process::copy_linked(&base, &folder, &log, &step)?;
        manifest.copy_to(&folder.join("kvm-rust"))?;
        read_only(&folder, image, &log, &step)?;
        step.end("made");
        Ok(())
    })
}

/// Makes `image`, a file system that is only read, with what is in `folder`.
pub fn read_only(folder: &Path, image: &Path, log: &Path, step: &Step) -> Result<()> {
    process::run(&mut mkfs(folder, image), log, step).context("cannot make the disk image")
}

/// The command that makes it. The same files make the same image.
fn mkfs(folder: &Path, image: &Path) -> Command {
    let mut command = Command::new("mkfs.erofs");
    command
        .args(["--quiet", "-T0", "--all-root", "-U", UUID])
        .arg(image)
        .arg(folder);
    command
}

fn read(path: PathBuf) -> Result<Vec<u8>> {
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The initramfs of a guest with the first process from the folder `programs`, and with `more`
/// in it if it is to have guests itself.
fn guest_initramfs(programs: &Path, more: &[(&str, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    if !more.is_empty() {
        for folder in ["kvm-rust", "kvm-rust/bin", "kvm-rust/guest"] {
            archive.folder(folder);
        }
    }
    archive.file("init", 0o755, &read(programs.join("guest-init"))?);
    for (name, content) in more {
        archive.file(name, 0o755, content);
    }
    Ok(archive.finish())
}

/// The initramfs of a host that carries out `plan`, with the first process from `ours`, the folder
/// with the programs of selftests/.
pub fn host_initramfs(ours: &Path, plan: &Plan) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.file("init", 0o755, &read(ours.join("host-init"))?);
    archive.file("plan.json", 0o644, serde_json::to_string(plan)?.as_bytes());
    Ok(archive.finish())
}
