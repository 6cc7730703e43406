// SPDX-License-Identifier: GPL-2.0

//! What guests of QEMU run, and how QEMU is told.

use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::options::Options;

/// Bytes of the disk that a guest writes to.
const SCRATCH: u64 = 1 << 20;

/// A system that a guest runs. Each has guest-init, which checks the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// The kernel of the host, with guest-init as first process.
    Ours,
    /// Debian's kernel for armhf, in AArch32 state like its programs, with guest-init as first
    /// process.
    Armhf,
    /// Debian's kernel for arm64 and BusyBox, on a disk behind virtio-iommu, which have
    /// guest-init as a service.
    Busybox,
}

impl System {
    /// What its kernel calls the CPU's state.
    pub fn machine(self) -> &'static str {
        match self {
            Self::Ours | Self::Busybox => "aarch64",
            Self::Armhf => "armv7l",
        }
    }

    /// Kernel, initramfs, and memory in MiB.
    fn files(self, options: &Options) -> (String, String, u32) {
        let of = |name: &str| {
            let folder = format!("/kvm-rust/guest/{name}");
            let (kernel, initrd) = (
                format!("{folder}/vmlinuz"),
                format!("{folder}/initramfs.cpio"),
            );
            (kernel, initrd, 256)
        };
        match self {
            Self::Ours => (options.kernel.clone(), options.initrd.clone(), 192),
            Self::Armhf => of("armhf"),
            Self::Busybox => of("busybox"),
        }
    }

    /// QEMU's command line for guest `index`, with `check` for guest-init.
    pub fn qemu(self, options: &Options, index: usize, check: &str) -> Result<Command> {
        let (kernel, initrd, memory) = self.files(options);
        let (cpus, memory) = (options.vcpus.to_string(), memory.to_string());
        let cpu = match self {
            Self::Ours | Self::Busybox => "host",
            Self::Armhf => "host,aarch64=off",
        };
        let mut command = Command::new("/usr/bin/qemu-system-aarch64");
        command
            .args(["-M", "virt,gic-version=3", "-accel", "kvm", "-cpu", cpu])
            .args(["-smp", &cpus, "-m", &memory, "-nic", "none", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-kernel", &kernel, "-initrd", &initrd])
            .args(["-append", &format!("console=ttyAMA0 {check}")]);
        if self == Self::Busybox {
            let scratch = format!("/tmp/scratch-{index}");
            let file = File::create(&scratch).and_then(|file| file.set_len(SCRATCH));
            file.with_context(|| format!("cannot make {scratch}"))?;
            command.args(["-device", "virtio-iommu-pci"]);
            for (name, more, file) in [
                ("root", ",readonly=on", "/kvm-rust/guest/busybox/root.erofs"),
                ("scratch", "", &scratch),
            ] {
                command
                    .arg("-drive")
                    .arg(format!("if=none,id={name},format=raw{more},file={file}"))
                    .arg("-device")
                    .arg(format!(
                        "virtio-blk-pci-non-transitional,drive={name},serial={name},iommu_platform=on"
                    ));
            }
        }
        Ok(command)
    }
}
