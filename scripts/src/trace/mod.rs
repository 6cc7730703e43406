// SPDX-License-Identifier: GPL-2.0
//! `make trace`: what C and Rust do from a guest's exit to its next entry,
//! side by side.
//!
//! Both kernels boot with the TCG plugin in scripts/trace-plugin and run the
//! guests of selftests/exits. The most common window of each kind of exit is
//! what is compared: interrupts of the host make others.

mod allowed;
mod compare;
mod exit;
mod image;
mod insn;
mod names;
mod plugin;
mod recording;
mod window;

use crate::boot::{self, Outcome};
use crate::context::Context;
use crate::error::hinted;
use crate::host::{Cpu, Mode};
use crate::kernel::Variant;
use crate::plan::{Plan, Verdict};
use crate::prepare::{self, Built, Spec};
use crate::{files, process, source, table};
use allowed::{Allowed, Place};
use anyhow::{Context as _, Result};
use exit::Exit;
use image::Image;
use names::Names;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use window::Window;

/// Where the wanted differences are listed, in scripts/.
const ALLOWED: &str = "trace-differences.toml";
/// The windows of one kind must be the same in so many of a hundred cases, or
/// the most common one says little.
const LEAST_SHARE: u64 = 20;

/// The most common windows of one kernel.
type Windows = BTreeMap<Exit, Window>;

/// Reads the user's EXIT; an unknown one lists those there are.
pub fn exits(value: &str) -> Result<Vec<Exit>> {
    if value == "all" {
        return Ok(Exit::ALL.to_vec());
    }
    match Exit::ALL.into_iter().find(|e| e.name() == value) {
        Some(exit) => Ok(vec![exit]),
        None => Err(hinted(
            format!("EXIT={value} is not known"),
            format!(
                "EXIT is one of: all {}",
                Exit::ALL.map(Exit::name).join(" ")
            ),
        )),
    }
}

/// What was measured, for machines.
#[derive(Serialize)]
struct Measured<'a> {
    mode: &'a str,
    cpu: &'a str,
    c: &'a Windows,
    rust: &'a Windows,
}

/// Compares C and Rust. True if they differ in nothing but what is listed.
pub fn trace(ctx: &Context, mode: Mode, cpu: Cpu, exits: &[Exit]) -> Result<bool> {
    cpu.check(mode)?;
    let allowed = Allowed::read(&ctx.scripts().join(ALLOWED))?;
    let variants = [Variant::C, Variant::Rust];
    let building = prepare::steps_to_come(ctx, &variants, false);
    ctx.ui.expect(building + 1 + variants.len());
    let names = Names::of_tree(&source::find(ctx)?.path)?;
    let built = Built::new(ctx, &variants, false)?;
    let plugin = plugin::build(ctx)?;
    let record = |variant| {
        let spec = Spec {
            variant,
            mode,
            cpu,
            // The plugin looks for the kernel where vmlinux says it is.
            parameters: "nokaslr".to_owned(),
            plan: Plan {
                steps: exits.iter().map(|e| e.step()).collect(),
            },
        };
        windows(ctx, &built, &plugin, &names, &spec, exits)
            .with_context(|| format!("host {}", spec.name()))
    };
    let (c, rust) = (record(Variant::C)?, record(Variant::Rust)?);

    let measured = ctx
        .logs
        .join(format!("trace-{}-{}.json", mode.name(), cpu.name()));
    let json = serde_json::to_vec(&Measured {
        mode: mode.name(),
        cpu: cpu.name(),
        c: &c,
        rust: &rust,
    })?;
    files::write_atomic(&measured, &json)?;

    let mut faults = Vec::new();
    for &exit in exits {
        let place = Place { mode, cpu, exit };
        faults.extend(show(place, &c[&exit], &rust[&exit], &allowed));
    }
    println!("\n{}", summary(exits, &c, &rust));
    println!("numbers and traces: {}", measured.display());
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    if !faults.is_empty() {
        eprintln!("hint: scripts/{ALLOWED} lists the differences that are wanted, with reasons");
    }
    Ok(faults.is_empty())
}

