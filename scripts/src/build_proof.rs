// SPDX-License-Identifier: GPL-2.0
//! Shows that the kernel's build fails where Rust code can panic at EL2 or on
//! the VHE entry path: an index that can go out of bounds is added to a copy
//! of the sources, which is compiled with the commands of the last build and
//! handed to its `check_calls`. Tree and build folder stay as they are.

use crate::context::Context;
use crate::error::hinted;
use crate::kernel::{self, Kernel};
use crate::lock::Lock;
use crate::plan::Verdict;
use crate::process;
use crate::progress::Step;
use crate::{files, source, tree};
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the sources, the lists and `check_calls` in the kernel tree.
const FOLDER: &str = "arch/arm64/kvm/rust";
/// What the build must say of a function in which the index is.
const FINDING: &str = "can panic, in core::panicking::panic_bounds_check";

/// An object that the build checks.
pub struct Object {
    /// Name of the test.
    pub test: &'static str,
    /// Its crate root and its list, without the ending.
    stem: &'static str,
    /// Its file.
    file: &'static str,
}

/// All of them.
pub const OBJECTS: [Object; 2] = [
    Object {
        test: "build-proof/el2",
        stem: "kvm_arm64_nvhe",
        file: "kvm_arm64_nvhe.nvhe.o",
    },
    Object {
        test: "build-proof/vhe-entry-path",
        stem: "kvm_arm64",
        file: "kvm_arm64.o",
    },
];

impl Object {
    /// Tries it out with what `kernel` was built from.
    pub fn verdict(&self, ctx: &Context, kernel: &Kernel, step: &Step) -> (Verdict, String) {
        match self.test(ctx, kernel, step) {
            Ok(()) => (Verdict::Passed, String::new()),
            Err(error) => {
                let text = format!("{error:#}");
                let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
                (Verdict::Failed(first.to_owned()), rest.to_owned())
            }
        }
    }

    fn test(&self, ctx: &Context, kernel: &Kernel, step: &Step) -> Result<()> {
        let source = source::find(ctx)?;
        let tree = tree::prepare(ctx, &source)?;
        let out = kernel
            .vmlinux
            .parent()
            .context("vmlinux is in a folder")?
            .to_owned();
        let _lock = Lock::take(
            &ctx.ui,
            &files::beside(&out, "lock"),
            &format!("the kernel {}", kernel.variant.name()),
        )?;
        let build = Build {
            object: self,
            log: ctx.log(self.test),
            scratch: ctx.logs.join(self.test),
            tree: tree.path.clone(),
            out,
        };
        // That the sources as they are pass says that it is the index that
        // does not.
        let unchanged = build.check(ctx, "unchanged", step, |text| Ok(text.to_owned()))?;
        ensure!(
            unchanged.passed,
            "check_calls refuses the object as it is:\n{}",
            unchanged.output
        );
        let mut function = String::new();
        let indexed = build.check(ctx, "index", step, |text| {
            let (name, text) = with_index(text)?;
            function = name;
            Ok(text)
        })?;
        ensure!(
            !indexed.passed,
            "an index that can go out of bounds in {function} was not noticed; the sources are in {}",
            build.scratch.display()
        );
        for part in [&format!("{function} {FINDING}"), "hint: index with get()"] {
            ensure!(
                indexed.output.contains(part),
                "check_calls does not say `{part}`:\n{}",
                indexed.output
            );
        }
        Ok(())
    }
}

/// What `check_calls` made of an object.
struct Checked {
    passed: bool,
    output: String,
}

/// A kernel that was built, and where to try things out.
struct Build<'a> {
    object: &'a Object,
    log: PathBuf,
    scratch: PathBuf,
    tree: PathBuf,
    out: PathBuf,
}

impl Build<'_> {
    /// Compiles the sources with `change` made to the crate root, and checks
    /// the object.
    fn check(
        &self,
        ctx: &Context,
        name: &str,
        step: &Step,
        change: impl FnOnce(&str) -> Result<String>,
    ) -> Result<Checked> {
        let scratch = self.scratch.join(name);
        files::remove_all(&scratch)?;
        fs::create_dir_all(&scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        let sources = scratch.join("sources");
        process::run(
            Command::new("cp")
                .arg("-R")
                .arg(self.tree.join(FOLDER))
                .arg(&sources),
            &self.log,
            step,
        )?;
        let root = sources.join(self.object.stem).with_extension("rs");
        let text =
            fs::read_to_string(&root).with_context(|| format!("cannot read {}", root.display()))?;
        files::write_atomic(&root, change(&text)?.as_bytes())?;

        let saved = self
            .out
            .join(FOLDER)
            .join(format!(".{}.cmd", self.object.file));
        let text = fs::read_to_string(&saved)
            .with_context(|| format!("cannot read {}", saved.display()))?;
        let command = elsewhere(&text, &self.tree, &sources, &scratch).ok_or_else(|| {
            hinted(
                format!(
                    "{} does not begin with the command of an object",
                    saved.display()
                ),
                "bring scripts/src/build_proof.rs in line with scripts/Kbuild.include of the kernel",
            )
        })?;
        let mut shell = Command::new("sh");
        shell
            .args(["-e", "-c", &command])
            .current_dir(&self.out)
            // What the kernel's Makefile exports.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CLIPPY_CONF_DIR", &self.tree);
        kernel::environment(ctx, &mut shell);
        process::run(&mut shell, &self.log, step)?;

        let log = scratch.join("check_calls.log");
        let status = process::run_status(
            Command::new(self.out.join(FOLDER).join("check_calls"))
                .arg(scratch.join(self.object.file))
                .arg(sources.join(self.object.stem).with_extension("calls"))
                .arg(self.out.join("include/config/auto.conf")),
            &log,
            step,
        )?;
        Ok(Checked {
            passed: status.success(),
            output: fs::read_to_string(&log)
                .with_context(|| format!("cannot read {}", log.display()))?,
        })
    }
}

