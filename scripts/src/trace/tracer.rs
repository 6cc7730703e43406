// SPDX-License-Identifier: GPL-2.0
//! Boots hosts with the TCG plugin and takes the most common window of each
//! exit from what it recorded.

use super::allowed::Allowed;
use super::exit::Exit;
use super::image::Image;
use super::names::Names;
use super::window::Window;
use super::{plugin, Traces, Windows};
use crate::boot::{self, Host, Outcome};
use crate::context::Context;
use crate::error::hinted;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::{Plan, Verdict};
use crate::prepare::{Built, Spec};
use crate::progress::Step;
use crate::{digest, files, process, reference, source};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the wanted differences are listed, in scripts/.
pub const ALLOWED: &str = "trace-differences.toml";
/// The windows of one kind must be the same in so many of a hundred cases, or
/// the most common one says little.
const LEAST_SHARE: u64 = 20;

/// What recording needs next to the hosts.
#[derive(Debug)]
pub struct Tracer {
    names: Names,
    plugin: PathBuf,
    kernels: BTreeMap<Variant, Image>,
    /// The differences that are wanted.
    pub allowed: Allowed,
}

/// What was recorded on one host.
struct Recorded {
    windows: Windows,
    /// What went wrong with a boot before this one.
    before: Option<String>,
}

impl Tracer {
    /// Builds the plugin, and reads the lists and the symbols of both kernels.
    pub fn new(ctx: &Context, built: &Built) -> Result<Self> {
        let mut kernels = BTreeMap::new();
        for variant in [Variant::C, Variant::Rust] {
            let kernel = built.kernel(variant)?;
            kernels.insert(variant, Image::read(&kernel.vmlinux, &kernel.image)?);
        }
        Ok(Self {
            names: Names::of_tree(&source::find(ctx)?.path)?,
            allowed: Allowed::read(&ctx.scripts().join(ALLOWED))?,
            plugin: plugin::build(ctx)?,
            kernels,
        })
    }

    /// Records `exits` with C, then with Rust. What C did is only looked up
    /// where `recall` and an earlier run recorded the same host.
    pub fn trace(
        &self,
        ctx: &Context,
        built: &Built,
        place: (Mode, Cpu),
        exits: &[Exit],
        recall: bool,
        step: &Step,
    ) -> Result<Traces> {
        let (mode, cpu) = place;
        let record = |variant| {
            let spec = spec(variant, place, exits);
            self.record(ctx, built, &spec, exits, recall, step)
                .with_context(|| format!("host {}", spec.name()))
        };
        let c = record(Variant::C)?;
        let rust = record(Variant::Rust)?;
        Ok(Traces {
            mode,
            cpu,
            c: c.windows,
            rust: rust.windows,
            before: c.before,
        })
    }

    /// Boots C, then Rust, and takes the window of each exit that has the median
    /// length.
    pub fn measure(
        &self,
        ctx: &Context,
        built: &Built,
        place: (Mode, Cpu),
        exits: &[Exit],
        step: &Step,
    ) -> Result<[Windows; 2]> {
        let measure = |variant| {
            let spec = spec(variant, place, exits);
            self.record_now(ctx, built, &spec, step)
                .and_then(|recording| self.medians(variant, &recording, exits))
                .with_context(|| format!("host {}", spec.name()))
        };
        Ok([measure(Variant::C)?, measure(Variant::Rust)?])
    }

    /// The host of `spec` with a plugin that writes to `output`.
    fn host(&self, built: &Built, spec: &Spec, plugin: &Path, output: &Path) -> Result<Host> {
        let image = &self.kernels[&spec.variant];
        let mut qemu_arguments = plugin::arguments(plugin, image, spec.mode, output)?;
        // Time passes with the instructions and not with this machine's clock,
        // so the host's own timer interrupts fall into few windows. An idle
        // host waits for the disk in real time: with sleep=off it would skip to
        // its time-outs.
        qemu_arguments.extend(["-icount", "shift=0"].map(Into::into));
        Ok(Host {
            name: format!("trace-{}", spec.name()),
            // One, so that nothing happens beside the vCPU.
            cpus: 1,
            qemu_arguments,
            ..built.host(spec)?
        })
    }

