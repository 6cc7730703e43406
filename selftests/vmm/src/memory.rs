// SPDX-License-Identifier: GPL-2.0

//! Guest memory and what is in it at the start.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use anyhow::{ensure, Context, Result};
use linux_loader::loader::{pe::PE, KernelLoader};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::layout::RAM;

/// Alignment of the kernel's base, and of the device tree here: a device tree
/// may be up to 2 MiB long and must not cross a 2 MiB boundary.
const SECTION: u64 = 2 << 20;
const PAGE: u64 = 4096;
const NOT_AN_IMAGE: &str = "this is not an uncompressed arm64 Image";

/// Where things are in guest memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Placement {
    /// The initramfs.
    pub initrd: u64,
    /// Its length, 0 where there is none.
    pub initrd_size: u64,
    /// The device tree.
    pub fdt: u64,
}

/// Maps `size` bytes of RAM.
///
/// The mapping is private and anonymous: a protected VM takes nothing else,
/// and neither does one with MTE.
pub fn map(size: u64) -> Result<GuestMemoryMmap> {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(RAM), size as usize)])
        .with_context(|| format!("cannot map {} MiB of guest memory", size >> 20))
}

/// Loads kernel and initramfs; returns the kernel's entry point and where the
/// rest goes.
pub fn load(
    memory: &GuestMemoryMmap,
    size: u64,
    kernel: &Path,
    initrd: Option<&Path>,
) -> Result<(u64, Placement)> {
    let cannot_read = |path: &Path| format!("cannot read {}", path.display());

    let mut image = File::open(kernel).with_context(|| cannot_read(kernel))?;
    let image_size = image_size(&mut image).with_context(|| cannot_read(kernel))?;
    let archive = initrd.map(open).transpose()?;
    let placement = place(
        size,
        image_size,
        archive.as_ref().map_or(0, |(_, size)| *size),
    )?;

    let loaded =
        PE::load(memory, Some(GuestAddress(RAM)), &mut image, None).with_context(|| {
            format!(
                "cannot load {} (an uncompressed arm64 Image is needed)",
                kernel.display()
            )
        })?;
    if let (Some(path), Some((mut archive, size))) = (initrd, archive) {
        memory
            .read_exact_volatile_from(GuestAddress(placement.initrd), &mut archive, size as usize)
            .with_context(|| cannot_read(path))?;
    }
    Ok((loaded.kernel_load.0, placement))
}

/// Opens a file and tells its length.
fn open(path: &Path) -> Result<(File, u64)> {
    let open = || -> std::io::Result<(File, u64)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    open().with_context(|| format!("cannot read {}", path.display()))
}

/// Memory that the kernel needs from its start on, .bss included: the header's
/// image_size, or the length of the file where that is larger.
fn image_size(image: &mut File) -> Result<u64> {
    let file_size = image.metadata()?.len();
    let mut header = [0; 64];
    image.read_exact(&mut header).context(NOT_AN_IMAGE)?;
    ensure!(header[56..60] == *b"ARM\x64", NOT_AN_IMAGE);
    image.rewind()?;
    let mut field = [0; 8];
    field.copy_from_slice(&header[16..24]);
    Ok(u64::from_le_bytes(field).max(file_size))
}

/// Puts the device tree at the end of RAM and the initramfs below it.
fn place(size: u64, image_size: u64, initrd_size: u64) -> Result<Placement> {
    let fdt = (RAM + size - SECTION) / SECTION * SECTION;
    let kernel_end = RAM.saturating_add(image_size);
    let initrd = fdt
        .checked_sub(initrd_size)
        .map(|start| start / PAGE * PAGE)
        .filter(|start| *start >= kernel_end)
        .with_context(|| {
            format!(
                "kernel ({} KiB) and initramfs ({} KiB) do not fit into {} MiB: raise --memory",
                image_size >> 10,
                initrd_size >> 10,
                size >> 20
            )
        })?;
    Ok(Placement {
        initrd,
        initrd_size,
        fdt,
    })
}

/// Writes the device tree to its place.
pub fn write_fdt(memory: &GuestMemoryMmap, placement: &Placement, blob: &[u8]) -> Result<()> {
    ensure!(
        blob.len() as u64 <= SECTION,
        "a device tree of {} bytes is too long: shorten --cmdline",
        blob.len()
    );
    memory
        .write_slice(blob, GuestAddress(placement.fdt))
        .context("cannot write the device tree to guest memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn everything_is_inside_ram_and_nothing_overlaps() {
        for size in [64 * MIB, 65 * MIB, 1024 * MIB] {
            let image = 30 * MIB;
            let p = place(size, image, 5 * MIB + 123).unwrap();
            assert_eq!(p.fdt % SECTION, 0);
            assert_eq!(p.initrd % PAGE, 0);
            assert!(RAM + image <= p.initrd);
            assert!(p.initrd + p.initrd_size <= p.fdt);
            assert!(p.fdt + SECTION <= RAM + size);
        }
    }

    #[test]
    fn too_little_memory_is_an_error() {
        assert!(place(32 * MIB, 30 * MIB, 5 * MIB).is_err());
        assert!(place(32 * MIB, 30 * MIB, u64::MAX).is_err());
        assert!(place(32 * MIB, u64::MAX, 1).is_err());
    }

    #[test]
    fn size_comes_from_the_header_unless_the_file_is_longer() {
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(image_size(&mut file("short", &image)).unwrap(), 64);
        image[16..24].copy_from_slice(&0x12_3456u64.to_le_bytes());
        assert_eq!(image_size(&mut file("long", &image)).unwrap(), 0x12_3456);
    }

    #[test]
    fn other_files_are_errors() {
        assert!(image_size(&mut file("truncated", b"MZ")).is_err());
        assert!(image_size(&mut file("other", &[0; 100])).is_err());
    }

    fn file(name: &str, contents: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("vmm-test-{}-{name}", std::process::id()));
        std::fs::write(&path, contents).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }
}
