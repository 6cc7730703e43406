// SPDX-License-Identifier: GPL-2.0
//! Holds the assembly by which guests are entered and left against C's: in all
//! that can be seen of it, the object of the Rust kernel must do the same as
//! `entry.o` of the C kernel, on CPUs with any set of features.

mod code;
mod compare;
mod insn;
mod value;
mod walk;

use crate::compile;
use crate::context::Context;
use crate::files;
use crate::kernel::Kernel;
use crate::plan::Verdict;
use crate::source;
use crate::trace::names::Names;
use anyhow::Result;
use code::Code;
use compare::Glossary;
use std::path::{Path, PathBuf};

/// A piece of assembly that there is in C and in Rust.
pub struct Assembly {
    /// Name of the test.
    pub test: &'static str,
    /// The object of the C kernel, in its build folder.
    c: &'static str,
    /// The object of the Rust kernel.
    pub rust: compile::Object,
}

/// VHE's.
pub const VHE: Assembly = Assembly {
    test: "entry-as-in-c/vhe",
    c: "arch/arm64/kvm/hyp/entry.o",
    rust: compile::KERNEL,
};

/// That of the hypervisor of nVHE, hVHE and pKVM.
pub const EL2: Assembly = Assembly {
    test: "entry-as-in-c/el2",
    c: "arch/arm64/kvm/hyp/entry.nvhe.o",
    rust: compile::HYPERVISOR,
};

/// All.
pub const ALL: [&Assembly; 2] = [&EL2, &VHE];

impl Assembly {
    /// The object of the kernel `rust`.
    fn object(&self, rust: &Kernel) -> PathBuf {
        rust.folder().join(compile::FOLDER).join(self.rust.file)
    }

    /// The object of the kernel `c`.
    pub fn c(&self, c: &Kernel) -> PathBuf {
        c.folder().join(self.c)
    }

    /// Compares what the kernels `c` and `rust` have.
    pub fn verdict(&self, ctx: &Context, c: &Kernel, rust: &Kernel) -> (Verdict, String) {
        let compared = self.compare(ctx, c, &self.object(rust));
        Verdict::of(compared.map(|_ways| ()))
    }

    /// Compares what the kernel `c` has with the object at `rust`. Returns the
    /// number of ways through it.
    pub fn compare(&self, ctx: &Context, c: &Kernel, rust: &Path) -> Result<usize> {
        let glossary = glossary(&source::find(ctx)?.path)?;
        let c = Code::read(&self.c(c))?;
        compare::compare(&glossary, &c, &Code::read(rust)?)
    }
}

/// The names that the kernel source at `tree` has for things.
fn glossary(tree: &Path) -> Result<Glossary> {
    let path = tree.join("arch/arm64/tools/cpucaps");
    let text = files::read_text(&path)?;
    // Numbered in their order, see gen-cpucaps.awk there.
    let lines = text.lines().map(str::trim);
    let names = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(Glossary {
        registers: Names::of_tree(tree)?,
        capabilities: names.map(str::to_owned).collect(),
    })
}
