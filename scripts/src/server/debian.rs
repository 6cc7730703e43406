// SPDX-License-Identifier: GPL-2.0
//! What is on a server before anybody installs our kernel: Debian with its own kernel of the
//! same release, libvirt and QEMU. Here it is unpacked; [`super::plans::set_up`] has it
//! configured, which takes an arm64 CPU.

use crate::apt::{self, Apt};
use crate::context::Context;
use crate::version::SUPPORTED;
use crate::{digest, once, process};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages of a server besides the essential ones and the kernel.
const PACKAGES: &str = "apt dbus dosfstools e2fsprogs grub-efi-arm64-bin grub2-common \
    initramfs-tools iproute2 libvirt-clients libvirt-daemon-system qemu-efi-aarch64 \
    qemu-system-arm systemd-sysv udev zstd";
/// Parts of packages that no server needs.
const LEFT_OUT: [&str; 4] = [
    "/usr/lib/modules/*/dtb/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];
/// Debian's kernel for servers that are rented.
const FLAVOUR: &str = "-cloud-arm64";
const DISK_MIB: u64 = 1500;

/// A server's system, unpacked.
#[derive(Debug)]
pub struct Debian {
    /// Where.
    pub folder: PathBuf,
    /// The release of its kernel.
    pub release: String,
}

impl Debian {
    /// The one that was unpacked to `folder`.
    fn at(folder: PathBuf) -> Result<Self> {
        let modules = folder.join("usr/lib/modules");
        let entries = fs::read_dir(&modules);
        let entries = entries.with_context(|| format!("cannot read {}", modules.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut releases = names.map(|name| name.to_string_lossy().into_owned());
        let release = releases
            .next()
            .with_context(|| format!("no kernel in {}", folder.display()))?;
        Ok(Self { folder, release })
    }

    /// Its kernel.
    pub fn kernel(&self) -> PathBuf {
        let modules = self.folder.join("usr/lib/modules");
        modules.join(&self.release).join("vmlinuz")
    }

    /// The firmware for machines and guests: code and variables.
    pub fn firmware(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.join("usr/share/AAVMF");
        (
            folder.join("AAVMF_CODE.no-secboot.fd"),
            folder.join("AAVMF_VARS.fd"),
        )
    }
}

/// The newest kernel of the supported series in a list of packages.
fn newest_kernel(names: &[String]) -> Option<&String> {
    let prefix = format!("linux-image-{}.{}.", SUPPORTED.0, SUPPORTED.1);
    let patch = |name: &str| -> Option<u32> {
        let rest = name.strip_prefix(&prefix)?.strip_suffix(FLAVOUR)?;
        let (number, _) = rest.split_once(|c: char| !c.is_ascii_digit())?;
        number.parse().ok()
    };
    let kernels = names.iter().filter(|name| patch(name).is_some());
    kernels.max_by_key(|name| patch(name))
}

/// Where it is, for this recipe.
fn place(ctx: &Context) -> PathBuf {
    let recipe = format!(
        "{} {PACKAGES} {LEFT_OUT:?} {FLAVOUR} {SUPPORTED:?}",
        apt::SUITE
    );
    let digest = digest::of_bytes(recipe.as_bytes());
    let name = format!("debian-{}", digest::short(&digest));
    ctx.cache.join("build/server").join(name)
}

/// Unpacks it, once for each list of packages.
pub fn unpack(ctx: &Context) -> Result<Debian> {
    let place = place(ctx);
    let what = (place.as_path(), "packages of a server", DISK_MIB);
    once::folder(ctx, what, |partial, log, step| {
        let apt = Apt::new(ctx)?;
        apt.update(log, step)?;
        let names = apt.names("linux-image-")?;
        let kernel = newest_kernel(&names).with_context(|| {
            let (major, minor) = SUPPORTED;
            format!(
                "{}-backports has no kernel {major}.{minor} for servers",
                apt::SUITE
            )
        })?;
        process::run(&mut mmdebstrap(kernel, partial)?, log, step)
            .context("packages of a server cannot be unpacked")?;
        Ok(kernel.clone())
    })?;
    Debian::at(place)
}

fn mmdebstrap(kernel: &str, folder: &Path) -> Result<Command> {
    let (mirror, suite) = (apt::mirror()?, apt::SUITE);
    let backports = format!("{suite}-backports");
    let mut command = apt::unpack("arm64");
    command
        // The packages themselves stay there for the machine that configures them.
        .arg("--skip=cleanup/apt")
        .args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg("--include=?essential")
        .arg(format!("--include={}", PACKAGES.replace(' ', ",")))
        .arg(format!(
            "--include={kernel}/{backports},linux-base/{backports}"
        ))
        .arg(suite)
        .arg(folder)
        .arg(format!("deb {mirror} {suite} main"))
        .arg(format!("deb {mirror} {backports} main"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_for_servers_is_taken() {
        let names = [
            "linux-image-7.3.4+deb13-cloud-arm64",
            "linux-image-7.3.12+deb13-cloud-arm64",
            "linux-image-7.3.13+deb13-cloud-arm64-dbg",
            "linux-image-7.3.14+deb13-arm64",
            "linux-image-7.4.1+deb13-cloud-arm64",
            "linux-image-7.3.15+deb13-cloud-amd64",
        ];
        let names = names.map(str::to_owned);
        assert_eq!(newest_kernel(&names), Some(&names[1]));
        assert_eq!(newest_kernel(&names[2..]), None);
    }

    #[test]
    fn the_packages_are_one_list() {
        assert!(PACKAGES.split(' ').all(|name| !name.is_empty()));
    }
}
