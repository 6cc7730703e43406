// SPDX-License-Identifier: GPL-2.0
//! A server as QEMU emulates it: UEFI, ACPI, GICv3 with ITS, NVMe and virtio disks on PCIe.

use crate::boot::{self, Expected, Files, Outcome};
use crate::context::Context;
use crate::host::{Cpu, Mode};
use crate::plan::Plan;
use crate::progress::Step;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Memory of a server, of which its guest takes a part.
const MEMORY_MIB: u64 = 2048;
const CPUS: u32 = 2;
/// Firmware, boot loader, kernel and systemd on an emulated machine, of which there may be
/// two at a time.
const BOOT_LIMIT: Duration = Duration::from_secs(900);
/// systemd ends all services before it powers off.
const QUIET: Duration = Duration::from_secs(300);

/// What a machine starts with.
#[derive(Debug, Clone)]
pub enum Start {
    /// UEFI, which finds the boot loader on the disk.
    Firmware {
        /// The code.
        code: PathBuf,
        /// Its variables, of which each machine has a copy.
        variables: PathBuf,
    },
    /// A kernel that QEMU loads.
    Kernel {
        /// The kernel.
        image: PathBuf,
        /// Its first root.
        initramfs: PathBuf,
        /// Its parameters.
        parameters: String,
    },
}

/// One end of the cable between two servers.
#[derive(Debug, Clone)]
pub struct Cable {
    /// A socket that both ends have.
    pub socket: PathBuf,
    /// Which of the two.
    pub end: End,
}

/// One of two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that begins.
    First,
    /// The other one.
    Second,
}

