// SPDX-License-Identifier: GPL-2.0
//! That each step of the series builds and boots: without CONFIG_KVM_ARM64_RUST, and with it
//! from the step on that adds it.

use super::steps::{Series, Step};
use crate::context::Context;
use crate::error::hinted;
use crate::host::Mode;
use crate::kernel::{self, Variant};
use crate::lock::Lock;
use crate::overlay::{self, Overlay};
use crate::plan::Verdict;
use crate::prepare::Built;
use crate::results::Results;
use crate::side_by_side::side_by_side;
use crate::source::{self, Source};
use crate::{boot, digest, disk, files, matrix, process, progress, table, tree};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the names of the tests begin.
pub const PREFIX: &str = "series/step-";
/// The modes that each is booted in: one for each world of the switch, and the one that has
/// the most code at EL2.
const MODES: [Mode; 2] = [Mode::Vhe, Mode::Protected];
/// Has the option in it, and those of our tests in the kernel.
const KCONFIG: &str = "arch/arm64/kvm/rust/Kconfig";
/// What host.config has of it, taken back.
const WITHOUT_KCONFIG: &str = "CONFIG_KVM_ARM64_FP_KUNIT_TEST=n\nCONFIG_NEON_SOFTIRQ_TEST=n\n";
/// Has the parameter that says which implementation a kernel has, once it is in there.
const SAYS: (&str, &str) = ("arch/arm64/kvm/arm.c", "module_param_cb(world_switch,");
/// Space that the tree takes, and a build without the option and one with it.
const DISK_MIB: u64 = 8000;

/// The kernels that can be built of a tree.
fn variants(has_option: bool) -> &'static [Variant] {
    match has_option {
        true => &[Variant::C, Variant::Rust],
        false => &[Variant::C],
    }
}

/// The kernels of all steps.
fn kernels(steps: &[Step]) -> Vec<&'static [Variant]> {
    let mut has_option = false;
    let kernels = steps.iter().map(|step| {
        has_option |= step.files.iter().any(|path| path == KCONFIG);
        variants(has_option)
    });
    kernels.collect()
}

/// The steps of this checkout that are to be tried, by their numbers: those in `only`, or
/// all if it is empty.
fn chosen(only: &[usize], steps: usize) -> Result<Vec<usize>> {
    if let Some(unknown) = only.iter().find(|number| !(1..=steps).contains(*number)) {
        return Err(hinted(
            format!("the series has no step {unknown}"),
            format!("they are 1 to {steps}, in the order of scripts/series.toml"),
        ));
    }
    let is_chosen = |number: &usize| only.is_empty() || only.contains(number);
    Ok((1..=steps).filter(is_chosen).collect())
}

/// A tree that the steps are put into, one after the other, and what is built of it.
struct Place<'a> {
    ctx: &'a Context,
    folder: PathBuf,
    /// Kernels that have booted, by their digest, and those of which step they were.
    booted: BTreeMap<String, usize>,
    _lock: Lock,
}

impl<'a> Place<'a> {
    /// The tree is `source`, with nothing of ours in it.
    fn new(ctx: &'a Context, source: &Source, step: &progress::Step) -> Result<Self> {
        let folder = ctx.cache.join("build").join("series");
        let lock = Lock::take(&ctx.ui, &files::beside(&folder, "lock"), "the series")?;
        // What an interrupted run has left is of files with other times. The compiler's cache
        // has the objects.
        files::remove_all(&folder)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        disk::need(&ctx.cache, DISK_MIB, "the steps of the series")?;
        let place = Self {
            ctx,
            folder,
            booted: BTreeMap::new(),
            _lock: lock,
        };
        tree::copy_to(ctx, source, &place.tree(), &ctx.log("series-tree"), step)?;
        // A tree of the user may have us in it already.
        overlay::reverse(&place.tree())?;
        Ok(place)
    }

    fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Builds the kernel `variant` of the tree as it is. Returns the file Image.
    fn build(&self, variant: Variant, log: &Path, step: &progress::Step) -> Result<PathBuf> {
        let out = self.folder.join(variant.name());
        let like = self.folder.join(Variant::C.name());
        if !out.exists() && like.exists() {
            let mut command = Command::new("cp");
            command.args(["-a", "--reflink=auto"]).arg(like).arg(&out);
            process::run(&mut command, log, step)?;
        }
        let more = match self.tree().join(KCONFIG).exists() {
            true => "",
            false => WITHOUT_KCONFIG,
        };
        kernel::build_of(self.ctx, &self.tree(), (variant, more), &out, log, step)
    }

    /// Boots `image`, the kernel `variant` of the tree as it is, in `mode`.
    fn boot(
        &self,
        built: &Built,
        (number, variant, image): (usize, Variant, &Path),
        mode: Mode,
        step: &progress::Step,
    ) -> Result<()> {
        let has_driver = self.tree().join(KCONFIG).exists();
        let spec = matrix::of_series(variant, mode, has_driver);
        let mut host = built.host(&spec)?;
        host.name = format!("series-{number:02}-{}", host.name);
        host.kernel = image.to_owned();
        let (file, text) = SAYS;
        if !files::read_text(&self.tree().join(file))?.contains(text) {
            host.world_switch = None;
        }
        boot::boot(self.ctx, &host, &built.programs, step)?.check(&host.plan)
    }

