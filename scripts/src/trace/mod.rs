// SPDX-License-Identifier: GPL-2.0
//! What C and Rust do from a guest's exit to its next entry: `make trace`
//! shows it side by side, `make test` tests that they do the same.
//!
//! Both kernels boot with the TCG plugin in scripts/trace-plugin and run the
//! guests of selftests/exits. The most common window of each kind of exit is
//! what is compared: interrupts of the host make others.

mod allowed;
mod compare;
mod exit;
mod image;
pub mod insn;
mod judge;
pub mod names;
mod plugin;
mod recording;
mod tracer;
mod window;

pub use allowed::{Allowed, Entry};
pub use exit::Exit;
pub use judge::{table, Costs};
pub use tracer::{Tracer, ALLOWED};
pub use window::{Counts, Function, Window};

use crate::context::Context;
use crate::error::hinted;
use crate::host::{Cpu, Mode};
use crate::kernel::Variant;
use crate::prepare::{self, Built};
use crate::{files, table as text_table};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;

/// A window of each exit, of one kernel.
pub type Windows = BTreeMap<Exit, Window>;

/// The kernels that are compared.
pub const KERNELS: [Variant; 2] = [Variant::C, Variant::Rust];

/// What C and Rust do in one mode on one CPU, at the same exits.
#[derive(Debug)]
pub struct Traces {
    /// How KVM ran.
    pub mode: Mode,
    /// On which CPU.
    pub cpu: Cpu,
    c: Windows,
    rust: Windows,
    /// What went wrong with a boot of the C host before the one that counts.
    pub before: Option<String>,
}

/// Reads the user's EXIT, which is one of `all` or all of them; an unknown one
/// lists those there are.
pub fn exits(value: &str, all: &[Exit]) -> Result<Vec<Exit>> {
    if value == "all" {
        return Ok(all.to_vec());
    }
    match all.iter().find(|e| e.name() == value) {
        Some(exit) => Ok(vec![*exit]),
        None => {
            let names: Vec<&str> = all.iter().map(|e| e.name()).collect();
            Err(hinted(
                format!("EXIT={value} is not known"),
                format!("EXIT is one of: all {}", names.join(" ")),
            ))
        }
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

/// Name of the test in `mode`, and of its progress.
pub fn name(mode: Mode) -> String {
    format!("trace-{}", mode.name())
}

/// How many steps what is needed on top of kernels and images takes.
pub fn steps_to_come() -> usize {
    // The plugin.
    1
}

/// `make test`: compares C and Rust at all exits in `mode` on the CPU that has
/// everything. Without `recall`, C is recorded in any case.
pub fn record(
    ctx: &Context,
    built: &Built,
    tracer: &Tracer,
    mode: Mode,
    recall: bool,
) -> Result<Traces> {
    let step = ctx.ui.step(&name(mode));
    let traces = tracer.trace(ctx, built, (mode, Cpu::Max), &Exit::TRACED, recall, &step);
    step.end(&match &traces {
        Ok(traces) => traces.in_short(&tracer.allowed),
        Err(error) => format!("{error:#}"),
    });
    traces
}

/// `make trace`: shows C and Rust side by side. True if nothing is wrong.
pub fn trace(ctx: &Context, mode: Mode, cpu: Cpu, exits: &[Exit]) -> Result<bool> {
    cpu.check(mode)?;
    let building = prepare::steps_to_come(ctx, &KERNELS, false) + steps_to_come();
    ctx.ui.expect(building + 1);
    let built = Built::new(ctx, &KERNELS, false)?;
    let tracer = Tracer::new(ctx, &built)?;
    let step = ctx.ui.step(&name(mode));
    let traces = tracer.trace(ctx, &built, (mode, cpu), exits, true, &step)?;
    step.end("recorded");

    let measured = ctx
        .logs
        .join(format!("trace-{}-{}.json", mode.name(), cpu.name()));
    let json = serde_json::to_vec(&Measured {
        mode: mode.name(),
        cpu: cpu.name(),
        c: &traces.c,
        rust: &traces.rust,
    })?;
    files::write_atomic(&measured, &json)?;

    for exit in traces.exits() {
        show(&tracer, &traces, exit);
    }
    println!("\n{}", summary(&traces));
    println!("numbers and traces: {}", measured.display());
    let faults = traces.faults(&tracer.allowed);
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    if !faults.is_empty() {
        eprintln!(
            "hint: scripts/{} lists the differences that are wanted, with reasons",
            tracer::ALLOWED
        );
    }
    Ok(faults.is_empty())
}

/// Prints the comparison of one exit.
fn show(tracer: &Tracer, traces: &Traces, exit: Exit) {
    let (c, rust) = (&traces.c[&exit], &traces.rust[&exit]);
    println!(
        "\n{} in {} on {}: seen in {} of {} windows with C, {} of {} with Rust",
        exit.name(),
        traces.mode.name(),
        traces.cpu.name(),
        c.same,
        c.all,
        rust.same,
        rust.all
    );
    let comparison = traces.at(exit);
    print!(
        "{}",
        compare::render(&comparison.stretches, |stretch| tracer
            .allowed
            .reason(comparison.place, stretch))
    );
    let rows: Vec<Vec<String>> = c
        .counts
        .rows()
        .into_iter()
        .zip(rust.counts.rows())
        .map(|((name, c), (_, rust))| row(name, c, rust))
        .collect();
    println!(
        "\n{}",
        text_table::render(&["", "C", "Rust", "Rust / C"], &rows)
    );
}

fn row(name: &str, c: u64, rust: u64) -> Vec<String> {
    let ratio = match c {
        0 => "-".to_owned(),
        c => format!("{:.3}", rust as f64 / c as f64),
    };
    vec![name.to_owned(), c.to_string(), rust.to_string(), ratio]
}

/// Instructions of all exits.
fn summary(traces: &Traces) -> String {
    let rows: Vec<Vec<String>> = traces
        .exits()
        .map(|exit| {
            let of = |windows: &Windows| windows[&exit].counts.instructions;
            row(exit.name(), of(&traces.c), of(&traces.rust))
        })
        .collect();
    text_table::render(&["instructions", "C", "Rust", "Rust / C"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_all_or_one() {
        assert_eq!(exits("all", &Exit::TRACED).unwrap(), Exit::TRACED);
        assert_eq!(exits("vmm-mmio", &Exit::TRACED).unwrap(), [Exit::VmmMmio]);
        assert_eq!(exits("ipi", &Exit::ALL).unwrap(), [Exit::Ipi]);
        assert!(exits("ipi", &Exit::TRACED).is_err());
        let error = exits("mmio", &Exit::TRACED).unwrap_err();
        assert_eq!(
            crate::error::hint(&error),
            Some("EXIT is one of: all hypercall vgic-mmio vmm-mmio timer first-fp")
        );
    }

    #[test]
    fn ratios_need_something_to_compare_with() {
        assert_eq!(row("ISB", 4, 3), ["ISB", "4", "3", "0.750"]);
        assert_eq!(row("ISB", 0, 3)[3], "-");
    }
}
