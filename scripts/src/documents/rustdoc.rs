// SPDX-License-Identifier: GPL-2.0
//! rustdoc of our code in the kernel. The kernel's `make rustdoc` knows its own crates, and ours
//! are not among them: it is run with the commands of the build, on what those compiled.

use crate::context::{self, Context};
use crate::earlier::{self, Came, Inputs};
use crate::kernel::{Kernel, Variant};
use crate::lock::Lock;
use crate::overlay::Overlay;
use crate::prepare::Built;
use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{compile, files, objects, process};
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the test.
pub const TEST: &str = "documentation/rustdoc";

/// What is made, and what is looked for: a link to what is private is one, as all that is in
/// these crates is.
const OPTIONS: [&str; 3] = [
    "--document-private-items",
    "-Wrustdoc::all",
    "-Arustdoc::private_intra_doc_links",
];
/// Where to begin to read.
const FIRST: &str = "kvm_arm64/index.html";

/// Where it is made.
fn folder(ctx: &Context) -> PathBuf {
    ctx.cache.join("build").join("rustdoc")
}

/// Makes it for the Rust kernel, or recalls that rustdoc had nothing to say where it may.
pub fn check(ctx: &Context, built: &Built, recall: bool, step: &Step) -> Came<()> {
    let inputs = || inputs(ctx, built.kernel(Variant::Rust)?);
    earlier::recall_or_run(ctx, recall, inputs, || {
        make(ctx, built.kernel(Variant::Rust)?, step).map(drop)
    })
}

/// All that decides what rustdoc says.
fn inputs(ctx: &Context, kernel: &Kernel) -> Result<Inputs> {
    let mut inputs = Inputs::of(ctx, TEST).judge(ctx)?.kernel(kernel);
    for object in objects::all() {
        let name = object.display().to_string();
        inputs = inputs.value(&name, &objects::saved(kernel, &object)?);
    }
    Ok(inputs)
}

/// Makes it for `kernel` and returns the first page. Fails where rustdoc has something to say
/// of our code.
pub fn make(ctx: &Context, kernel: &Kernel, step: &Step) -> Result<PathBuf> {
    let folder = folder(ctx);
    let _lock = Lock::take(&ctx.ui, &files::beside(&folder, "lock"), "rustdoc")?;
    files::remove_all(&folder)?;
    let overlay = Overlay::read(&ctx.checkout)?;
    let results = side_by_side(objects::all(), context::cpus(), |object| {
        document(ctx, kernel, &object, &overlay, step)
    });
    results.into_iter().collect::<Result<()>>()?;
    Ok(folder.join(FIRST))
}

/// Makes it for the crate of `object`.
fn document(
    ctx: &Context,
    kernel: &Kernel,
    object: &Path,
    overlay: &Overlay,
    step: &Step,
) -> Result<()> {
    let mut more = vec![format!("--output={}", folder(ctx).display())];
    more.extend(OPTIONS.map(str::to_owned));
    let command = objects::command(kernel, object, "rustdoc", &more)?;
    let log = ctx.log(&format!("{TEST}-{}", objects::name(object)?));
    process::run(
        &mut compile::shell(ctx, &command, kernel.folder()),
        &log,
        step,
    )
    .with_context(|| object.display().to_string())?;
    let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let source = fs::canonicalize(kernel.source()).context("the kernel's tree is gone")?;
    let said = remarks(&String::from_utf8_lossy(&text), &source, |path| {
        overlay.files.contains_key(path)
    });
    ensure!(
        said.is_empty(),
        "rustdoc says of {}:\n{}log: {}",
        object.display(),
        process::indented(&said),
        log.display()
    );
    Ok(())
}

/// The remarks in what rustdoc printed that are about files of the tree `source` which are
/// ours: where, and what.
fn remarks(printed: &str, source: &Path, is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let mut what = "";
    let mut found = Vec::new();
    for line in printed.lines() {
        if line.starts_with("warning: ") || line.starts_with("error: ") {
            what = line;
        }
        // Further places of a remark follow behind `:::`.
        let Some(place) = line.trim_start().strip_prefix("--> ") else {
            continue;
        };
        let path = place.split(':').next().unwrap_or(place);
        let path = Path::new(path).strip_prefix(source).ok();
        if path.and_then(Path::to_str).is_some_and(&is_ours) {
            found.push(format!("{place}: {what}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_on_our_files_are_told_from_those_on_others() {
        let printed = "$ sh -e -c rustdoc\n\
            warning: unresolved link to `a`\n   --> /t/rust/kernel/list.rs:193:70\n    |\n\
            warning: unresolved link to `b`\n   --> /t/rust/kernel/arm64/fp.rs:2:7\n    |\n\
            warning: 2 warnings emitted\n";
        assert_eq!(
            remarks(printed, Path::new("/t"), |path| path.contains("arm64")),
            ["/t/rust/kernel/arm64/fp.rs:2:7: warning: unresolved link to `b`"]
        );
        assert!(remarks(printed, Path::new("/t"), |_| false).is_empty());
        assert!(remarks(printed, Path::new("/u"), |_| true).is_empty());
    }
}
