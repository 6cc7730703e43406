// SPDX-License-Identifier: GPL-2.0
//! Kernel builds: variants of one tree, each in a build folder of its own.

use crate::context::Context;
use crate::error::hinted;
use crate::lock::Lock;
use crate::progress::Step;
use crate::stamp::Stamp;
use crate::tree::{self, Tree};
use crate::{compile, digest, disk, files, jobs, kconfig, process, source};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Space that one build folder takes.
const DISK_MIB: u64 = 2500;
/// Space that one with KVM's code alone takes.
const KVM_DISK_MIB: u64 = 600;

/// What is built from the tree.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// KVM's world switch and FP/SIMD handling in Rust.
    Rust,
    /// The same in C, as Linux has it.
    C,
    /// Rust, with KASAN, UBSAN, lockdep and debug assertions.
    Sanitizer,
    /// Rust, with the faults compiled in that the tests must find.
    Faults,
    /// Rust, with allocations that fail on request, and swap.
    Soak,
    /// Rust, with objects that have a mutant in them.
    Mutants,
}

impl Variant {
    /// Its name in paths and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Sanitizer => "sanitizer",
            Self::Faults => "faults",
            Self::Soak => "soak",
            Self::Mutants => "mutants",
        }
    }

    /// What KVM says of itself in /sys/module/kvm/parameters/world_switch.
    pub fn world_switch(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Rust | Self::Sanitizer | Self::Faults | Self::Soak | Self::Mutants => "Rust",
        }
    }

    /// True where no object is that of another variant: the sanitizers change
    /// the flags of every file.
    pub fn is_built_alone(self) -> bool {
        self == Self::Sanitizer
    }

    /// Fragments in scripts/config/ and lines on top of allnoconfig.
    fn fragments(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Rust | Self::Mutants => (&["host.config"], "CONFIG_KVM_ARM64_RUST=y\n"),
            Self::C => (&["host.config"], "CONFIG_KVM_ARM64_RUST=n\n"),
            Self::Sanitizer => (
                &["host.config", "sanitizer.config"],
                "CONFIG_KVM_ARM64_RUST=y\n",
            ),
            Self::Faults => (
                &["host.config"],
                "CONFIG_KVM_ARM64_RUST=y\nCONFIG_KVM_ARM64_RUST_FAULTS=y\n",
            ),
            Self::Soak => (&["host.config", "soak.config"], "CONFIG_KVM_ARM64_RUST=y\n"),
        }
    }
}

/// A kernel that was built.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its variant.
    pub variant: Variant,
    /// The file Image.
    pub image: PathBuf,
    /// The file vmlinux that it was made from, with the symbols.
    pub vmlinux: PathBuf,
    /// What it was built from, and with. `None` where it is what happened to be there.
    pub built_from: Option<String>,
}

impl Kernel {
    /// The folder that it was built in.
    pub fn folder(&self) -> &Path {
        self.vmlinux.parent().unwrap_or(Path::new(""))
    }

    /// The tree that it was built from.
    pub fn source(&self) -> PathBuf {
        self.folder().join("source")
    }

    /// Changes whenever something does that it was built from, or with. `None` where that is not
    /// known, and where another run has built, or builds, something else in its place.
    pub fn signature(&self) -> Option<String> {
        let signature = self.built_from.as_ref()?;
        let is_there = Stamp::of(self.folder()).is(signature);
        is_there.then(|| signature.clone())
    }

    /// Fails if another run has built, or builds, something else in its place: build folders are
    /// those of all checkouts with this cache folder.
    pub fn check_is_there(&self) -> Result<()> {
        if self.built_from.is_none() || self.signature().is_some() {
            return Ok(());
        }
        Err(hinted(
            format!(
                "another run has built the kernel {} from something else meanwhile",
                self.variant.name()
            ),
            "run the same command again, or give one of the checkouts a KVM_RUST_CACHE of its own",
        ))
    }
}

/// `make` for arm64 with LLVM, the same for every use of the tree.
pub fn make(ctx: &Context, tree: &Path, out: &Path) -> Command {
    let mut command = Command::new("make");
    command
        .arg("-C")
        .arg(tree)
        .args(["LLVM=1", "ARCH=arm64"])
        .arg(format!("O={}", out.display()));
    if program_exists("ccache") {
        command.arg("CC=ccache clang");
    }
    environment(ctx, &mut command);
    command
}

/// As [`make`], of a kernel that tests boot. Looking for warnings in all inline functions is an
/// eighth of what clang does, and nobody wants to know of those in code that is not ours:
/// [`crate::warnings`] looks for the others.
pub fn make_image(ctx: &Context, tree: &Path, out: &Path) -> Command {
    let mut command = make(ctx, tree, out);
    command.args(["KCFLAGS=-w", "Image"]);
    command
}

