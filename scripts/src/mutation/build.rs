// SPDX-License-Identifier: GPL-2.0
//! Kernels with one mutant in them.

use super::rewrite;
use super::{Mutant, FOLDER};
use crate::compile::{Compiler, Object, HYPERVISOR, KERNEL};
use crate::context::Context;
use crate::files;
use crate::kernel::{self, Variant};
use crate::progress::Step;
use anyhow::{ensure, Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What a mutant comes to before it is booted.
pub enum Built {
    /// It does not compile.
    Unviable,
    /// The compiler makes the same of it as of the code without it.
    Same,
    /// The build of the kernel does not let it pass.
    Refused,
    /// A kernel, with the objects that the mutant is in.
    Image(PathBuf),
}

/// What builds them, one at a time.
pub struct Builder<'a> {
    ctx: &'a Context,
    compiler: Compiler,
    image: PathBuf,
    /// The objects without a mutant.
    unchanged: Vec<(Object, PathBuf)>,
    /// Where the objects are built. The same for all, as its name may be in them.
    scratch: PathBuf,
}

/// The objects that the file of a mutant is in.
pub fn objects(file: &str) -> &'static [Object] {
    match file.split_once(['/', '.']) {
        // The source for both worlds.
        Some(("hyp", _)) => &[KERNEL, HYPERVISOR],
        Some(("nvhe", _)) => &[HYPERVISOR],
        _ => &[KERNEL],
    }
}

impl<'a> Builder<'a> {
    /// Builds the kernel without a mutant, and returns where that is.
    pub fn new(ctx: &'a Context, step: &Step) -> Result<(Self, PathBuf)> {
        let kernel = kernel::build(ctx, Variant::Mutants)?;
        let mut builder = Self {
            ctx,
            compiler: Compiler::new(ctx, &kernel)?,
            image: kernel.image,
            unchanged: Vec::new(),
            scratch: ctx.logs.join("mutants").join("build"),
        };
        for object in [KERNEL, HYPERVISOR] {
            let compiled = builder.compile(object, None, step)?;
            let compiled = compiled.context("the code without a mutant does not compile")?;
            let kept = files::beside(&builder.scratch, object.stem);
            fs::rename(&compiled, &kept)
                .with_context(|| format!("cannot name {}", kept.display()))?;
            builder.unchanged.push((object, kept));
        }
        let image = builder.link("none", &[], step)?;
        let image = image.context("the build refuses the code without a mutant")?;
        Ok((builder, image))
    }

    /// Builds the kernel with `mutant` in it.
    pub fn build(&self, mutant: &Mutant, step: &Step) -> Result<Built> {
        let mut changed = Vec::new();
        for &object in objects(&mutant.file()) {
            let Some(compiled) = self.compile(object, Some(mutant), step)? else {
                return Ok(Built::Unviable);
            };
            if read(&compiled)? != read(self.unchanged(object))? {
                let kept = self.log(&format!("{}-{}", mutant.number, object.file));
                fs::rename(&compiled, &kept)
                    .with_context(|| format!("cannot name {}", kept.display()))?;
                changed.push((object, kept));
            }
        }
        if changed.is_empty() {
            return Ok(Built::Same);
        }
        let image = self.link(&mutant.number.to_string(), &changed, step)?;
        for (_, object) in &changed {
            files::remove_all(object)?;
        }
        Ok(image.map_or(Built::Refused, Built::Image))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.scratch.with_file_name(name)
    }

    fn unchanged(&self, object: Object) -> &Path {
        let found = self.unchanged.iter().find(|(other, _)| *other == object);
        found.map_or(Path::new(""), |(_, path)| path)
    }

    /// Compiles `object`; none if it does not compile.
    fn compile(
        &self,
        object: Object,
        mutant: Option<&Mutant>,
        step: &Step,
    ) -> Result<Option<PathBuf>> {
        let log = self.log(&match mutant {
            Some(mutant) => format!("{}-{}.log", mutant.number, object.stem),
            None => format!("none-{}.log", object.stem),
        });
        let sources = self.compiler.sources(&self.scratch, &log, step)?;
        let root = sources.join(object.stem).with_extension("rs");
        change(&root, |text| Ok(allow_warnings(&text)))?;
        if let Some(mutant) = mutant {
            let file = sources.join(mutant.file());
            change(&file, |text| {
                let original = self.ctx.checkout.join(FOLDER).join(mutant.file());
                // The places of mutants are those in the checkout.
                ensure!(
                    fs::read(&original)? == text.as_bytes(),
                    "{} changed while it was mutated",
                    original.display()
                );
                Ok(rewrite::plain(&text, &mutant.found))
            })?;
        }
        let (ctx, scratch) = (self.ctx, &self.scratch);
        let status = self
            .compiler
            .try_compile(ctx, object, &sources, scratch, &log, step)?;
        Ok(status.success().then(|| scratch.join(object.file)))
    }

    /// Makes a kernel with `changed`, and returns a copy of it; none if the build
    /// refuses them.
    fn link(
        &self,
        name: &str,
        changed: &[(Object, PathBuf)],
        step: &Step,
    ) -> Result<Option<PathBuf>> {
        let is_changed = |object: Object| changed.iter().any(|(other, _)| *other == object);
        let mut objects = changed.to_vec();
        objects.extend(
            self.unchanged
                .iter()
                .filter(|(o, _)| !is_changed(*o))
                .cloned(),
        );
        let log = self.log(&format!("{name}-link.log"));
        if !self
            .compiler
            .link(self.ctx, &objects, &log, step)?
            .success()
        {
            return Ok(None);
        }
        let image = self.log(&format!("{name}.Image"));
        fs::copy(&self.image, &image)
            .with_context(|| format!("cannot copy {}", self.image.display()))?;
        Ok(Some(image))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn change(path: &Path, change: impl FnOnce(String) -> Result<String>) -> Result<()> {
    let text = String::from_utf8(read(path)?)?;
    files::write_atomic(path, change(text)?.as_bytes())
}

/// The crate root `text`, which is compiled although mutants make it look odd.
fn allow_warnings(text: &str) -> String {
    // Behind what is said about the crate, and before all items.
    let is_before = |line: &&str| {
        let is_comment = line.starts_with("//") && !line.starts_with("///");
        is_comment || line.trim().is_empty()
    };
    let comments = text.split_inclusive('\n').take_while(is_before);
    let (before, behind) = text.split_at(comments.map(str::len).sum());
    format!("{before}#![allow(warnings)]\n{behind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_objects_of_their_worlds() {
        let stems = |file| objects(file).iter().map(|o| o.stem).collect::<Vec<_>>();
        assert_eq!(stems("hyp/fp.rs"), ["kvm_arm64", "kvm_arm64_nvhe"]);
        assert_eq!(stems("nvhe/pkvm/sve.rs"), ["kvm_arm64_nvhe"]);
        assert_eq!(stems("nvhe.rs"), ["kvm_arm64_nvhe"]);
        assert_eq!(stems("vhe/switch.rs"), ["kvm_arm64"]);
        assert_eq!(stems("fpsimd.rs"), ["kvm_arm64"]);
    }

    #[test]
    fn warnings_are_allowed_at_the_top() {
        let text = "// SPDX\n\n//! A crate.\n\n/// An item.\nfn f() {}\n";
        let allowed = "// SPDX\n\n//! A crate.\n\n#![allow(warnings)]\n/// An item.\nfn f() {}\n";
        assert_eq!(allow_warnings(text), allowed);
    }
}
