// SPDX-License-Identifier: GPL-2.0
//! Compiles one object of KVM's code once more, from changed sources and with
//! the commands of the last build. Tree and build folder stay as they are.

use crate::context::Context;
use crate::error::hinted;
use crate::kernel::{self, Kernel};
use crate::lock::Lock;
use crate::progress::Step;
use crate::stamp::Stamp;
use crate::tree::{self, Tree};
use crate::{files, process, source};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The folder of the sources, the lists and `check_calls` in the kernel tree.
pub const FOLDER: &str = "arch/arm64/kvm/rust";

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Its crate root, without the ending.
    pub stem: &'static str,
    /// Its file.
    pub file: &'static str,
}

/// The kernel's.
pub const KERNEL: Object = Object {
    stem: "kvm_arm64",
    file: "kvm_arm64.o",
};

/// That of the hypervisor of nVHE, hVHE and pKVM.
pub const HYPERVISOR: Object = Object {
    stem: "kvm_arm64_nvhe",
    file: "kvm_arm64_nvhe.nvhe.o",
};

/// A kernel that was built, which nobody builds meanwhile.
pub struct Compiler {
    /// The build folder.
    pub out: PathBuf,
    tree: Tree,
    _lock: Lock,
}

impl Compiler {
    /// One with the commands of `kernel`.
    pub fn new(ctx: &Context, kernel: &Kernel) -> Result<Self> {
        // Not the tree of another run, either.
        kernel.check_is_there()?;
        let source = source::find(ctx)?;
        let tree = tree::prepare(ctx, &source)?;
        let out = kernel.folder().to_owned();
        let lock = kernel::lock(ctx, &out, kernel.variant)?;
        kernel.check_is_there()?;
        Ok(Self {
            out,
            tree,
            _lock: lock,
        })
    }

    /// The tree that it was built from.
    pub fn tree(&self) -> &Path {
        &self.tree.path
    }

