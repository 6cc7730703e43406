// SPDX-License-Identifier: GPL-2.0
//! Builds scripts/trace-plugin and tells QEMU to load it.

use super::image::Image;
use crate::context::Context;
use crate::host::Mode;
use crate::jobs;
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the plugin and returns where it is.
pub fn build(ctx: &Context) -> Result<PathBuf> {
    let step = ctx.ui.step("TCG plugin");
    let target = ctx.target("xtask");
    let mut command = Command::new("cargo");
    command
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "trace-plugin",
        ])
        .current_dir(ctx.scripts())
        .env("CARGO_TARGET_DIR", &target);
    jobs::run(&mut command, &ctx.log("trace-plugin"), &step)
        .context("the TCG plugin does not build")?;
    step.end("built");
    Ok(target.join("release/libtrace_plugin.so"))
}

/// Arguments of QEMU that make the plugin record what `image` does in `mode`,
/// and write it to `output`.
pub fn arguments(plugin: &Path, image: &Image, mode: Mode, output: &Path) -> Result<Vec<OsString>> {
    let (begin, end) = image.window(mode)?;
    // A comma in a value is written twice.
    let quoted = |path: &Path| path.to_string_lossy().replace(',', ",,");
    let value = format!(
        "{},output={},image-start={:#x},image-end={:#x},begin={begin:#x},end={end:#x}",
        quoted(plugin),
        quoted(output),
        image.addresses.start,
        image.addresses.end,
    );
    Ok(vec!["-plugin".into(), value.into()])
}