/// Makes builds repeatable, and the compiler cache ours.
pub fn environment(ctx: &Context, command: &mut Command) {
    command
        .env("CCACHE_DIR", ctx.cache.join("ccache"))
        // Build folders differ only in their name, which no object holds.
        .env("CCACHE_NOHASHDIR", "1")
        .env("CCACHE_MAXSIZE", "10G")
        // By what is included, and without another run of the preprocessor before each
        // compilation: an eighth of the time of a first build.
        .env("CCACHE_DEPEND", "1")
        .env("KBUILD_BUILD_TIMESTAMP", "@0")
        .env("KBUILD_BUILD_USER", "kvm")
        .env("KBUILD_BUILD_HOST", "rust")
        .env("KBUILD_BUILD_VERSION", "1")
        // Flags of the user's own would be in kernels that others take for theirs.
        .env_remove("KCFLAGS")
        .env_remove("KCPPFLAGS")
        .env_remove("KAFLAGS")
        .env_remove("KRUSTFLAGS")
        .env_remove("HOSTCFLAGS")
        .env_remove("HOSTRUSTFLAGS")
        .env_remove("LOCALVERSION")
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .env_remove("MAKELEVEL");
}

fn program_exists(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// What compilers there are: another one means another build.
pub fn toolchain() -> String {
    ["rustc", "clang", "ld.lld", "bindgen"]
        .iter()
        .map(|tool| process::output(Command::new(tool).arg("--version")).unwrap_or_default())
        .collect()
}

/// Where `variant` is built: with the user's own options, in a folder for
/// those.
fn folder(ctx: &Context, variant: Variant) -> PathBuf {
    let name = folder_name(variant, ctx.fragment.as_deref());
    ctx.cache.join("build").join(name)
}

fn folder_name(variant: Variant, fragment: Option<&str>) -> String {
    match fragment {
        None => variant.name().to_owned(),
        Some(text) => {
            let options = digest::of_bytes(text.as_bytes());
            format!("{}-{}", variant.name(), digest::short(&options))
        }
    }
}

/// How many steps building `variant` takes at first sight.
pub fn steps_to_come(ctx: &Context, variant: Variant) -> usize {
    let stamp = Stamp::of(&folder(ctx, variant));
    usize::from(!ctx.no_build && !stamp.exists())
}

/// The lock on the build folder `out`, which has `variant`.
pub fn lock(ctx: &Context, out: &Path, variant: Variant) -> Result<Lock> {
    let what = format!("the kernel {}", variant.name());
    Lock::take(&ctx.ui, &files::beside(out, "lock"), &what)
}

/// Builds `variant`; does nothing where it stands already.
pub fn build(ctx: &Context, variant: Variant) -> Result<Kernel> {
    let out = folder(ctx, variant);
    let mut kernel = Kernel {
        variant,
        image: out.join("arch/arm64/boot/Image"),
        vmlinux: out.join("vmlinux"),
        built_from: None,
    };
    if ctx.no_build {
        if !kernel.image.exists() {
            return Err(hinted(
                format!("the kernel {} has not been built", variant.name()),
                "leave out --no-build",
            ));
        }
        return Ok(kernel);
    }
    let source = source::find(ctx)?;
    let tree = tree::prepare(ctx, &source)?;
    let _lock = lock(ctx, &out, variant)?;
    let fragment = fragment(ctx, variant)?;
    let signature = digest::of_bytes(
        format!(
            "{}\n{fragment}\n{}\n{:?}",
            tree.signature,
            toolchain(),
            make_image(ctx, &tree.path, &out)
        )
        .as_bytes(),
    );
    kernel.built_from = Some(signature.clone());
    let stamp = Stamp::of(&out);
    if stamp.is(&signature) && kernel.image.exists() {
        return Ok(kernel);
    }
    stamp.remove()?;
    let step = ctx.ui.step(&format!("kernel {}", variant.name()));
    let log = ctx.log(&format!("kernel-{}", variant.name()));
    if common_options(&out).is_some_and(|old| old != kconfig::common(&fragment))
        && SEEDS
            .iter()
            .any(|&other| has_options(ctx, other, &fragment))
    {
        // All would be compiled again, and has been there.
        files::remove_all(&out)?;
    }
    if !out.exists() {
        disk::need(
            &ctx.cache,
            DISK_MIB,
            &format!("the kernel {}", variant.name()),
        )?;
        seed(ctx, &out, variant, &fragment, &log, &step)?;
    }
    if variant == Variant::Mutants {
        // They may be those of a mutant, which make takes for newer than the sources.
        compile::remove_objects(&out)?;
    }
    configure(ctx, &tree.path, &out, &fragment, &log, &step)?;
    jobs::run(&mut make_image(ctx, &tree.path, &out), &log, &step)
        .with_context(|| format!("the kernel {} does not build", variant.name()))?;
    stamp.write(&signature)?;
    step.end("built");
    Ok(kernel)
}

/// Removes what building `variant` has left.
pub fn discard(ctx: &Context, variant: Variant) -> Result<()> {
    let out = folder(ctx, variant);
    let _lock = lock(ctx, &out, variant)?;
    Stamp::of(&out).remove()?;
    files::remove_all(&out)
}

/// Options that KVM's code is compiled with, without a kernel around it.
#[derive(Debug, Clone, Copy)]
pub struct OtherOptions {
    /// The name of the test.
    pub test: &'static str,
    variant: Variant,
    /// The fragment on top of the variant's.
    fragment: &'static str,
    /// What make is told.
    told: &'static [&'static str],
}