    /// Makes `scratch` an empty folder, but for a copy of the sources, whose
    /// path is returned.
    pub fn sources(&self, scratch: &Path, log: &Path, step: &Step) -> Result<PathBuf> {
        files::remove_all(scratch)?;
        fs::create_dir_all(scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        let sources = scratch.join("sources");
        process::run(
            Command::new("cp")
                .arg("-R")
                .arg(self.tree.path.join(FOLDER))
                .arg(&sources),
            log,
            step,
        )?;
        Ok(sources)
    }

    /// What decides what comes of `object`, if its sources are as they are: the tree,
    /// and the command.
    pub fn signature(&self, object: Object) -> Result<String> {
        let command = self.saved(object)?;
        Ok(format!("{}\n{command}", self.tree.signature))
    }

    /// What Kbuild keeps of `object`.
    fn saved(&self, object: Object) -> Result<String> {
        let saved = self.out.join(FOLDER).join(format!(".{}.cmd", object.file));
        files::read_text(&saved)
    }

    /// What compiles `object` from `sources`, with all results in `scratch`.
    fn command(
        &self,
        ctx: &Context,
        object: Object,
        sources: &Path,
        scratch: &Path,
    ) -> Result<Command> {
        let text = self.saved(object)?;
        let command = elsewhere(&text, &self.tree.path, sources, scratch).ok_or_else(|| {
            hinted(
                format!(
                    "what Kbuild keeps of {} does not begin with its command",
                    object.file
                ),
                "bring scripts/src/compile.rs in line with scripts/Kbuild.include of the kernel",
            )
        })?;
        Ok(shell(ctx, &command, &self.out))
    }

    /// Compiles `object` from `sources` and returns where it is, in `scratch`.
    pub fn compile(
        &self,
        ctx: &Context,
        object: Object,
        sources: &Path,
        scratch: &Path,
        log: &Path,
        step: &Step,
    ) -> Result<PathBuf> {
        process::run(&mut self.command(ctx, object, sources, scratch)?, log, step)?;
        Ok(scratch.join(object.file))
    }

    /// As [`Self::compile`], but a failure is only returned, not an error.
    pub fn try_compile(
        &self,
        ctx: &Context,
        object: Object,
        sources: &Path,
        scratch: &Path,
        log: &Path,
        step: &Step,
    ) -> Result<ExitStatus> {
        process::run_status(&mut self.command(ctx, object, sources, scratch)?, log, step)
    }

    /// Makes an Image with `objects` in the place of those that were built, and says
    /// whether the build lets it pass. Until the next one, they stay there.
    pub fn link(
        &self,
        ctx: &Context,
        objects: &[(Object, PathBuf)],
        log: &Path,
        step: &Step,
    ) -> Result<ExitStatus> {
        // What is there is no longer what the sources are.
        Stamp::of(&self.out).remove()?;
        for (object, from) in objects {
            let to = self.out.join(FOLDER).join(object.file);
            // Newer than its sources, so make leaves it alone.
            fs::copy(from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        let mut make = kernel::make_image(ctx, &self.tree.path, &self.out);
        process::run_status(&mut make, log, step)
    }
}

/// Removes the objects from the build folder `out`, so that make makes them again.
pub fn remove_objects(out: &Path) -> Result<()> {
    for object in [KERNEL, HYPERVISOR] {
        files::remove_all(&out.join(FOLDER).join(object.file))?;
    }
    Ok(())
}

/// The target and the command in `saved`, which is what Kbuild keeps of an object.
pub fn saved_command(saved: &str) -> Option<(&str, String)> {
    let line = saved.lines().next()?.strip_prefix("savedcmd_")?;
    let (target, command) = line.split_once(" := ")?;
    // Kbuild writes the command for make to read.
    let command = command.replace("$(pound)", "#").replace("$$", "$");
    Some((target, command))
}

/// A shell that runs such a command in the build folder `out`.
pub fn shell(ctx: &Context, command: &str, out: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-e", "-c", command])
        .current_dir(out)
        // What the kernel's Makefile exports.
        .env("RUSTC_BOOTSTRAP", "1");
    kernel::environment(ctx, &mut shell);
    shell
}

/// The command in `saved`, which is what Kbuild keeps of an object, with the
/// sources taken from `sources` and all results put into `scratch`.
fn elsewhere(saved: &str, tree: &Path, sources: &Path, scratch: &Path) -> Option<String> {
    let (target, command) = saved_command(saved)?;
    let (folder, _) = target.rsplit_once('/')?;
    let of_tree = format!("{}/{folder}/", tree.display());
    let command = command.replace(&of_tree, &format!("{}/", sources.display()));
    let command = command.replace(&format!("{folder}/"), &format!("{}/", scratch.display()));
    // Nothing may be written to where the build has its own.
    (command.contains(&format!("={}/", scratch.display())) && !command.contains(folder))
        .then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_mutants_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        for object in [KERNEL, HYPERVISOR] {
            let path = dir.path().join(FOLDER).join(object.file);
            files::write_atomic(&path, b"").unwrap();
        }
        files::write_atomic(&dir.path().join(FOLDER).join("other.o"), b"").unwrap();
        remove_objects(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 1);
    }

    #[test]
    fn the_command_writes_elsewhere() {
        let saved = "savedcmd_a/b/../c/x.o := rustc --cfg='k=\"$$v\"' --out-dir a/b/../c/ \
                     --emit=obj=a/b/../c/x.o -L ./rust/ /tree/a/b/../c/x.rs $(pound)1\n\ndeps\n";
        let command = |saved| {
            elsewhere(
                saved,
                Path::new("/tree"),
                Path::new("/log/sources"),
                Path::new("/log"),
            )
        };
        assert_eq!(
            command(saved).unwrap(),
            "rustc --cfg='k=\"$v\"' --out-dir /log/ --emit=obj=/log/x.o -L ./rust/ \
             /log/sources/x.rs #1"
        );
        for unknown in [
            "",
            "cmd_a/x.o := rustc",
            "savedcmd_x.o := rustc",
            "savedcmd_a/x.o := rustc -o b/x.o",
            "savedcmd_a/x.o := rustc --emit=obj=a/x.o -o /tree/a",
        ] {
            assert_eq!(command(unknown), None, "{unknown}");
        }
    }
}
