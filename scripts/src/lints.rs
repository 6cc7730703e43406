// SPDX-License-Identifier: GPL-2.0
//! clippy for our code in the kernel. Kbuild's `CLIPPY=1` would have clippy make the
//! objects, too, and they would be others than those that people build: it takes
//! optimisations away. So what was compiled is looked at once more, with the commands
//! of the build.

use crate::compile::{self, FOLDER};
use crate::context::{self, Context};
use crate::earlier::{self, Came, Inputs};
use crate::error::hinted;
use crate::kernel::{self, Kernel};
use crate::prepare::Built;
use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{files, process};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Name of the test.
pub const TEST: &str = "clippy/kernel";

/// The objects with our code, but for those of [`FOLDER`].
const KERNEL_CRATE: &str = "rust/kernel.o";
/// Those of [`FOLDER`].
const OURS: [&str; 4] = [
    "kvm_arm64.o",
    "kvm_arm64_nvhe.nvhe.o",
    "fp_kunit/fp_kunit.o",
    "neon_softirq.o",
];
/// The one that has faults and lies compiled in, where the kernel is for those.
const WITH_FAULTS: &str = "kvm_arm64.o";

/// Lints the objects of the Rust kernel, and of the one with faults if it was built, or
/// recalls that they passed where it may.
pub fn check(ctx: &Context, built: &Built, recall: bool, step: &Step) -> Came<()> {
    let inputs = || inputs(ctx, &objects(built)?);
    earlier::recall_or_run(ctx, recall, inputs, || {
        let objects = objects(built)?;
        let results = side_by_side(objects, context::cpus(), |(kernel, object)| {
            lint_object(ctx, kernel, &object, step)
        });
        results.into_iter().collect()
    })
}

/// All that decides what the lints say.
fn inputs(ctx: &Context, objects: &[(&Kernel, PathBuf)]) -> Result<Inputs> {
    let mut inputs = Inputs::of(ctx, TEST).judge(ctx)?;
    for (kernel, object) in objects {
        inputs = inputs
            .kernel(ctx, kernel)
            .value(&object.display().to_string(), &saved(kernel, object)?);
    }
    Ok(inputs)
}

/// The objects, and the kernels that they are in.
fn objects(built: &Built) -> Result<Vec<(&Kernel, PathBuf)>> {
    let rust = built.kernel(kernel::Variant::Rust)?;
    let mut objects = vec![(rust, PathBuf::from(KERNEL_CRATE))];
    objects.extend(OURS.map(|object| (rust, Path::new(FOLDER).join(object))));
    if let Ok(faults) = built.kernel(kernel::Variant::Faults) {
        objects.push((faults, Path::new(FOLDER).join(WITH_FAULTS)));
    }
    Ok(objects)
}

/// What Kbuild keeps of an object.
fn saved(kernel: &Kernel, object: &Path) -> Result<String> {
    let out = kernel.vmlinux.parent().context("vmlinux is in a folder")?;
    let name = object.file_name().context("an object has a name")?;
    let saved = out
        .join(object)
        .with_file_name(format!(".{}.cmd", name.to_string_lossy()));
    files::read_text(&saved)
}

fn lint_object(ctx: &Context, kernel: &Kernel, object: &Path, step: &Step) -> Result<()> {
    let out = kernel.vmlinux.parent().context("vmlinux is in a folder")?;
    let name = object
        .file_name()
        .context("an object has a name")?
        .to_string_lossy();
    let text = saved(kernel, object)?;
    let log = ctx.log(&format!("{TEST}-{}-{name}", kernel.variant.name()));
    let result = log.with_extension("rmeta");
    let command = clippy(&text, &result).ok_or_else(|| {
        hinted(
            format!("what Kbuild keeps of {name} does not begin with a command of rustc"),
            "bring scripts/src/lints.rs in line with scripts/Makefile.build of the kernel",
        )
    })?;
    let mut shell = compile::shell(ctx, &command, out);
    shell.env("CLIPPY_CONF_DIR", kernel.source());
    process::run(&mut shell, &log, step).with_context(|| object.display().to_string())?;
    files::remove_all(&result)
}

/// The command in `saved`, which is what Kbuild keeps of an object, with clippy in the
/// place of rustc, and nothing written but `result`.
fn clippy(saved: &str, result: &Path) -> Option<String> {
    let (_, command) = compile::saved_command(saved)?;
    // What follows rustc makes an object of what that wrote.
    let command = command.split(';').next()?;
    let mut words = Vec::new();
    let mut all = command.split(' ');
    let mut is_found = false;
    while let Some(word) = all.next() {
        match word {
            "rustc" => {
                is_found = true;
                words.push("clippy-driver");
            }
            "--out-dir" => {
                all.next()?;
            }
            word if word.starts_with("--emit=") => {}
            word => words.push(word),
        }
    }
    let command = words.join(" ");
    is_found.then(|| format!("{command} --emit=metadata={} -Dwarnings", result.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lints_are_left_of_a_command() {
        let saved = "savedcmd_a/x.o := A=b rustc --cfg='k=\"$$v\"' --out-dir a/ \
                     --emit=dep-info=a/.x.o.d --emit=llvm-bc=a/x.bc /tree/a/x.rs ;llvm-link a \
                     rustc; clang b\n\ndeps\n";
        assert_eq!(
            clippy(saved, Path::new("/log/x.rmeta")).unwrap(),
            "A=b clippy-driver --cfg='k=\"$v\"' /tree/a/x.rs  --emit=metadata=/log/x.rmeta \
             -Dwarnings"
        );
        for unknown in ["", "savedcmd_a/x.o := clang a.c\n", "rustc"] {
            assert_eq!(clippy(unknown, Path::new("x")), None, "{unknown}");
        }
    }
}