/// Boots a host and returns the most common window of each exit.
fn windows(
    ctx: &Context,
    built: &Built,
    plugin: &Path,
    names: &Names,
    spec: &Spec,
    exits: &[Exit],
) -> Result<Windows> {
    let kernel = built.kernel(spec.variant)?;
    let image = Image::read(&kernel.vmlinux, &kernel.image)?;
    let output = ctx
        .log(&format!("recording-{}", spec.name()))
        .with_extension("json");
    let mut host = built.host(spec)?;
    // One CPU, so that nothing happens beside the vCPU.
    host.cpus = 1;
    host.qemu_arguments = plugin::arguments(plugin, &image, spec.mode, &output)?;
    // Time passes with the instructions and not with this machine's clock, so
    // the host's own timer interrupts fall into few windows. An idle host waits
    // for the disk in real time: with sleep=off it would skip to its time-outs.
    host.qemu_arguments
        .extend(["-icount", "shift=0"].map(Into::into));
    let step = ctx.ui.step(&format!("host {}", spec.name()));
    let outcome = boot::boot(ctx, &host, &built.programs, &step)?;
    step.end(&format!("{} kinds of exit recorded", outcome.ends.len()));
    check(&outcome)?;

    let bytes = fs::read(&output).with_context(|| format!("cannot read {}", output.display()))?;
    let recording = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a recording", output.display()))?;
    files::remove_all(&output)?;
    let mut windows = Windows::new();
    for &exit in exits {
        let window =
            Window::of(&recording, exit.marker(), &image, names).with_context(|| exit.name())?;
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
        "the whole story is in the log",
    ))
}

/// Prints the comparison of one exit, and returns what is wrong with it.
fn show(place: Place, c: &Window, rust: &Window, allowed: &Allowed) -> Vec<String> {
    let stretches = compare::compare(&c.trace, &rust.trace);
    println!(
        "\n{} in {} on {}: seen in {} of {} windows with C, {} of {} with Rust",
        place.exit.name(),
        place.mode.name(),
        place.cpu.name(),
        c.same,
        c.all,
        rust.same,
        rust.all
    );
    print!(
        "{}",
        compare::render(&stretches, |d| allowed.reason(place, d))
    );
    let rows: Vec<Vec<String>> = c
        .counts
        .rows()
        .into_iter()
        .zip(rust.counts.rows())
        .map(|((name, c), (_, rust))| row(name, c, rust))
        .collect();
    println!("\n{}", table::render(&["", "C", "Rust", "Rust / C"], &rows));

    let found: Vec<_> = stretches.iter().filter_map(|s| s.difference()).collect();
    let name = format!("{} in {}", place.exit.name(), place.mode.name());
    let unknown = found
        .iter()
        .filter(|d| allowed.reason(place, d).is_none())
        .map(|d| format!("{name}: a difference that is not listed: {d}"));
    let stale = allowed.stale(place, &found);
    let stale = stale
        .iter()
        .map(|d| format!("{name}: a listed difference that does not occur: {d}"));
    unknown.chain(stale).collect()
}

fn row(name: &str, c: u64, rust: u64) -> Vec<String> {
    let ratio = match c {
        0 => "-".to_owned(),
        c => format!("{:.3}", rust as f64 / c as f64),
    };
    vec![name.to_owned(), c.to_string(), rust.to_string(), ratio]
}

/// Instructions of all exits.
fn summary(exits: &[Exit], c: &Windows, rust: &Windows) -> String {
    let rows: Vec<Vec<String>> = exits
        .iter()
        .map(|exit| {
            let of = |windows: &Windows| windows[exit].counts.instructions;
            row(exit.name(), of(c), of(rust))
        })
        .collect();
    table::render(&["instructions", "C", "Rust", "Rust / C"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_all_or_one() {
        assert_eq!(exits("all").unwrap(), Exit::ALL);
        assert_eq!(exits("vmm-mmio").unwrap(), [Exit::VmmMmio]);
        let error = exits("mmio").unwrap_err();
        assert_eq!(
            crate::error::hint(&error),
            Some("EXIT is one of: all hypercall vgic-mmio vmm-mmio timer")
        );
    }

    #[test]
    fn ratios_need_something_to_compare_with() {
        assert_eq!(row("ISB", 4, 3), ["ISB", "4", "3", "0.750"]);
        assert_eq!(row("ISB", 0, 3)[3], "-");
    }
}
