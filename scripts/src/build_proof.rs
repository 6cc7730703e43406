// SPDX-License-Identifier: GPL-2.0
//! Shows that the kernel's build fails where Rust code can panic at EL2 or on
//! the VHE entry path: an index that can go out of bounds is added to a copy
//! of the sources, which is compiled and handed to the `check_calls` of the
//! last build.

use crate::compile::{self, Compiler};
use crate::context::Context;
use crate::error::hinted;
use crate::kernel::Kernel;
use crate::plan::Verdict;
use crate::progress::Step;
use crate::{files, process};
use anyhow::{ensure, Result};
use std::path::PathBuf;
use std::process::Command;

/// What the build must say of a function in which the index is.
const FINDING: &str = "can panic, in core::panicking::panic_bounds_check";

/// An object that the build checks.
pub struct Object {
    /// Name of the test.
    pub test: &'static str,
    /// What is compiled.
    object: compile::Object,
}

/// All of them.
pub const OBJECTS: [Object; 2] = [
    Object {
        test: "build-proof/el2",
        object: compile::HYPERVISOR,
    },
    Object {
        test: "build-proof/vhe-entry-path",
        object: compile::KERNEL,
    },
];

impl Object {
    /// Tries it out with what `kernel` was built from.
    pub fn verdict(&self, ctx: &Context, kernel: &Kernel, step: &Step) -> (Verdict, String) {
        Verdict::of(self.test(ctx, kernel, step))
    }

    fn test(&self, ctx: &Context, kernel: &Kernel, step: &Step) -> Result<()> {
        let build = Build {
            object: self.object,
            log: ctx.log(self.test),
            scratch: ctx.logs.join(self.test),
            compiler: Compiler::new(ctx, kernel)?,
        };
        // That the sources as they are pass says that it is the index that
        // does not.
        let unchanged = build.check(ctx, "unchanged", step, |text| Ok(text.to_owned()))?;
        ensure!(
            unchanged.passed,
            "check_calls refuses the object as it is:\n{}",
            unchanged.output
        );
        let unneeded = not_needed(&unchanged.output);
        if !unneeded.is_empty() {
            return Err(hinted(
                format!(
                    "the list allows what nothing needs: {}",
                    unneeded.join("; ")
                ),
                "take the line out, or say `if CONFIG_...` where that depends on the configuration",
            ));
        }
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
struct Build {
    object: compile::Object,
    log: PathBuf,
    scratch: PathBuf,
    compiler: Compiler,
}

impl Build {
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
        let sources = self.compiler.sources(&scratch, &self.log, step)?;
        let root = sources.join(self.object.stem).with_extension("rs");
        let text = files::read_text(&root)?;
        files::write_atomic(&root, change(&text)?.as_bytes())?;
        let object =
            self.compiler
                .compile(ctx, self.object, &sources, &scratch, &self.log, step)?;

        let log = scratch.join("check_calls.log");
        let status = process::run_status(
            Command::new(
                self.compiler
                    .out
                    .join(compile::FOLDER)
                    .join("calls/check_calls"),
            )
            .arg(object)
            .arg(sources.join(self.object.stem).with_extension("calls"))
            .arg(self.compiler.out.join("include/config/auto.conf")),
            &log,
            step,
        )?;
        Ok(Checked {
            passed: status.success(),
            output: files::read_text(&log)?,
        })
    }
}

/// The lines of its list that `check_calls` found no use for, in the options of the
/// tests. With others there may be such.
fn not_needed(output: &str) -> Vec<&str> {
    let lines = output.lines();
    lines
        .filter_map(|line| line.strip_prefix("not needed: "))
        .collect()
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
    use std::fs;
    use std::path::Path;

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
    fn lines_that_nothing_needs_are_found() {
        let output = "a.o: no way to a panic; functions looked at: 1\n\
                      allowed: x: a reason\nnot needed: y, a.calls:2\n";
        assert_eq!(not_needed(output), ["y, a.calls:2"]);
        assert!(not_needed("a.o: no way to a panic; functions looked at: 1\n").is_empty());
    }

    #[test]
    fn the_crate_roots_have_such_a_function() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for object in &OBJECTS {
            let root = checkout.join("arch-arm64-kvm").join(object.object.stem);
            let text = fs::read_to_string(root.with_extension("rs")).unwrap();
            with_index(&text).unwrap();
        }
    }
}