/// Those besides the options of the variants.
pub const OTHER_OPTIONS: [OtherOptions; 2] = [
    OtherOptions {
        test: "options/least",
        variant: Variant::Rust,
        fragment: "least.config",
        told: &[],
    },
    OtherOptions {
        test: "options/without-rust",
        variant: Variant::C,
        fragment: "without-rust.config",
        // As on a machine that has none of them.
        told: &["RUSTC=false", "HOSTRUSTC=false", "BINDGEN=false"],
    },
];

/// Compiles KVM's code with one of [`OTHER_OPTIONS`]. Where there is Rust in it, its
/// objects are checked as in each build.
pub fn build_kvm(ctx: &Context, options: OtherOptions, step: &Step) -> Result<()> {
    let OtherOptions { test, told, .. } = options;
    let tree = tree::prepare(ctx, &source::find(ctx)?)?;
    let out = ctx.cache.join("build").join(test.replace('/', "-"));
    let _lock = Lock::take(&ctx.ui, &files::beside(&out, "lock"), test)?;
    if !out.exists() {
        disk::need(&ctx.cache, KVM_DISK_MIB, test)?;
    }
    let mut fragment = fragment_of(ctx, options.variant)?;
    fragment.push_str(&ctx.read_fragment(options.fragment)?);
    let log = ctx.log(test);
    let mut configure = allnoconfig(ctx, &tree.path, &out, &fragment)?;
    configured(configure.args(told), &out, &fragment, &log, step)?;
    let mut make = make(ctx, &tree.path, &out);
    jobs::run(make.args(told).arg("arch/arm64/kvm/"), &log, step)
}

/// Builds the kernel `variant` of a tree that is not that of this checkout as a whole, with
/// `more` options, in the folder `out`. Returns the file Image.
pub fn build_of(
    ctx: &Context,
    tree: &Path,
    (variant, more): (Variant, &str),
    out: &Path,
    log: &Path,
    step: &Step,
) -> Result<PathBuf> {
    let mut fragment = fragment(ctx, variant)?;
    fragment.push_str(more);
    configure(ctx, tree, out, &fragment, log, step)?;
    jobs::run(&mut make_image(ctx, tree, out), log, step)?;
    Ok(out.join("arch/arm64/boot/Image"))
}

fn fragment(ctx: &Context, variant: Variant) -> Result<String> {
    let mut text = fragment_of(ctx, variant)?;
    text.push_str(ctx.fragment.as_deref().unwrap_or_default());
    Ok(text)
}

/// The options of `variant`, without the user's own.
fn fragment_of(ctx: &Context, variant: Variant) -> Result<String> {
    let (names, lines) = variant.fragments();
    let mut text = String::new();
    for name in names {
        text.push_str(&ctx.read_fragment(name)?);
    }
    text.push_str(lines);
    Ok(text)
}

/// Variants that another one may begin as a copy of.
const SEEDS: [Variant; 3] = [Variant::Rust, Variant::C, Variant::Faults];

/// The options that a build folder was configured with and that any variant can have.
fn common_options(out: &Path) -> Option<Vec<String>> {
    let fragment = fs::read_to_string(out.join("fragment.config")).ok()?;
    Some(kconfig::common(&fragment))
}

/// Whether `variant` has been built, with those of `fragment` that any variant can have.
fn has_options(ctx: &Context, variant: Variant, fragment: &str) -> bool {
    let out = folder(ctx, variant);
    Stamp::of(&out).exists()
        && common_options(&out).is_some_and(|options| options == kconfig::common(fragment))
}

