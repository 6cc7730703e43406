// SPDX-License-Identifier: GPL-2.0
//! The guest as libvirt defines it: the Debian of the servers, of which it writes nothing, with
//! devices behind an IOMMU, and a serial port that ends at the first server wherever it runs.

use super::machine::End;
use super::plans::GUEST;

/// Port of the first server that the guest's serial port is connected to, as
/// `selftests/server` has it.
const CONSOLE: u32 = 7001;
const MEMORY_MIB: u32 = 768;
const VCPUS: u32 = 2;
/// How long each of the guest's checks of its registers takes.
const CHECK_S: u32 = 5;

/// Its definition, with Debian's kernel of this release.
pub fn definition(release: &str) -> String {
    let parameters = [
        "console=ttyAMA0 root=/dev/vda2 ro systemd.volatile=state".to_owned(),
        // It has no guests itself.
        "systemd.mask=libvirtd.service systemd.mask=libvirtd-tcp.socket".to_owned(),
        format!("fp.seconds={CHECK_S} fp.rounds=0"),
    ]
    .join(" ");
    let disk = |target: &str, serial: &str, kind: &str, source: &str| {
        format!(
            "    <disk type='{kind}' device='disk'>
      <driver name='qemu' type='raw' iommu='on'/>
      <source {source}/>
      <target dev='{target}' bus='virtio'/>
      <serial>{serial}</serial>
      <readonly/>
    </disk>\n"
        )
    };
    let disks = [
        disk(
            "vda",
            "debian",
            "block",
            "dev='/dev/disk/by-id/virtio-debian'",
        ),
        disk("vdb", "kvm-rust", "file", "file='/kvm-rust/guest.erofs'"),
    ]
    .concat();
    let host = End::First.address();
    format!(
        "<domain type='kvm'>
  <name>{GUEST}</name>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>{VCPUS}</vcpu>
  <os>
    <type arch='aarch64' machine='virt'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd</loader>
    <nvram template='/usr/share/AAVMF/AAVMF_VARS.fd'/>
    <kernel>/boot/vmlinuz-{release}</kernel>
    <initrd>/boot/initrd.img-{release}</initrd>
    <cmdline>{parameters}</cmdline>
  </os>
  <features>
    <acpi/>
    <gic version='3'/>
  </features>
  <cpu mode='host-passthrough'/>
  <devices>
{disks}    <interface type='user'>
      <model type='virtio'/>
      <driver iommu='on'/>
      <rom enabled='no'/>
    </interface>
    <iommu model='virtio'/>
    <serial type='tcp'>
      <source mode='connect' host='{host}' service='{CONSOLE}'/>
      <protocol type='raw'/>
    </serial>
    <memballoon model='none'/>
  </devices>
</domain>
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_writes_to_nothing_that_servers_share() {
        let text = definition("7.3.4+deb13-cloud-arm64");
        let disks = text.matches("<disk ").count();
        assert_eq!(disks, 2);
        assert_eq!(text.matches("<readonly/>").count(), disks);
        assert_eq!(text.matches("iommu='on'").count(), disks + 1);
        assert!(text.contains("/boot/vmlinuz-7.3.4+deb13-cloud-arm64<"));
    }
}