    /// Boots a host, or looks up what it recorded in an earlier run.
    fn record(
        &self,
        ctx: &Context,
        built: &Built,
        spec: &Spec,
        exits: &[Exit],
        recall: bool,
        step: &Step,
    ) -> Result<Recorded> {
        let output = output(ctx, spec);
        if spec.variant != Variant::C {
            let recording = self.record_now(ctx, built, spec, step)?;
            return Ok(Recorded {
                windows: self.windows(spec.variant, &recording, exits)?,
                before: None,
            });
        }
        let host = self.host(built, spec, &self.plugin, &output)?;
        // Not where the plugin is and writes to, but what it is.
        let digest = digest::of_file(&self.plugin)?;
        let anywhere = self.host(built, spec, Path::new(&digest), Path::new("-"))?;
        let identity = boot::identity(&anywhere, &built.programs)?;
        if let Some(recording) = recall
            .then(|| reference::recall_recording(ctx, &identity))
            .flatten()
        {
            return Ok(Recorded {
                windows: self.windows(spec.variant, &recording, exits)?,
                before: None,
            });
        }
        let outcome = reference::boot(ctx, host, &built.programs, step)?;
        check(&outcome)?;
        let recording = take(&output)?;
        let windows = self.windows(spec.variant, &recording, exits)?;
        reference::keep_recording(ctx, &identity, &recording)?;
        Ok(Recorded {
            windows,
            before: outcome.before,
        })
    }

    /// Boots a host, and returns what was recorded.
    fn record_now(
        &self,
        ctx: &Context,
        built: &Built,
        spec: &Spec,
        step: &Step,
    ) -> Result<Vec<u8>> {
        let output = output(ctx, spec);
        let host = self.host(built, spec, &self.plugin, &output)?;
        check(&boot::boot(ctx, &host, &built.programs, step)?)?;
        take(&output)
    }

    /// The window of each exit that has the median length.
    fn medians(&self, variant: Variant, recording: &[u8], exits: &[Exit]) -> Result<Windows> {
        let recording =
            serde_json::from_slice(recording).context("the plugin wrote no recording")?;
        let image = &self.kernels[&variant];
        let median = |&exit: &Exit| {
            let window = Window::median(&recording, exit, image, &self.names)
                .with_context(|| exit.name())?;
            Ok((exit, window))
        };
        exits.iter().map(median).collect()
    }

    /// The most common window of each exit.
    fn windows(&self, variant: Variant, recording: &[u8], exits: &[Exit]) -> Result<Windows> {
        let recording =
            serde_json::from_slice(recording).context("the plugin wrote no recording")?;
        let mut windows = Windows::new();
        for &exit in exits {
            let image = &self.kernels[&variant];
            let window =
                Window::of(&recording, exit, image, &self.names).with_context(|| exit.name())?;
            anyhow::ensure!(
                100 * window.same >= LEAST_SHARE * window.all,
                "{}: only {} of {} windows are the same",
                exit.name(),
                window.same,
                window.all
            );
            windows.insert(exit, window);
        }
        Ok(windows)
    }
}

/// The host with `variant` on which `exits` are recorded.
fn spec(variant: Variant, (mode, cpu): (Mode, Cpu), exits: &[Exit]) -> Spec {
    Spec {
        variant,
        mode,
        cpu,
        vector_lengths: VectorLengths::All,
        lpa2: true,
        // The plugin looks for the kernel where vmlinux says it is.
        parameters: "nokaslr".to_owned(),
        plan: Plan::of(exits.iter().map(|e| e.step()).collect()),
    }
}

/// Where the plugin writes what it recorded on the host of `spec`.
fn output(ctx: &Context, spec: &Spec) -> PathBuf {
    ctx.log(&format!("recording-{}", spec.name()))
        .with_extension("json")
}

/// Takes what the plugin wrote.
fn take(output: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(output).with_context(|| format!("cannot read {}", output.display()))?;
    files::remove_all(output)?;
    Ok(bytes)
}

/// Fails unless the host and all its guests did what they should.
fn check(outcome: &Outcome) -> Result<()> {
    let mut problems = outcome.problems.clone();
    problems.extend(outcome.warnings.iter().map(|w| format!("kernel: {w}")));
    for end in &outcome.ends {
        if let Verdict::Failed(why) | Verdict::Skipped(why) = end.verdict() {
            problems.push(format!("{}: {why}: {}", end.name, end.output_tail.trim()));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(hinted(
        format!(
            "{}\n{}log: {}",
            problems.join("; "),
            process::tail(&outcome.log, 8),
            outcome.log.display()
        ),
        "what the host printed before it stopped says why",
    ))
}
