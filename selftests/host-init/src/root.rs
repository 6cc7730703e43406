// SPDX-License-Identifier: GPL-2.0

//! From the initramfs into the root: an overlay of a tmpfs over the read-only image, so
//! that programs may write where they like, or a disk.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use nix::mount::{mount, MsFlags};
use nix::unistd::{chdir, chroot};

use crate::plan::Root;

/// Where the root is before it is entered.
const NEW_ROOT: &str = "/image";
/// How long a device may take to be found, on an emulated host.
const FOUND: Duration = Duration::from_secs(60);

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

/// Makes `root` the root.
pub fn enter(root: &Root) -> Result<()> {
    match root {
        Root::Image => mount_image()?,
        Root::Disk(device) => {
            wait_for(Path::new(device))?;
            mount_at(device, NEW_ROOT, "ext4", MsFlags::empty(), "")?;
        }
    }
    chroot(NEW_ROOT)
        .and_then(|()| chdir("/"))
        .context("cannot enter the root")?;
    mount_rest()
}

/// Sees to it that what was written to `root` is there the next time.
pub fn leave(root: &Root) -> Result<()> {
    match root {
        Root::Image => Ok(()),
        Root::Disk(_) => mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
            None::<&str>,
        )
        .context("cannot end writing to the root"),
    }
}

/// Waits until the kernel has found `device`.
fn wait_for(device: &Path) -> Result<()> {
    let end = Instant::now() + FOUND;
    while !device.exists() {
        ensure!(
            Instant::now() < end,
            "there is no {} after {} s",
            device.display(),
            FOUND.as_secs()
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Mounts the image, with a tmpfs above it.
fn mount_image() -> Result<()> {
    mount_at("/dev/vda", "/lower", "erofs", MsFlags::MS_RDONLY, "")?;
    mount_at("tmpfs", "/rw", "tmpfs", MsFlags::empty(), "")?;
    for folder in ["/rw/upper", "/rw/work"] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    }
    let layers = "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work";
    mount_at("overlay", NEW_ROOT, "overlay", MsFlags::empty(), layers)
}

/// Mounts what programs expect to find below the root.
fn mount_rest() -> Result<()> {
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