impl End {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    fn number(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    /// The IP address that `scripts/server/` gives to the MAC address of this end.
    pub fn address(self) -> String {
        format!("10.0.0.{}", self.number())
    }

    fn mac(self) -> String {
        format!("52:54:00:00:00:0{}", self.number())
    }
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name in messages and of its logs, and that it has for itself.
    pub name: String,
    /// Its CPU.
    pub cpu: Cpu,
    /// What it starts with.
    pub start: Start,
    /// Its NVMe disk.
    pub disk: PathBuf,
    /// Whether what it writes to its disk stays there.
    pub keeps: bool,
    /// Disks on virtio that are only read, by their serial numbers.
    pub virtio: Vec<(&'static str, PathBuf)>,
    /// Its network.
    pub cable: Option<Cable>,
}

impl Machine {
    fn qemu(&self, files: &Files, variables: &Path) -> Command {
        let mut command = Command::new("qemu-system-aarch64");
        let mut add = |arguments: &[&str]| {
            command.args(arguments);
        };
        add(&["-M", "virt,virtualization=on,gic-version=3,its=on"]);
        add(&["-accel", "tcg,thread=multi,tb-size=512"]);
        add(&["-cpu", self.cpu.qemu(true), "-smp", &CPUS.to_string()]);
        add(&["-m", &MEMORY_MIB.to_string()]);
        add(&["-nodefaults", "-display", "none", "-no-reboot"]);
        add(&["-serial", &format!("file:{}", files.log.display())]);
        match &self.start {
            Start::Firmware { code, .. } => {
                let flash = |unit, more, file: &Path| {
                    let file = file.display();
                    format!("if=pflash,format=raw,unit={unit}{more},file={file}")
                };
                add(&["-drive", &flash(0, ",readonly=on", code)]);
                add(&["-drive", &flash(1, "", variables)]);
            }
            Start::Kernel {
                image,
                initramfs,
                parameters,
            } => {
                add(&["-kernel", &image.display().to_string()]);
                add(&["-initrd", &initramfs.display().to_string()]);
                add(&["-append", parameters]);
            }
        }
        let keeps = if self.keeps { "off" } else { "on" };
        let disk = self.disk.display();
        add(&[
            "-drive",
            &format!("if=none,id=disk,format=raw,snapshot={keeps},file={disk}"),
            "-device",
            "nvme,drive=disk,serial=disk,bootindex=0",
        ]);
        for (serial, file) in &self.virtio {
            let file = file.display();
            add(&[
                "-drive",
                &format!("if=none,id={serial},format=raw,readonly=on,file={file}"),
                "-device",
                &format!("virtio-blk-pci,drive={serial},serial={serial}"),
            ]);
        }
        let port = boot::report_port("virtio-serial-pci", &files.report);
        add(&port.each_ref().map(String::as_str));
        if let Some(Cable { socket, end }) = &self.cable {
            let role = match end {
                End::First => "server=on",
                End::Second => "server=off,reconnect-ms=500",
            };
            let (socket, number) = (socket.display(), end.number());
            add(&[
                "-netdev",
                &format!("stream,id=cable,addr.type=unix,addr.path={socket},{role}"),
                "-device",
                &format!("virtio-net-pci,netdev=cable,romfile=,mac={}", end.mac()),
                // libvirt does not let a guest migrate from a machine to itself.
                "-uuid",
                &format!("6b766d2d-7275-7374-0000-00000000000{number}"),
            ]);
        }
        let credential = "io.systemd.credential:system.hostname";
        add(&[
            "-smbios",
            &format!("type=11,value={credential}={}", self.name),
        ]);
        command
    }

    /// Boots it and sees it through, or until it is `in_vain`.
    pub fn boot(
        &self,
        ctx: &Context,
        (world_switch, plan): (Option<&str>, &Plan),
        in_vain: Option<&AtomicBool>,
        step: &Step,
    ) -> Result<Outcome> {
        let files = Files::of(ctx, &self.name);
        let copy = files.log.with_extension("variables");
        if let Start::Firmware { variables, .. } = &self.start {
            fs::copy(variables, &copy)
                .with_context(|| format!("cannot copy {}", variables.display()))?;
        }
        let expected = Expected {
            world_switch,
            mode: Mode::Vhe,
            boot_limit: BOOT_LIMIT,
            quiet: QUIET,
            stops_at_failure: true,
            in_vain,
            plan,
        };
        let command = self.qemu(&files, &copy);
        let outcome = boot::follow(command, files, &expected, step, &mut |_| ());
        crate::files::remove_all(&copy)?;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(end: End) -> Machine {
        Machine {
            name: "rust".into(),
            cpu: Cpu::NeoverseV1,
            start: Start::Firmware {
                code: "code".into(),
                variables: "variables".into(),
            },
            disk: "disk".into(),
            keeps: false,
            virtio: vec![("kvm-rust", "tools".into())],
            cable: Some(Cable {
                socket: "socket".into(),
                end,
            }),
        }
    }

    fn words(machine: &Machine) -> Vec<String> {
        let files = Files {
            log: "log".into(),
            report: "report".into(),
            qemu: "qemu".into(),
        };
        let command = machine.qemu(&files, Path::new("copy"));
        let word = |word: &std::ffi::OsStr| word.to_string_lossy().into_owned();
        command.get_args().map(word).collect()
    }

    #[test]
    fn nothing_is_written_to_what_others_read() {
        let words = words(&machine(End::First));
        let disks = words.iter().filter(|word| word.contains(",file="));
        for disk in disks.filter(|word| !word.ends_with("file=copy")) {
            let kept = disk.contains("readonly=on") || disk.contains("snapshot=on");
            assert!(kept, "{disk}");
        }
        let kept = Machine {
            keeps: true,
            ..machine(End::First)
        };
        let words = super::tests::words(&kept);
        assert!(words.iter().any(|word| word.contains("snapshot=off")));
    }

    #[test]
    fn the_two_ends_of_a_cable_are_not_the_same() {
        let of = |end| words(&machine(end));
        let [first, second] = End::BOTH.map(of);
        let differ = first.iter().zip(&second).filter(|(a, b)| a != b).count();
        // The network's end, its MAC address, and the machine's identity.
        assert_eq!(differ, 3);
        assert!(first.iter().any(|word| word.contains("server=on")));
        assert!(second.iter().any(|word| word.contains("server=off")));
    }

    #[test]
    fn addresses_are_those_that_the_machines_give_themselves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("server/etc/systemd/network");
        for (end, file) in End::BOTH.iter().zip(["50-cable", "51-cable"]) {
            let text = fs::read_to_string(folder.join(format!("{file}.network"))).unwrap();
            assert!(text.contains(&format!("MACAddress={}\n", end.mac())));
            assert!(text.contains(&format!("Address={}/24\n", end.address())));
        }
    }
}