/// The command in `saved`, which is what Kbuild keeps of an object, with the
/// sources taken from `sources` and all results put into `scratch`.
fn elsewhere(saved: &str, tree: &Path, sources: &Path, scratch: &Path) -> Option<String> {
    let line = saved.lines().next()?.strip_prefix("savedcmd_")?;
    let (target, command) = line.split_once(" := ")?;
    // Kbuild writes the command for make to read.
    let command = command.replace("$(pound)", "#").replace("$$", "$");
    let (folder, _) = target.rsplit_once('/')?;
    let of_tree = format!("{}/{folder}/", tree.display());
    let command = command.replace(&of_tree, &format!("{}/", sources.display()));
    let command = command.replace(&format!("{folder}/"), &format!("{}/", scratch.display()));
    // Nothing may be written to where the build has its own.
    (command.contains(&format!("={}/", scratch.display())) && !command.contains(folder))
        .then_some(command)
}

/// The crate root `text` with an index that can go out of bounds, and the name
/// of the function that has it: the first that C can call.
fn with_index(text: &str) -> Result<(String, String)> {
    const START: &str = "\n#[export]\nunsafe extern \"C\" fn ";
    let place = || {
        let start = text.find(START)? + START.len();
        let rest = &text[start..];
        let (name, arguments) = rest.split_once('(')?;
        let (argument, _) = arguments.split_once(':')?;
        let body = start + rest.find("{\n")? + 2;
        Some((name, argument, body))
    };
    let (name, argument, body) = place().ok_or_else(|| {
        hinted(
            "no function with a pointer in the crate root is exported to C",
            "bring scripts/src/build_proof.rs in line with arch-arm64-kvm/",
        )
    })?;
    let index = format!(
        "    core::hint::black_box(core::hint::black_box([0u64; 4])[{argument}.addr() % 8]);\n"
    );
    let (before, behind) = text.split_at(body);
    Ok((name.to_owned(), format!("{before}{index}{behind}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_writes_elsewhere() {
        let saved = "savedcmd_a/b/../c/x.o := rustc --cfg='k=\"$$v\"' --out-dir a/b/../c/ \
                     --emit=obj=a/b/../c/x.o -L ./rust/ /tree/a/b/../c/x.rs $(pound)1\n\ndeps\n";
        let command = |saved| {
            elsewhere(
                saved,
                Path::new("/tree"),
                Path::new("/log/sources"),
                Path::new("/log"),
            )
        };
        assert_eq!(
            command(saved).unwrap(),
            "rustc --cfg='k=\"$v\"' --out-dir /log/ --emit=obj=/log/x.o -L ./rust/ \
             /log/sources/x.rs #1"
        );
        for unknown in [
            "",
            "cmd_a/x.o := rustc",
            "savedcmd_x.o := rustc",
            "savedcmd_a/x.o := rustc -o b/x.o",
            "savedcmd_a/x.o := rustc --emit=obj=a/x.o -o /tree/a",
        ] {
            assert_eq!(command(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_index_is_in_the_first_exported_function() {
        let text =
            "//! x\n\nfn a(b: u8) {\n}\n\n#[export]\nunsafe extern \"C\" fn f(p: *mut X) {\n    \
                    g(p);\n}\n";
        let (name, changed) = with_index(text).unwrap();
        assert_eq!(name, "f");
        assert!(changed.contains("fn f(p: *mut X) {\n    core::hint::black_box(core"));
        assert!(changed.contains("[p.addr() % 8]);\n    g(p);\n"));
        assert!(with_index("fn f() {}\n").is_err());
    }

    #[test]
    fn the_crate_roots_have_such_a_function() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for object in &OBJECTS {
            let root = checkout.join("arch-arm64-kvm").join(object.stem);
            let text = fs::read_to_string(root.with_extension("rs")).unwrap();
            with_index(&text).unwrap();
        }
    }
}