    /// Builds and boots the kernel `variant` of step `number`. Returns what the table says.
    fn try_kernel(
        &mut self,
        built: &Built,
        number: usize,
        variant: Variant,
        results: &mut Results,
    ) -> Result<String> {
        let ui = &self.ctx.ui;
        let name = format!("{PREFIX}{number:02}-{}", variant.name());
        let step = ui.step(&name);
        let log = self.ctx.log(&name);
        let image = self.build(variant, &log, &step);
        let (verdict, detail) = Verdict::of_ref(&image);
        step.end(verdict.word());
        let word = verdict.word().to_owned();
        results.add(ui, &name, verdict, &detail);
        let Ok(image) = image else {
            return Ok(word);
        };
        let kernel = digest::of_file(&image)?;
        if let Some(same) = self.booted.get(&kernel) {
            return Ok(format!("as {same}"));
        }
        let hosts = side_by_side(MODES.to_vec(), MODES.len(), |mode| {
            let name = format!("{name}@{}", mode.name());
            let step = ui.step(&name);
            let booted = self.boot(built, (number, variant, &image), mode, &step);
            let (verdict, detail) = Verdict::of(booted);
            step.end(verdict.word());
            (name, verdict, detail)
        });
        let mut all_booted = true;
        for (name, verdict, detail) in hosts {
            all_booted &= verdict == Verdict::Passed;
            results.add(ui, name, verdict, &detail);
        }
        if !all_booted {
            return Ok("does not boot".to_owned());
        }
        self.booted.insert(kernel, number);
        Ok("boots".to_owned())
    }
}

/// How many steps [`add`] takes at most.
pub fn steps_to_come(ctx: &Context) -> Result<usize> {
    let steps = Series::read(&ctx.checkout)?.steps(&Overlay::read(&ctx.checkout)?)?;
    let all: usize = kernels(&steps).iter().map(|of_step| of_step.len()).sum();
    Ok(1 + all * (1 + MODES.len()))
}

/// Builds and boots the steps of the series that `only` names, or all of them if it names
/// none, adds a test for each kernel and each host, and prints what came of them.
pub fn add(ctx: &Context, only: &[usize], results: &mut Results) -> Result<()> {
    let overlay = Overlay::read(&ctx.checkout)?;
    let steps = Series::read(&ctx.checkout)?.steps(&overlay)?;
    let chosen = chosen(only, steps.len())?;
    // The guests are those of this checkout.
    let built = Built::new(ctx, &[Variant::Rust, Variant::C], false)?;
    let step = ctx.ui.step("tree of the series");
    let mut place = Place::new(ctx, &source::find(ctx)?, &step)?;
    step.end("without the series");
    let mut rows = Vec::new();
    for ((number, step), kernels) in (1..).zip(&steps).zip(kernels(&steps)) {
        step.apply(&place.tree(), &overlay)?;
        if !chosen.contains(&number) {
            continue;
        }
        let mut row = vec![number.to_string(), step.subject.clone()];
        for &variant in kernels {
            row.push(place.try_kernel(&built, number, variant, results)?);
        }
        row.resize(4, "-".to_owned());
        rows.push(row);
    }
    let head = ["step", "subject", "without the option", "with it"];
    print!("\n{}", table::render(&head, &rows));
    // The compiler's cache has what the next run needs.
    files::remove_all(&place.folder)
}

/// `xtask patches --boot`. True if all held.
pub fn run(ctx: &Context, only: &[usize]) -> Result<bool> {
    ctx.ui.expect(steps_to_come(ctx)?);
    let mut results = Results::default();
    add(ctx, only, &mut results)?;
    println!("logs: {}", ctx.logs.display());
    println!("{}", results.summary());
    Ok(results.held())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn the_option_is_off_until_there_is_one_and_then_both() {
        let overlay = Overlay::read(checkout()).unwrap();
        let steps = Series::read(checkout()).unwrap().steps(&overlay).unwrap();
        let kernels = kernels(&steps);
        assert_eq!(kernels.len(), steps.len());
        assert_eq!(kernels[0], [Variant::C]);
        assert_eq!(kernels[steps.len() - 1], [Variant::C, Variant::Rust]);
        assert!(kernels.is_sorted_by_key(|of_step| of_step.len()));
    }

    #[test]
    fn what_host_config_has_of_our_kconfig_is_taken_back() {
        let options = |text: &str| -> Vec<String> {
            let names = text.lines().filter_map(|line| line.strip_prefix("CONFIG_"));
            let names = names.filter_map(|line| line.split_once('='));
            names.map(|(name, _)| name.to_owned()).collect()
        };
        let ours = files::read_text(&checkout().join("Kconfig")).unwrap();
        let is_ours = |name: &String| ours.contains(&format!("config {name}\n"));
        let config = files::read_text(&checkout().join("scripts/config/host.config")).unwrap();
        let mut wanted: Vec<String> = options(&config).into_iter().filter(is_ours).collect();
        let mut taken = options(WITHOUT_KCONFIG);
        wanted.sort();
        taken.sort();
        assert_eq!(taken, wanted);
    }

    #[test]
    fn the_last_step_says_what_it_is() {
        let overlay = Overlay::read(checkout()).unwrap();
        let (file, text) = SAYS;
        let adds = |(_, patch): &(String, String)| {
            patch.contains(&format!("+++ b/{file}\n")) && patch.contains(&format!("\n+{text}"))
        };
        assert_eq!(
            overlay.patches.iter().filter(|patch| adds(patch)).count(),
            1
        );
    }

    #[test]
    fn unknown_steps_are_refused() {
        assert_eq!(chosen(&[], 3).unwrap(), [1, 2, 3]);
        assert_eq!(chosen(&[3, 1], 3).unwrap(), [1, 3]);
        let error = chosen(&[4], 3).unwrap_err();
        assert_eq!(error.to_string(), "the series has no step 4");
        assert!(chosen(&[0], 3).is_err());
    }
}
