// SPDX-License-Identifier: GPL-2.0
//! A copy of the sources that is changed, for tests to notice. The copy stays,
//! so that cargo compiles again what changed, and no more.

use crate::context::Context;
use crate::lock::Lock;
use crate::{checks, files, jobs, programs};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

/// What is copied: the crate of the simulated CPU, and what it compiles.
pub const FOLDERS: [&str; 3] = ["arch-arm64-kvm", "rust", "selftests"];

/// The crate whose tests are run.
const CRATE_ROOT: &str = "selftests/simulated-cpu/src/lib.rs";
/// What comes to its end where the code asks which change of it is tried.
const TRIED: &str = include_str!("tried.rs");
/// The variable that names the change to be tried.
pub const TRY: &str = "KVM_RUST_MUTANT";

/// A copy of this checkout's sources.
pub struct ChangedCopy<'a> {
    ctx: &'a Context,
    folder: PathBuf,
    _lock: Lock,
}

impl<'a> ChangedCopy<'a> {
    /// The one with this name, which nobody else has meanwhile.
    pub fn new(ctx: &'a Context, name: &str) -> Result<Self> {
        let folder = ctx.target(name);
        let lock = Lock::take(
            &ctx.ui,
            &files::beside(&folder, "lock"),
            "a changed copy of the sources",
        )?;
        Ok(Self {
            ctx,
            folder,
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the copy the same as the checkout, but for what `change` makes of a
    /// file, by its path and what is in it. What is the same already is not
    /// written, as cargo tells by the time whether it is.
    pub fn restore(&self, change: impl Fn(&Path, Vec<u8>) -> Result<Vec<u8>>) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for file in checks::repository_files(self.ctx)? {
            if !FOLDERS.iter().any(|folder| file.starts_with(folder)) {
                continue;
            }
            let from = self.ctx.checkout.join(&file);
            let bytes =
                fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            let bytes = change(&file, bytes)?;
            files::write_if_changed(&self.folder.join(&file), &bytes)?;
            wanted.insert(file);
        }
        for entry in WalkDir::new(&self.folder) {
            let entry = entry.context("the copy of the sources cannot be read")?;
            let name = entry.path().strip_prefix(&self.folder)?;
            if entry.file_type().is_file() && !wanted.contains(name) {
                files::remove_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// The same, where `change` puts `crate::mutant(number)` into code, which tells
    /// whether [`TRY`] names this number.
    pub fn restore_with_choice(
        &self,
        change: impl Fn(&Path, Vec<u8>) -> Result<Vec<u8>>,
    ) -> Result<()> {
        self.restore(|path, bytes| {
            if path != Path::new(CRATE_ROOT) {
                return change(path, bytes);
            }
            // Code with two ways in it looks odd.
            let text = String::from_utf8(bytes)?;
            let mut text = text.replacen("#![cfg_attr", "#![allow(warnings)]\n#![cfg_attr", 1);
            text.push_str("\n#[cfg(test)]\nuse tried::mutant;\n#[cfg(test)]\nmod tried {\n");
            text.push_str(TRIED);
            text.push_str("}\n");
            Ok(text.into_bytes())
        })
    }

    /// cargo for the tests on the simulated CPU that are in the copy.
    pub fn cargo(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = programs::cargo(self.ctx, arguments);
        programs::with_source(self.ctx, &mut command)?;
        command
            .args(["--locked", "--quiet", "-p", "simulated-cpu"])
            .current_dir(self.folder.join("selftests"));
        Ok(command)
    }

    /// What compiles those tests.
    pub fn cargo_for_tests(&self) -> Result<Command> {
        self.cargo(&["test", "--no-run"])
    }

    /// Compiles those tests, with further arguments of cargo, and returns the program.
    pub fn compile_tests(&self, arguments: &[&str]) -> Result<PathBuf> {
        let mut command = self.cargo_for_tests()?;
        command
            .args(arguments)
            .arg("--message-format=json-render-diagnostics");
        let messages = jobs::output(&mut command)?;
        let (_, program) = messages
            .lines()
            .find_map(programs::test_program)
            .context("cargo does not say where the tests are")?;
        Ok(program)
    }

    /// Where those tests expect to be run.
    pub fn tests_folder(&self) -> PathBuf {
        self.folder.join("selftests/simulated-cpu")
    }
}