/// Starts a build folder as a copy of one that has been built: only what
/// depends on the options that differ is then compiled again.
fn seed(
    ctx: &Context,
    out: &Path,
    variant: Variant,
    fragment: &str,
    log: &Path,
    step: &Step,
) -> Result<()> {
    if variant.is_built_alone() {
        return Ok(());
    }
    let is_built = |other: Variant| Stamp::of(&folder(ctx, other)).exists();
    let others = SEEDS.into_iter();
    let others = others.filter(|&other| other != variant && is_built(other));
    // One with the same options before any other.
    if let Some(other) = others.min_by_key(|&other| !has_options(ctx, other, fragment)) {
        let from = folder(ctx, other);
        let _lock = Lock::take(
            &ctx.ui,
            &files::beside(&from, "lock"),
            &format!("the kernel {}", other.name()),
        )?;
        step.at(&format!("starting from the kernel {}", other.name()));
        let partial = files::beside(out, "partial");
        files::remove_all(&partial)?;
        let mut command = Command::new("cp");
        command
            .args(["-a", "--reflink=auto"])
            .arg(&from)
            .arg(&partial);
        process::run(&mut command, log, step)?;
        fs::rename(&partial, out).with_context(|| format!("cannot name {}", out.display()))?;
    }
    Ok(())
}

fn configure(
    ctx: &Context,
    tree: &Path,
    out: &Path,
    fragment: &str,
    log: &Path,
    step: &Step,
) -> Result<()> {
    let mut command = allnoconfig(ctx, tree, out, fragment)?;
    configured(&mut command, out, fragment, log, step)
}

/// The command that configures the build folder `out` with the options of `fragment` and no
/// others, as far as Kconfig lets it.
fn allnoconfig(ctx: &Context, tree: &Path, out: &Path, fragment: &str) -> Result<Command> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let file = out.join("fragment.config");
    files::write_if_changed(&file, fragment.as_bytes())?;
    let mut command = make(ctx, tree, out);
    command
        .arg(format!("KCONFIG_ALLCONFIG={}", file.display()))
        .arg("allnoconfig");
    Ok(command)
}

/// The options of `variant`, and those of the context, that Kconfig does not let be together.
pub fn refused(ctx: &Context, variant: Variant, log: &Path, step: &Step) -> Result<Vec<String>> {
    let tree = tree::prepare(ctx, &source::find(ctx)?)?;
    let out = tempfile::tempdir_in(&**ctx.logs).context("cannot make a build folder")?;
    let fragment = fragment(ctx, variant)?;
    let mut command = allnoconfig(ctx, &tree.path, out.path(), &fragment)?;
    lost_by(&mut command, out.path(), &fragment, log, step)
}

/// Configures the build folder `out` as `base`, the whole configuration of a kernel that is
/// about the same, with the options of `fragment`.
pub fn configure_like(
    ctx: &Context,
    tree: &Tree,
    out: &Path,
    (base, fragment): (&str, &str),
    log: &Path,
    step: &Step,
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    // The later of two lines for an option is what counts.
    files::write_atomic(
        &out.join(".config"),
        format!("{base}\n{fragment}").as_bytes(),
    )?;
    let mut command = make(ctx, &tree.path, out);
    configured(command.arg("olddefconfig"), out, fragment, log, step)
}

/// Runs `command`, which writes the .config of `out`. What `fragment` asks for must be in it.
fn configured(
    command: &mut Command,
    out: &Path,
    fragment: &str,
    log: &Path,
    step: &Step,
) -> Result<()> {
    let lost = lost_by(command, out, fragment, log, step)?;
    if lost.is_empty() {
        return Ok(());
    }
    let rust_is_lost = lost.iter().any(|l| l == "CONFIG_RUST=y");
    Err(hinted(
        format!(
            "the kernel configuration lost {}: {}",
            plural(lost.len()),
            lost.join(", ")
        ),
        if rust_is_lost {
            "the Rust tools do not suffice for this kernel: TOOLS=root takes the project's own"
        } else {
            "an option that they depend on is missing in scripts/config/, or this tree does not have them"
        },
    ))
}

/// As [`configured`], but returns what is not in it.
fn lost_by(
    command: &mut Command,
    out: &Path,
    fragment: &str,
    log: &Path,
    step: &Step,
) -> Result<Vec<String>> {
    process::run(command, log, step).context("the kernel cannot be configured")?;
    let config = files::read_text(&out.join(".config"))?;
    Ok(kconfig::lost(fragment, &config))
}

fn plural(count: usize) -> String {
    match count {
        1 => "an option".to_owned(),
        n => format!("{n} options"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_with_other_options_are_built_elsewhere() {
        let names = [None, Some("CONFIG_A=y\n"), Some("CONFIG_A=n\n")]
            .map(|fragment| folder_name(Variant::C, fragment));
        assert_eq!(names[0], "c");
        assert!(names[1].starts_with("c-") && names[2].starts_with("c-"));
        assert_ne!(names[1], names[2]);
    }
}
