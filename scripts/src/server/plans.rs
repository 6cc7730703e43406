// SPDX-License-Identifier: GPL-2.0
//! What machines do on the way to a server, and as servers.

use super::disk::{FIRMWARE, ROOT};
use super::machine::End;
use crate::plan::{Plan, Root, Step};

/// The name of the guest.
pub const GUEST: &str = "fp";
/// Of the step that has the guest migrate, and that of the other server.
pub const FIRST: &str = "guest";
pub const SECOND: &str = "second";

/// Seconds for a step that starts programs by the hundred on an emulated machine.
const LONG_S: u64 = 3600;
/// For others.
const SHORT_S: u64 = 600;

/// A step that a shell does, with all that programs of dpkg expect around them.
fn shell(name: &str, script: &str, timeout_s: u64) -> Step {
    let mut step = Step::new(name, &["/bin/sh", "-euc", script], timeout_s);
    for (variable, value) in [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("LC_ALL", "C.UTF-8"),
        ("HOME", "/root"),
    ] {
        step.env.insert(variable.to_owned(), value.to_owned());
    }
    step
}

/// Configures the packages of a disk that [`super::disk::make`] made, and makes it one that
/// firmware boots.
pub fn set_up() -> Plan {
    let packages = shell(
        "packages",
        // All of them are there already, but dpkg does not know. Users and groups come first.
        "cd /var/cache/apt/archives
         export DPKG_FORCE=depends,confold,unsafe-io
         dpkg --install base-passwd_*.deb
         dpkg --install base-files_*.deb
         dpkg --install *.deb
         dpkg --audit",
        LONG_S,
    );
    let boot_loader = shell(
        "boot-loader",
        &format!(
            "modprobe -a vfat nls_ascii nls_cp437
             mkfs.vfat -n FIRMWARE {FIRMWARE}
             mount -t vfat {FIRMWARE} /boot/efi
             grub-install --target=arm64-efi --efi-directory=/boot/efi --removable --no-nvram
             umount /boot/efi
             update-grub"
        ),
        SHORT_S,
    );
    let services = shell(
        "services",
        // The network between servers is a cable between two machines here, and nobody else
        // hears it: no certificates. A getty hangs the serial port up when it begins, and who
        // writes to it already is cut off.
        "rm /usr/sbin/policy-rc.d
         systemctl mask serial-getty@ttyAMA0.service
         systemctl enable kvm-rust.service systemd-networkd.service libvirtd-tcp.socket
         systemctl mask systemd-networkd-wait-online.service
         echo 'auth_tcp = \"none\"' >>/etc/libvirt/libvirtd.conf
         apt-get clean",
        SHORT_S,
    );
    Plan {
        root: Root::Disk(ROOT.to_owned()),
        steps: vec![packages, boot_loader, services],
    }
}

/// Installs the kernel `package`, whose release is `release`, as an administrator would.
pub fn install(package: &str, release: &str) -> Plan {
    let install = shell(
        "install",
        &format!("apt-get --yes install /kvm-rust/{package}"),
        LONG_S,
    );
    let choose = shell(
        "choose",
        &format!(
            "echo GRUB_TOP_LEVEL=/boot/vmlinuz-{release} >/etc/default/grub.d/top-level.cfg
             update-grub
             grep -q vmlinuz-{release} /boot/grub/grub.cfg"
        ),
        SHORT_S,
    );
    Plan::of(vec![install, choose])
}

/// What one of two servers does: it has the guest migrate, or is where to.
pub fn migrate(end: End) -> Plan {
    let [first, second] = End::BOTH.map(End::address);
    let (name, arguments) = match end {
        End::First => (
            FIRST,
            vec![
                "first",
                "--address",
                &first,
                "--second",
                &second,
                "--domain",
                "/kvm-rust/guest.xml",
                "--name",
                GUEST,
            ],
        ),
        End::Second => (SECOND, vec!["second", "--address", &second]),
    };
    let mut argv = vec!["/kvm-rust/bin/server"];
    argv.extend(arguments);
    let mut step = Step::new(name, &argv, LONG_S);
    step.env.insert("HOME".to_owned(), "/root".to_owned());
    Plan::of(vec![step])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use std::path::Path;

    #[test]
    fn the_second_server_is_where_the_first_one_looks_for_it() {
        let argv = |end| migrate(end).steps[0].argv.join(" ");
        let (first, second) = (argv(End::First), argv(End::Second));
        assert!(
            first.contains("first --address 10.0.0.1 --second 10.0.0.2"),
            "{first}"
        );
        assert!(second.ends_with("second --address 10.0.0.2"), "{second}");
    }

    #[test]
    fn the_service_has_its_serial_port_to_itself() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let unit = scripts.join("server/etc/systemd/system/kvm-rust.service");
        let unit = files::read_text(&unit).unwrap();
        let port = unit
            .lines()
            .find_map(|line| line.strip_prefix("TTYPath=/dev/"));
        let getty = format!("systemctl mask serial-getty@{}.service", port.unwrap());
        let argv = set_up().steps.pop().unwrap().argv;
        assert!(argv.iter().any(|word| word.contains(&getty)), "{argv:?}");
    }

    #[test]
    fn a_slow_guest_waits_for_its_disk_as_long_as_others_wait_for_it() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fstab = files::read_text(&scripts.join("server/etc/fstab")).unwrap();
        let line = fstab.lines().find(|line| line.contains("virtio-kvm-rust"));
        let (_, timeout) = line.unwrap().split_once("device-timeout=").unwrap();
        let (seconds, _) = timeout.split_once('s').unwrap();
        let first = files::read_text(&scripts.join("../selftests/server/src/first.rs")).unwrap();
        let (_, limit) = first
            .split_once("the guest's boot, and its checks")
            .unwrap();
        let (_, limit) = limit.split_once("default_value_t = ").unwrap();
        let (limit, _) = limit.split_once(')').unwrap();
        let [seconds, limit]: [u64; 2] = [seconds, limit].map(|text| text.parse().unwrap());
        assert!(seconds >= limit, "{seconds} s, and {limit} s");
    }

    #[test]
    fn only_setting_up_is_done_without_a_system() {
        assert_eq!(set_up().root, Root::Disk(ROOT.into()));
        for plan in [install("a.deb", "7.3.4-kvm-rust"), migrate(End::First)] {
            assert_eq!(plan.root, Root::Image);
        }
    }
}
