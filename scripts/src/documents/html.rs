// SPDX-License-Identifier: GPL-2.0
//! The pages of Documentation/ as the kernel's `make htmldocs` makes them.

use crate::context::Context;
use crate::error::hinted;
use crate::lock::Lock;
use crate::progress::Step;
use crate::{files, jobs, kernel, process, source, tree};
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What is made: the pages of KVM on arm64, of which ours are a chapter.
const PART: &str = "virt/kvm/arm";
/// How the paths of our pages begin there, and of the one that leads to them.
const OURS: [&str; 2] = ["rust/", "index.rst"];

/// Makes the pages and returns the first. Fails where Sphinx has something to say of them.
pub fn make(ctx: &Context, log: &Path, step: &Step) -> Result<PathBuf> {
    let tree = tree::prepare(ctx, &source::find(ctx)?)?;
    let out = ctx.cache.join("build").join("html");
    let _lock = Lock::take(&ctx.ui, &files::beside(&out, "lock"), "the pages in HTML")?;
    // Of a page that it has made before, Sphinx says nothing.
    files::remove_all(&out)?;
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut make = kernel::make(ctx, &tree.path, &out);
    make.arg("htmldocs").arg(format!("SPHINXDIRS={PART}"));
    jobs::run(&mut make, log, step)?;
    let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let part = tree.path.join("Documentation").join(PART);
    let said = remarks(&String::from_utf8_lossy(&text), &part);
    ensure!(
        said.is_empty(),
        "Sphinx says of the pages:\n{}",
        process::indented(&said)
    );
    let folder = out.join("Documentation/output").join(PART).join("rust");
    let first = folder.join("index.html");
    if first.exists() {
        return Ok(first);
    }
    Err(hinted(
        format!("no pages were made; log: {}", log.display()),
        "the kernel does not make them without Sphinx: TOOLS=root takes the project's own tools",
    ))
}

/// What Sphinx printed of our pages, which are in the folder `part`.
fn remarks(printed: &str, part: &Path) -> Vec<String> {
    let is_ours = |line: &&str| {
        let place = line.strip_prefix(&format!("{}/", part.display()));
        place.is_some_and(|place| OURS.iter().any(|ours| place.starts_with(ours)))
    };
    let is_remark = |line: &&str| {
        [": WARNING:", ": ERROR:", ": CRITICAL:"]
            .iter()
            .any(|word| line.contains(word))
    };
    let lines = printed.lines().filter(is_ours).filter(is_remark);
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_other_pages_is_not_of_ours() {
        let printed = "Using alabaster theme\n\
            WARNING: dot(1) not found\n\
            /t/a/pvtime.rst:81: WARNING: undefined label: 'x' [ref.ref]\n\
            /t/a/rust/faq.rst:3: WARNING: Title underline too short.\n\
            /t/a/index.rst:9: ERROR: Unknown directive type\n\
            /t/a/rust/faq.rst:3: NOTE\n";
        assert_eq!(
            remarks(printed, Path::new("/t/a")),
            [
                "/t/a/rust/faq.rst:3: WARNING: Title underline too short.",
                "/t/a/index.rst:9: ERROR: Unknown directive type"
            ]
        );
        assert!(remarks(printed, Path::new("/t/b")).is_empty());
    }
}
