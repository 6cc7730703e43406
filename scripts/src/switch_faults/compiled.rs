// SPDX-License-Identifier: GPL-2.0
//! The judges that look at an object: whether there is one, and what it does.

use super::list::{Fault, Judge};
use crate::compile::Compiler;
use crate::context::Context;
use crate::digest;
use crate::earlier::Inputs;
use crate::entry::{self, Assembly};
use crate::files;
use crate::kernel::Kernel;
use crate::progress::Step;
use anyhow::{bail, ensure, Context as _, Result};
use std::path::PathBuf;

/// What compiles the object, and what that is held against.
pub struct Compiled<'a> {
    ctx: &'a Context,
    compiler: Compiler,
    c: &'a Kernel,
    rust: &'a Kernel,
}

/// An object that was to be compiled.
struct Tried {
    object: PathBuf,
    /// What the compiler said, if it refused.
    refused: Option<String>,
    log: PathBuf,
}

impl<'a> Compiled<'a> {
    /// One with the kernels that were built.
    pub fn new(ctx: &'a Context, c: &'a Kernel, rust: &'a Kernel) -> Result<Self> {
        Ok(Self {
            ctx,
            compiler: Compiler::new(ctx, rust)?,
            c,
            rust,
        })
    }

    /// With all that decides what these judges say, but for the fault.
    pub fn inputs(&self, mut inputs: Inputs) -> Result<Inputs> {
        inputs = inputs.kernel(self.c).kernel(self.rust);
        for assembly in entry::ALL {
            let object = assembly.rust;
            inputs = inputs
                .value(object.file, &self.compiler.signature(object)?)
                .value(assembly.test, &digest::of_file(&assembly.c(self.c))?);
        }
        Ok(inputs)
    }

    /// The assembly in the object that has the file of a fault.
    fn assembly(file: &str) -> &'static Assembly {
        // What is in hyp/ both have.
        match file.split_once('/') {
            Some(("hyp" | "nvhe", _)) => &entry::EL2,
            _ => &entry::VHE,
        }
    }

    fn compile(
        &self,
        name: &str,
        assembly: &Assembly,
        fault: Option<&Fault>,
        step: &Step,
    ) -> Result<Tried> {
        let scratch = self.ctx.logs.join("switch-faults").join(name);
        let log = scratch.join("log");
        let sources = self.compiler.sources(&scratch, &log, step)?;
        if let Some(fault) = fault {
            fault.make_in(&sources)?;
        }
        let ctx = self.ctx;
        let status =
            self.compiler
                .try_compile(ctx, assembly.rust, &sources, &scratch, &log, step)?;
        let text = files::read_text(&log)?;
        Ok(Tried {
            object: scratch.join(assembly.rust.file),
            refused: (!status.success()).then_some(text),
            log,
        })
    }

    /// Fails if the objects of the sources as they are would be taken for
    /// faults.
    pub fn control(&self, judge: Judge, faults: &[&Fault], step: &Step) -> Result<()> {
        for assembly in entry::ALL {
            if !faults
                .iter()
                .any(|fault| Self::assembly(&fault.file).test == assembly.test)
            {
                continue;
            }
            let name = format!("{}-unchanged-{}", judge.name(), assembly.rust.stem);
            let tried = self.compile(&name, assembly, None, step)?;
            ensure!(
                tried.refused.is_none(),
                "the sources as they are do not compile\nlog: {}",
                tried.log.display()
            );
            if judge == Judge::Entry {
                assembly
                    .compare(self.ctx, self.c, &tried.object)
                    .context("the sources as they are")?;
            }
        }
        Ok(())
    }

    /// Fails if `fault` is not noticed as it has to be.
    pub fn noticed(&self, fault: &Fault, step: &Step) -> Result<()> {
        let assembly = Self::assembly(&fault.file);
        let tried = self.compile(&fault.name, assembly, Some(fault), step)?;
        let log = tried.log.display();
        let said = match (fault.judge, tried.refused) {
            (Judge::Build, None) => bail!("not noticed: it compiles\nlog: {log}"),
            (Judge::Build, Some(errors)) => errors,
            (_, Some(_)) => bail!("not tried: it does not compile\nlog: {log}"),
            (_, None) => match assembly.compare(self.ctx, self.c, &tried.object) {
                Ok(_) => bail!("not noticed: it is as in C\nlog: {log}"),
                Err(difference) => format!("{difference:#}"),
            },
        };
        ensure!(
            said.contains(&fault.says),
            "something else is noticed than `{}`:\n{said}\nlog: {log}",
            fault.says
        );
        Ok(())
    }
}
