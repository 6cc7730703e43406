// SPDX-License-Identifier: GPL-2.0

//! The counters of this process's only vCPU: among its binary statistics
//! (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD), and in debugfs.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::{self, File};
use std::mem::offset_of;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{bail, ensure, Context, Result};
use kvm_bindings::{kvm_stats_desc, kvm_stats_header, KVMIO};

use crate::counters::Counters;

nix::ioctl_none!(kvm_get_stats_fd, KVMIO, 0xce);

/// The counters by both ways, which must be the same.
pub fn read() -> Result<Counters> {
    let binary = of_vcpu()?;
    let debugfs = of_vm()?;
    ensure!(
        binary == debugfs,
        "the vCPU's binary statistics and the VM's in debugfs differ:\n  {binary}\n  {debugfs}"
    );
    Ok(binary)
}

/// The vCPU's file descriptor, which the VMM has.
fn vcpu() -> Result<RawFd> {
    let folder = "/proc/self/fd";
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {folder}"))? {
        let entry = entry.with_context(|| format!("cannot read {folder}"))?;
        // Those of the threads of this program come and go.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        if target.to_str() == Some("anon_inode:kvm-vcpu:0") {
            let number = entry.file_name().to_string_lossy().parse();
            return number.context("a file descriptor is not a number");
        }
    }
    bail!("this process has no vCPU")
}

/// What a field of a header or a descriptor holds.
fn u32_at(bytes: &[u8], offset: usize) -> Result<usize> {
    let field = bytes.get(offset..).and_then(|bytes| bytes.first_chunk());
    let field = field.context("the statistics end too early")?;
    Ok(u32::from_ne_bytes(*field) as usize)
}

/// The vCPU's binary statistics. All are numbers of eight bytes; of a histogram, this is
/// the first.
fn of_vcpu() -> Result<Counters> {
    // SAFETY: The request takes no argument.
    let fd = unsafe { kvm_get_stats_fd(vcpu()?) }.context("KVM_GET_STATS_FD failed")?;
    // SAFETY: The descriptor is new, and nobody else's.
    let file = unsafe { File::from_raw_fd(fd) };
    let read = |size, offset| -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, offset as u64)
            .context("cannot read the statistics")?;
        Ok(bytes)
    };
    let header = read(size_of::<kvm_stats_header>(), 0)?;
    let count = u32_at(&header, offset_of!(kvm_stats_header, num_desc))?;
    let first = u32_at(&header, offset_of!(kvm_stats_header, desc_offset))?;
    let data = u32_at(&header, offset_of!(kvm_stats_header, data_offset))?;
    let fixed = size_of::<kvm_stats_desc>();
    let size = fixed + u32_at(&header, offset_of!(kvm_stats_header, name_size))?;

    let mut offsets = HashMap::new();
    for descriptor in read(count * size, first)?.chunks_exact(size) {
        let name = CStr::from_bytes_until_nul(&descriptor[fixed..])?;
        let offset = u32_at(descriptor, offset_of!(kvm_stats_desc, offset))?;
        offsets.insert(name.to_string_lossy().into_owned(), offset);
    }
    Counters::read(|name| {
        let offset = offsets.get(name).context(
            "not in the vCPU's statistics: is this a kernel with CONFIG_KVM_ARM64_RUST?",
        )?;
        let value = read(size_of::<u64>(), data + offset)?;
        let value = value
            .first_chunk()
            .context("a statistic has no eight bytes")?;
        Ok(u64::from_ne_bytes(*value))
    })
}

/// The folder of this process's VM: its name begins with the process's number.
fn vm_folder() -> Result<PathBuf> {
    let all = "/sys/kernel/debug/kvm";
    let ours = format!("{}-", std::process::id());
    for entry in fs::read_dir(all).with_context(|| format!("cannot read {all}"))? {
        let entry = entry.with_context(|| format!("cannot read {all}"))?;
        if entry.file_name().to_string_lossy().starts_with(&ours) {
            return Ok(entry.path());
        }
    }
    bail!("{all} has no folder of this process's VM")
}

fn of_vm() -> Result<Counters> {
    let folder = vm_folder()?;
    Counters::read(|name| {
        let path = folder.join(name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let value = text.trim().parse();
        value.with_context(|| format!("{} holds {text:?}", path.display()))
    })
}
