// SPDX-License-Identifier: GPL-2.0

//! From the initramfs into the image: an overlay of a tmpfs over the read-only
//! disk, so that programs may write where they like.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use nix::mount::{mount, MsFlags};
use nix::unistd::{chdir, chroot};

/// Mounts `source` of type `kind` at `target`, which is made if need be.
fn mount_at(source: &str, target: &str, kind: &str, flags: MsFlags, data: &str) -> Result<()> {
    match fs::create_dir_all(target) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {target}"));
        }
        _ => {}
    }
    mount(Some(source), target, Some(kind), flags, Some(data))
        .with_context(|| format!("cannot mount {source} ({kind}) at {target}"))
}

/// Mounts what is needed to find the disk.
pub fn mount_early() -> Result<()> {
    mount_at("devtmpfs", "/dev", "devtmpfs", MsFlags::empty(), "")
}

/// Makes the disk image the root.
pub fn enter_image() -> Result<()> {
    mount_at("/dev/vda", "/lower", "erofs", MsFlags::MS_RDONLY, "")?;
    mount_at("tmpfs", "/rw", "tmpfs", MsFlags::empty(), "")?;
    for folder in ["/rw/upper", "/rw/work", "/image"] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    }
    let layers = "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work";
    mount_at("overlay", "/image", "overlay", MsFlags::empty(), layers)?;
    chroot("/image")
        .and_then(|()| chdir("/"))
        .context("cannot enter the image")?;

    mount_at("proc", "/proc", "proc", MsFlags::empty(), "")?;
    mount_at("sysfs", "/sys", "sysfs", MsFlags::empty(), "")?;
    mount_at(
        "debugfs",
        "/sys/kernel/debug",
        "debugfs",
        MsFlags::empty(),
        "",
    )?;
    mount_at("devtmpfs", "/dev", "devtmpfs", MsFlags::empty(), "")?;
    mount_at("devpts", "/dev/pts", "devpts", MsFlags::empty(), "")?;
    mount_at("tmpfs", "/dev/shm", "tmpfs", MsFlags::empty(), "")?;
    mount_at(
        "hugetlbfs",
        "/dev/hugepages",
        "hugetlbfs",
        MsFlags::empty(),
        "",
    )?;
    mount_at("tmpfs", "/tmp", "tmpfs", MsFlags::empty(), "")?;
    mount_at("tmpfs", "/run", "tmpfs", MsFlags::empty(), "")
}
