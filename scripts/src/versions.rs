// SPDX-License-Identifier: GPL-2.0
//! What was tested, and with which tools.

use crate::context::Context;
use crate::{checks, process, source};
use serde::{Deserialize, Serialize};
use std::process::Command;

/// Tools whose version matters.
const TOOLS: [&str; 4] = ["rustc", "bindgen", "clang", "qemu-system-aarch64"];

/// A tool, or the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub version: String,
}

/// The kernel and the tools. What cannot be found is left out: then a test says
/// what is wrong.
pub fn all(ctx: &Context) -> Vec<Version> {
    let version = |name: &str, version: String| Version {
        name: name.to_owned(),
        version,
    };
    let kernel = source::find(ctx).map(|source| version("Linux", source.version.to_string()));
    let tool = |name: &&str| {
        let text = process::output(Command::new(name).arg("--version")).ok()?;
        Some(version(name, number(text.lines().next()?)))
    };
    let tools = TOOLS.iter().filter_map(tool);
    kernel.into_iter().chain(tools).collect()
}

/// The version in the line that a tool says of itself.
fn number(line: &str) -> String {
    let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let word = line.split_whitespace().find(is_number);
    word.unwrap_or(line).to_owned()
}

/// The commit of the checkout, with a `+` where it was changed since.
pub fn commit(ctx: &Context) -> Option<String> {
    let git = |arguments: &[&str]| process::output(checks::git(ctx).args(arguments)).ok();
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = !git(&["status", "--porcelain"])?.trim().is_empty();
    Some(format!(
        "{}{}",
        commit.trim(),
        if changed { "+" } else { "" }
    ))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_number_is_the_version() {
        for (line, expected) in [
            (
                "rustc 1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)",
                "1.85.0",
            ),
            ("Debian clang version 19.1.7 (3+b1)", "19.1.7"),
            (
                "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)",
                "10.0.2",
            ),
            ("bindgen 0.71.1", "0.71.1"),
            ("unknown", "unknown"),
        ] {
            assert_eq!(number(line), expected);
        }
    }
}
