// SPDX-License-Identifier: GPL-2.0
//! Guests of Debian's armhf, whose CPUs are in AArch32 state.

use super::fetched::{Packages, KERNEL};
use super::{guest_initramfs, Manifest, Programs};
use crate::context::Context;
use anyhow::Result;
use std::path::PathBuf;

/// Debian's kernel for armhf machines, with the page tables that such guests mostly have.
const PACKAGES: Packages = Packages {
    name: "armhf",
    architecture: "armhf",
    packages: "linux-image-armmp-lpae",
    parts: &[],
};

/// How many steps it takes.
pub fn steps_to_come(ctx: &Context) -> usize {
    PACKAGES.steps_to_come(ctx)
}

/// Fetches what Debian has of it.
pub fn fetch(ctx: &Context) -> Result<PathBuf> {
    PACKAGES.fetch(ctx, |_, _| Ok(()))
}

/// Adds what such a guest is made of.
pub fn add(ctx: &Context, programs: &Programs, manifest: &mut Manifest) -> Result<()> {
    let folder = fetch(ctx)?;
    manifest.file("guest/armhf/vmlinuz", folder.join(KERNEL))?;
    let initramfs = guest_initramfs(&programs.armhf, &[])?;
    manifest.bytes("guest/armhf/initramfs.cpio", initramfs);
    Ok(())
}
