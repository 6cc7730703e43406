// SPDX-License-Identifier: GPL-2.0
//! The disk of a server: a partition for the firmware, which the machine itself formats, and
//! one with its system on ext4.

use super::debian::Debian;
use crate::context::Context;
use crate::progress::Step;
use crate::{disk, files, process};
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// Partitions as the kernel calls them.
pub const FIRMWARE: &str = "/dev/nvme0n1p1";
pub const ROOT: &str = "/dev/nvme0n1p2";

const SIZE_MIB: u64 = 6144;
/// Where the partition for the firmware begins: what is before is the table.
const FIRMWARE_MIB: u64 = 1;
/// Where the system's begins.
const ROOT_MIB: u64 = 65;
/// What is kept free at the end, for the copy of the table.
const END_MIB: u64 = 1;
/// Space that a disk takes here, which is most of it holes.
const TAKES_MIB: u64 = 3000;

/// The table, for sfdisk.
pub fn table() -> String {
    let mib = |n: u64| format!("{n}MiB");
    format!(
        "label: gpt\nstart={}, size={}, type=uefi\nstart={}, size={}, type=linux\n",
        mib(FIRMWARE_MIB),
        mib(ROOT_MIB - FIRMWARE_MIB),
        mib(ROOT_MIB),
        mib(SIZE_MIB - END_MIB - ROOT_MIB)
    )
}

/// The files of `scripts/server/`, by their places on a server.
pub fn files(ctx: &Context) -> Result<Vec<(PathBuf, PathBuf)>> {
    let folder = ctx.scripts().join("server");
    let mut found = Vec::new();
    for entry in WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_type().is_file() {
            let place = entry.path().strip_prefix(&folder)?.to_owned();
            found.push((place, entry.path().to_owned()));
        }
    }
    Ok(found)
}

/// Makes the file `image` a disk with `debian` on it, not yet configured, and with our files.
pub fn make(ctx: &Context, debian: &Debian, image: &Path, log: &Path, step: &Step) -> Result<()> {
    disk::need(&ctx.cache, TAKES_MIB, "the disk of a server")?;
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    let folder = files::beside(image, "root");
    files::remove_all(&folder)?;
    process::copy_linked(&debian.folder, &folder, log, step)?;
    for (place, from) in self::files(ctx)? {
        let to = folder.join(place);
        fs::create_dir_all(to.parent().unwrap_or(&folder)).with_context(|| cannot(&to))?;
        // Not into the file that is linked there.
        files::remove_all(&to)?;
        fs::copy(&from, &to).with_context(|| cannot(&to))?;
    }
    for mount_point in ["kvm-rust", "boot/efi"] {
        let path = folder.join(mount_point);
        fs::create_dir_all(&path).with_context(|| cannot(&path))?;
    }
    for (place, text, mode) in [
        // Each machine has another one from its first boot on.
        ("etc/machine-id", "", 0o644),
        ("etc/resolv.conf", "", 0o644),
        // No daemons while packages are configured.
        ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755),
    ] {
        let path = folder.join(place);
        files::remove_all(&path)?;
        fs::write(&path, text).with_context(|| cannot(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .with_context(|| cannot(&path))?;
    }
    // Firmware gives each machine its name: libvirt lets no guest migrate between two that have
    // the same.
    files::remove_all(&folder.join("etc/hostname"))?;
    files::remove_all(image)?;
    let file = File::create(image).with_context(|| cannot(image))?;
    file.set_len(SIZE_MIB << 20)
        .with_context(|| cannot(image))?;
    partition(image, log, step)?;
    let mut command = Command::new("mke2fs");
    command
        .args(["-q", "-t", "ext4", "-L", "root", "-d"])
        .arg(&folder)
        .args(["-E", &format!("offset={}", ROOT_MIB << 20)])
        .arg(image)
        .arg(format!("{}M", SIZE_MIB - END_MIB - ROOT_MIB));
    process::run(&mut command, log, step).context("cannot make the file system of a server")?;
    files::remove_all(&folder)
}

/// Makes `to` a copy of the disk `from` for guests. On a server that has both, systemd and the
/// boot loader would take one file system for the other: it gets another name.
pub fn copy_for_guests(from: &Path, to: &Path, log: &Path, step: &Step) -> Result<()> {
    copy(from, to, log, step)?;
    let mut command = Command::new("tune2fs");
    command.args(["-L", "guest", "-U", "random"]).arg(format!(
        "{}?offset={}",
        to.display(),
        ROOT_MIB << 20
    ));
    process::run(&mut command, log, step).context("cannot name the file system of guests")
}

/// Makes `to` a copy of the disk `from`, with its holes.
pub fn copy(from: &Path, to: &Path, log: &Path, step: &Step) -> Result<()> {
    let mut command = Command::new("cp");
    command
        .args(["--sparse=always", "--reflink=auto"])
        .args([from, to]);
    process::run(&mut command, log, step)
}

fn partition(image: &Path, log: &Path, step: &Step) -> Result<()> {
    let script = files::beside(image, "partitions");
    files::write_atomic(&script, table().as_bytes())?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "sfdisk --quiet \"$1\" <\"$2\"", "sh"])
        .arg(image)
        .arg(&script);
    process::run(&mut command, log, step).context("cannot divide the disk of a server")?;
    files::remove_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_do_not_overlap_and_leave_room_for_the_tables() {
        assert_eq!(
            table(),
            "label: gpt\nstart=1MiB, size=64MiB, type=uefi\n\
             start=65MiB, size=6078MiB, type=linux\n"
        );
        assert_eq!(65 + 6078 + END_MIB, SIZE_MIB);
    }
}
