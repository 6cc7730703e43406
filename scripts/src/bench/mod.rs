// SPDX-License-Identifier: GPL-2.0
//! `make bench`: what C and Rust execute for each exit of a guest, in each mode,
//! and whether that is as required.
//!
//! Hosts boot with the TCG plugin of the traces. What a figure is of is the window
//! with the median length among the thousands that a guest causes.

mod assembly;
mod figures;
mod limits;
mod mca;
mod picture;
mod show;
mod sizes;
mod stable;

use crate::context::Context;
use crate::files;
use crate::host::{Cpu, Mode};
use crate::kernel::Variant;
use crate::prepare::{self, Built};
use crate::trace::{self, Exit, Tracer, Windows};
use anyhow::{ensure, Context as _, Result};
use figures::{Figure, Report};
use limits::Limits;
use picture::Quantity;
use std::path::Path;

/// What the kernels that are measured are configured with besides, in scripts/config/:
/// they preempt themselves as Linux does by default.
const FRAGMENT: &str = "lazy.config";

/// Both kernels in one mode.
fn measure(
    ctx: &Context,
    built: &Built,
    tracer: &Tracer,
    (mode, cpu): (Mode, Cpu),
    exits: &[Exit],
) -> Result<[Windows; 2]> {
    let step = ctx.ui.step(&format!("bench-{}", mode.name()));
    let windows = tracer.measure(ctx, built, (mode, cpu), exits, &step);
    step.end(match &windows {
        Ok(_) => "counted",
        Err(_) => "FAILED",
    });
    windows
}

/// Measures, shows and judges. True if all is as required, and, where that is
/// asked for, a second run counts the same.
pub fn bench(
    ctx: &Context,
    cpu: Cpu,
    modes: &[Mode],
    exits: &[Exit],
    output: Option<&Path>,
    check_stable: bool,
) -> Result<bool> {
    for &mode in modes {
        cpu.check(mode)?;
    }
    let mut exits = exits.to_vec();
    exits.retain(|exit| exit.is_on(cpu));
    ensure!(!exits.is_empty(), "there is no such exit on {}", cpu.name());
    let ctx = &ctx.with_fragment(FRAGMENT)?;
    let limits = Limits::read(&ctx.scripts().join(limits::PATH))?;
    let runs = if check_stable { 2 } else { 1 };
    let building = prepare::steps_to_come(ctx, &trace::KERNELS, false) + trace::steps_to_come();
    ctx.ui.expect(building + runs * modes.len());
    let built = Built::new(ctx, &trace::KERNELS, false)?;
    let tracer = Tracer::new(ctx, &built)?;
    let workplace = tempfile::tempdir().context("cannot make a folder for LLVM")?;

    let kernels = (built.kernel(Variant::C)?, built.kernel(Variant::Rust)?);
    let mut report = Report {
        cpu,
        figures: Vec::new(),
        sizes: sizes::of(kernels.0, kernels.1, workplace.path())?,
        estimates_note: mca::NOTE.to_owned(),
        estimates: Vec::new(),
    };
    let mut again = Vec::new();
    for &mode in modes {
        let windows = measure(ctx, &built, &tracer, (mode, cpu), &exits)?;
        report.figures.extend(Figure::of_mode(mode, &windows));
        let estimates = mca::estimate(mode, &windows, workplace.path())?;
        report.estimates.extend(estimates);
        if check_stable {
            let windows = measure(ctx, &built, &tracer, (mode, cpu), &exits)?;
            again.extend(Figure::of_mode(mode, &windows));
        }
    }

    println!("\n{}", show::tables(&report, &limits));
    write(&report, output.unwrap_or(&ctx.logs))?;
    let mut faults = limits.faults(&report);
    if check_stable {
        faults.extend(stable::faults(&report.figures, &again));
    }
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    if !faults.is_empty() {
        eprintln!(
            "hint: scripts/{} has what is required; bench.json has the counts of each function",
            limits::PATH
        );
    }
    Ok(faults.is_empty())
}

/// Writes what was measured, and pictures of it.
fn write(report: &Report, folder: &Path) -> Result<()> {
    let json = folder.join("bench.json");
    files::write_atomic(&json, &serde_json::to_vec_pretty(report)?)?;
    println!("numbers and functions: {}", json.display());
    for quantity in Quantity::ALL {
        let Some(picture) = picture::svg(report, quantity)? else {
            continue;
        };
        let svg = folder.join(quantity.file());
        files::write_atomic(&svg, picture.as_bytes())?;
        println!("picture: {}", svg.display());
    }
    Ok(())
}
