// SPDX-License-Identifier: GPL-2.0
//! The objects with our code in a kernel, and what else than an object can be made of their
//! sources with the commands of its build.

use crate::compile::{self, FOLDER};
use crate::error::hinted;
use crate::files;
use crate::kernel::Kernel;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The one that is not in [`FOLDER`]: it has ours among the kernel's own.
const KERNEL_CRATE: &str = "rust/kernel.o";
/// Those of [`FOLDER`].
const OURS: [&str; 4] = [
    "kvm_arm64.o",
    "kvm_arm64_nvhe.nvhe.o",
    "fp_kunit/fp_kunit.o",
    "neon_softirq.o",
];

/// All of them, by their paths in the build folder.
pub fn all() -> Vec<PathBuf> {
    let ours = OURS.map(|object| Path::new(FOLDER).join(object));
    [PathBuf::from(KERNEL_CRATE)]
        .into_iter()
        .chain(ours)
        .collect()
}

/// The files that those of [`FOLDER`] are compiled from, by their paths in this repository.
pub fn roots() -> [PathBuf; 4] {
    OURS.map(|object| {
        let stem = object.split_once('.').map_or(object, |(stem, _)| stem);
        Path::new("arch-arm64-kvm").join(format!("{stem}.rs"))
    })
}

/// The name of the file.
pub fn name(object: &Path) -> Result<String> {
    let name = object.file_name().context("an object has a name")?;
    Ok(name.to_string_lossy().into_owned())
}

/// What Kbuild keeps of an object of `kernel`.
pub fn saved(kernel: &Kernel, object: &Path) -> Result<String> {
    kernel.check_is_there()?;
    let name = name(object)?;
    files::read_text(
        &kernel
            .folder()
            .join(object)
            .with_file_name(format!(".{name}.cmd")),
    )
}

/// The command that compiled an object of `kernel`, with `tool` in the place of rustc, which
/// writes nothing and takes no warning for an error unless `more` says so.
pub fn command(kernel: &Kernel, object: &Path, tool: &str, more: &[String]) -> Result<String> {
    let text = saved(kernel, object)?;
    with_tool(&text, tool, more).ok_or_else(|| {
        hinted(
            format!(
                "what Kbuild keeps of {} does not begin with a command of rustc",
                object.display()
            ),
            "bring scripts/src/objects.rs in line with scripts/Makefile.build of the kernel",
        )
    })
}

fn with_tool(saved: &str, tool: &str, more: &[String]) -> Option<String> {
    let (_, command) = compile::saved_command(saved)?;
    // What follows rustc makes an object of what that wrote.
    let command = command.split(';').next()?.trim_end();
    let mut words = Vec::new();
    let mut all = command.split(' ');
    let mut is_found = false;
    while let Some(word) = all.next() {
        match word {
            "rustc" => {
                is_found = true;
                words.push(tool);
            }
            "--out-dir" => {
                all.next()?;
            }
            "-Dwarnings" => {}
            word if word.starts_with("--emit=") => {}
            word => words.push(word),
        }
    }
    words.extend(more.iter().map(String::as_str));
    is_found.then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_tool_is_asked_for_is_left_of_a_command() {
        let saved = "savedcmd_a/x.o := A=b rustc --cfg='k=\"$$v\"' -Dwarnings --out-dir a/ \
                     --emit=dep-info=a/.x.o.d --emit=llvm-bc=a/x.bc /tree/a/x.rs ;llvm-link a \
                     rustc; clang b\n\ndeps\n";
        let more = ["--emit=metadata=/log/x.rmeta".to_owned(), "-Da".to_owned()];
        assert_eq!(
            with_tool(saved, "clippy-driver", &more).unwrap(),
            "A=b clippy-driver --cfg='k=\"$v\"' /tree/a/x.rs --emit=metadata=/log/x.rmeta -Da"
        );
        for unknown in ["", "savedcmd_a/x.o := clang a.c\n", "rustc"] {
            assert_eq!(with_tool(unknown, "x", &[]), None, "{unknown}");
        }
    }
}
