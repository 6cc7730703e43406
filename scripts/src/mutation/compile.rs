// SPDX-License-Identifier: GPL-2.0
//! Compiles the tests with all mutants in the code, and finds out which of them
//! do not compile.

use super::rewrite::Rewritten;
use super::Mutant;
use crate::changed_copy::ChangedCopy;
use crate::progress::Step;
use crate::{jobs, process};
use anyhow::{bail, ensure, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Tests with mutants in the code.
pub struct Compiled {
    /// The program.
    pub program: PathBuf,
    /// The numbers of mutants that do not compile.
    pub unviable: BTreeSet<u32>,
}

/// What rustc says of the code.
#[derive(Debug, Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    code: Option<Code>,
    spans: Vec<Place>,
    children: Vec<Diagnostic>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Place {
    file_name: PathBuf,
    byte_start: usize,
    is_primary: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    message: Option<Diagnostic>,
}

/// Compiles the copy with `mutants`, but for those that turn out to be unviable.
pub fn compile(copy: &ChangedCopy<'_>, mutants: &[&Mutant], step: &Step) -> Result<Compiled> {
    let mut unviable = BTreeSet::new();
    loop {
        step.at(&format!("{} mutants do not compile", unviable.len()));
        let rewritten = write(copy, mutants, &unviable)?;
        let mut check = copy.cargo(&["check", "--tests"])?;
        check.arg("--message-format=json");
        let output = jobs::try_output(&mut check)?;
        if output.status.success() {
            break;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let before = unviable.len();
        for error in errors(&text) {
            match culprit(&error, &rewritten, copy.folder()) {
                Some(number) => {
                    unviable.insert(number);
                }
                // With others gone, it may be, too.
                None if unviable.len() > before => {}
                None => bail!(
                    "the code with mutants in it does not compile: {}",
                    error.rendered.unwrap_or(error.message)
                ),
            }
        }
        ensure!(
            unviable.len() > before,
            "cargo check: {}: {}",
            process::describe(output.status),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    step.at("compiling the tests");
    let program = copy.compile_tests(&["--release"])?;
    Ok(Compiled { program, unviable })
}

/// Puts the mutants that may be viable into the copy.
fn write(
    copy: &ChangedCopy<'_>,
    mutants: &[&Mutant],
    unviable: &BTreeSet<u32>,
) -> Result<BTreeMap<PathBuf, Rewritten>> {
    let mut of_file: BTreeMap<&Path, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants.iter().filter(|m| !unviable.contains(&m.number)) {
        of_file.entry(&mutant.file).or_default().push(mutant);
    }
    let rewritten = std::cell::RefCell::new(BTreeMap::new());
    copy.restore_with_choice(|path, bytes| {
        let Some(mutants) = of_file.get(path) else {
            return Ok(bytes);
        };
        let file = Rewritten::new(&String::from_utf8(bytes)?, mutants);
        let text = file.text.clone().into_bytes();
        rewritten.borrow_mut().insert(path.to_owned(), file);
        Ok(text)
    })?;
    Ok(rewritten.into_inner())
}

/// The errors in what cargo prints.
fn errors(text: &str) -> Vec<Diagnostic> {
    text.lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.message)
        // The last one only says how many there are.
        .filter(|diagnostic| diagnostic.level == "error" && !diagnostic.spans.is_empty())
        .collect()
}

/// The mutant whose fault an error is.
fn culprit(
    error: &Diagnostic,
    rewritten: &BTreeMap<PathBuf, Rewritten>,
    folder: &Path,
) -> Option<u32> {
    let of_diagnostic = |diagnostic: &Diagnostic| {
        let mut places: Vec<(bool, Option<u32>)> = Vec::new();
        for place in &diagnostic.spans {
            let file = place
                .file_name
                .strip_prefix(folder)
                .unwrap_or(&place.file_name);
            let mutant = rewritten
                .get(file)
                .and_then(|file| file.mutant_at(place.byte_start));
            places.push((place.is_primary, mutant));
        }
        places
    };
    let mut places = of_diagnostic(error);
    places.extend(error.children.iter().flat_map(of_diagnostic));
    // Where it is about a value that may not be there any more, or not yet, the
    // place where it is used is not to blame.
    let about_use = error
        .code
        .as_ref()
        .is_some_and(|code| ["E0381", "E0382"].contains(&code.code.as_str()));
    places.sort_by_key(|(primary, _)| *primary == about_use);
    places.into_iter().find_map(|(_, mutant)| mutant)
}
