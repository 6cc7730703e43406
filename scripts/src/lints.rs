// SPDX-License-Identifier: GPL-2.0
//! clippy for our code in the kernel. Kbuild's `CLIPPY=1` would have clippy make the
//! objects, too, and they would be others than those that people build: it takes
//! optimisations away. So what was compiled is looked at once more, with the commands
//! of the build.

use crate::compile::{self, FOLDER};
use crate::context::{self, Context};
use crate::earlier::{self, Came, Inputs};
use crate::kernel::{self, Kernel};
use crate::prepare::Built;
use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{files, objects, process};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Name of the test.
pub const TEST: &str = "clippy/kernel";

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
        inputs = inputs.kernel(kernel).value(
            &object.display().to_string(),
            &objects::saved(kernel, object)?,
        );
    }
    Ok(inputs)
}

/// The objects, and the kernels that they are in.
fn objects(built: &Built) -> Result<Vec<(&Kernel, PathBuf)>> {
    let rust = built.kernel(kernel::Variant::Rust)?;
    let mut objects: Vec<_> = objects::all()
        .into_iter()
        .map(|object| (rust, object))
        .collect();
    if let Ok(faults) = built.kernel(kernel::Variant::Faults) {
        objects.push((faults, Path::new(FOLDER).join(WITH_FAULTS)));
    }
    Ok(objects)
}

fn lint_object(ctx: &Context, kernel: &Kernel, object: &Path, step: &Step) -> Result<()> {
    let name = objects::name(object)?;
    let log = ctx.log(&format!("{TEST}-{}-{name}", kernel.variant.name()));
    let result = log.with_extension("rmeta");
    let more = [
        format!("--emit=metadata={}", result.display()),
        "-Dwarnings".to_owned(),
    ];
    let command = objects::command(kernel, object, "clippy-driver", &more)?;
    let mut shell = compile::shell(ctx, &command, kernel.folder());
    shell.env("CLIPPY_CONF_DIR", kernel.source());
    process::run(&mut shell, &log, step).with_context(|| object.display().to_string())?;
    files::remove_all(&result)
}
