// SPDX-License-Identifier: GPL-2.0
//! The compiler's warnings, which are errors, on C that this repository adds or changes: the
//! kernels of the tests are built without any, see [`kernel::make_image`].

use crate::compile;
use crate::context::{self, Context};
use crate::earlier::{self, Came, Inputs};
use crate::error::hinted;
use crate::kernel::{Kernel, Variant};
use crate::overlay::Overlay;
use crate::prepare::Built;
use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{files, process};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// Name of the test.
pub const TEST: &str = "warnings/c";
/// How the results are called that are made of x.c: the kernel's object, the hypervisor's, and
/// what Rust is linked with.
const ENDINGS: [&str; 3] = ["o", "nvhe.o", "bc"];
/// What is in this folder is included by the one file that is compiled.
const HELPERS: (&str, &str) = ("rust/helpers/", "rust/helpers/helpers.c");

/// Compiles that C once more as it was for the Rust and for the C kernel, or recalls that there
/// was no warning where it may.
pub fn check(ctx: &Context, built: &Built, recall: bool, step: &Step) -> Came<()> {
    let inputs = || {
        let mut inputs = Inputs::of(ctx, TEST).judge(ctx)?;
        for kernel in kernels(built)? {
            inputs = inputs.kernel(kernel);
        }
        Ok(inputs)
    };
    earlier::recall_or_run(ctx, recall, inputs, || {
        for kernel in kernels(built)? {
            kernel.check_is_there()?;
        }
        let sources = sources(&Overlay::read(&ctx.checkout)?)?;
        let mut work = Vec::new();
        for source in &sources {
            let before = work.len();
            for kernel in kernels(built)? {
                let saved = saved(kernel, source);
                work.extend(saved.into_iter().map(|saved| (kernel, source, saved)));
            }
            if work.len() == before {
                return Err(hinted(
                    format!("no kernel of the tests has {source} in it"),
                    "bring ENDINGS in scripts/src/warnings.rs in line with Kbuild",
                ));
            }
        }
        let numbered = work.into_iter().enumerate().collect();
        let results = side_by_side(
            numbered,
            context::cpus(),
            |(number, (kernel, source, saved))| {
                compile_once_more(ctx, kernel, source, number, &saved, step)
            },
        );
        results.into_iter().collect()
    })
}

fn kernels(built: &Built) -> Result<[&Kernel; 2]> {
    Ok([built.kernel(Variant::Rust)?, built.kernel(Variant::C)?])
}

/// The files of C that are compiled, by their paths in the tree.
fn sources(overlay: &Overlay) -> Result<BTreeSet<String>> {
    let mut paths = overlay.paths()?;
    // Those of programs are no part of the kernel.
    paths.retain(|path| path.ends_with(".c") && !path.starts_with("tools/"));
    let (folder, whole) = HELPERS;
    paths.retain(|path| !path.starts_with(folder) || path == whole);
    Ok(paths)
}

/// What Kbuild keeps of all that `kernel` has of the file `source`.
fn saved(kernel: &Kernel, source: &str) -> Vec<String> {
    let path = Path::new(source);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = |ending| {
        let beside = kernel.folder().join(path);
        beside.with_file_name(format!(".{stem}.{ending}.cmd"))
    };
    let texts = ENDINGS.map(|ending| files::read_text(&name(ending)));
    texts.into_iter().flatten().collect()
}

fn compile_once_more(
    ctx: &Context,
    kernel: &Kernel,
    source: &str,
    number: usize,
    saved: &str,
    step: &Step,
) -> Result<()> {
    let log = ctx.log(&format!("{TEST}-{number}"));
    let result = log.with_extension("o");
    let command = with_warnings(saved, &result).ok_or_else(|| {
        hinted(
            format!("what Kbuild keeps of {source} is not a command that was told to be silent"),
            "bring scripts/src/warnings.rs in line with scripts/Makefile.build of the kernel",
        )
    })?;
    let mut shell = compile::shell(ctx, &command, kernel.folder());
    let name = kernel.variant.name();
    process::run(&mut shell, &log, step)
        .with_context(|| format!("{source}, in the kernel {name}"))?;
    files::remove_all(&result)
}

/// The command in `saved`, which is what Kbuild keeps of an object, with all warnings that the
/// kernel asks for, and its results in `result`.
fn with_warnings(saved: &str, result: &Path) -> Option<String> {
    let (_, command) = compile::saved_command(saved)?;
    let mut words = Vec::new();
    let (mut is_silent, mut writes) = (false, false);
    let mut all = command.split_whitespace();
    while let Some(word) = all.next() {
        match word {
            "-w" => is_silent = true,
            "-o" => {
                all.next()?;
                writes = true;
            }
            word if word.starts_with("-Wp,-MMD,") => {}
            word => words.push(word),
        }
    }
    let command = words.join(" ");
    (is_silent && writes).then(|| format!("{command} -o {}", result.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_warns_and_writes_elsewhere() {
        let saved = "savedcmd_a/x.o := ccache clang -Wp,-MMD,a/.x.o.d -Wall -Werror -w -I /t \
                     -DKBUILD_BASENAME='\"x\"' -c -o a/x.o /t/a/x.c  \n\ndeps\n";
        assert_eq!(
            with_warnings(saved, Path::new("/log/1.o")).unwrap(),
            "ccache clang -Wall -Werror -I /t -DKBUILD_BASENAME='\"x\"' -c /t/a/x.c -o /log/1.o"
        );
        for unknown in [
            "",
            "savedcmd_a/x.o := clang -c -o a/x.o a.c\n",
            "savedcmd_a/x.o := clang -w -c a.c\n",
        ] {
            assert_eq!(with_warnings(unknown, Path::new("x")), None, "{unknown}");
        }
    }

    #[test]
    fn files_that_patches_change_are_among_the_sources_and_programs_are_not() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sources = sources(&Overlay::read(checkout).unwrap()).unwrap();
        for path in [
            "arch/arm64/kvm/arm.c",
            "arch/arm64/kvm/hyp/nvhe/hyp-main.c",
            "arch/arm64/kvm/rust/trace.c",
            "rust/helpers/helpers.c",
        ] {
            assert!(sources.contains(path), "{path}");
        }
        assert!(!sources.contains("rust/helpers/preempt.c"));
        assert!(sources.iter().all(|path| !path.starts_with("tools/")));
    }
}
