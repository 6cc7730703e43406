// SPDX-License-Identifier: GPL-2.0
//! `make run`: one Rust host with guests on it, and what happened.

use crate::boot::{self, Outcome};
use crate::contest::{self, Guests, Report};
use crate::context::Context;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::{Plan, Step, Verdict};
use crate::prepare::{self, Built, Spec};
use crate::process;
use crate::table;
use anyhow::Result;

/// How long the registers are worked on.
const SECONDS: u64 = 15;
/// Time for the guests to boot.
const ALLOWANCE_S: u64 = 180;

/// Boots the host and runs the contest. True if all held.
pub fn run(ctx: &Context, mode: Mode, cpu: Cpu) -> Result<bool> {
    cpu.check(mode)?;
    let variants = [Variant::Rust];
    ctx.ui
        .expect(prepare::steps_to_come(ctx, &variants, false) + 1);
    let built = Built::new(ctx, &variants, false)?;
    let mut steps = vec![
        contest::step(Guests::Ordinary, SECONDS, ALLOWANCE_S),
        contest::step(Guests::Qemu, SECONDS, ALLOWANCE_S),
    ];
    if mode == Mode::Protected {
        steps.push(contest::step(Guests::Protected, SECONDS, ALLOWANCE_S));
    }
    if mode == Mode::Nested {
        steps.push(contest::step(
            Guests::Nested,
            SECONDS,
            contest::NESTED_ALLOWANCE_S,
        ));
    }
    let spec = Spec {
        variant: Variant::Rust,
        mode,
        cpu,
        vector_lengths: VectorLengths::All,
        lpa2: true,
        parameters: String::new(),
        plan: Plan::of(steps),
    };
    let step = ctx.ui.step(&format!("host {}", spec.name()));
    let outcome = boot::boot(ctx, &built.host(&spec)?, &built.programs, &step)?;
    step.end("done");
    let (rows, problems) = judge(&spec, &outcome);
    let head = [
        "step",
        "mode",
        "CPU",
        "guests",
        "guest boot",
        "checks run",
        "corruptions found",
        "result",
    ];
    print!("\n{}", table::render(&head, &rows));
    if problems.is_empty() {
        return Ok(true);
    }
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    eprint!("{}", process::tail(&outcome.log, 15));
    eprintln!("log: {}", outcome.log.display());
    Ok(false)
}

fn judge(spec: &Spec, outcome: &Outcome) -> (Vec<Vec<String>>, Vec<String>) {
    let mut problems = outcome.problems.clone();
    problems.extend(outcome.warnings.iter().map(|w| format!("kernel: {w}")));
    let mut rows = Vec::new();
    for step in &spec.plan.steps {
        let end = outcome.ends.iter().find(|e| e.name == step.name);
        let absent = || Verdict::Failed("did not run".to_owned());
        let verdict = end.map_or_else(absent, contest::verdict);
        let result = match &verdict {
            Verdict::Passed => "held",
            Verdict::Failed(_) | Verdict::Skipped(_) => "FAILED",
        };
        if let Verdict::Failed(why) | Verdict::Skipped(why) = &verdict {
            problems.push(format!("{}: {why}", step.name));
        }
        let report = end.and_then(Report::of);
        let of = |f: &dyn Fn(&Report) -> String| report.as_ref().map_or("-".to_owned(), f);
        rows.push(vec![
            step.name.clone(),
            spec.mode.name().to_owned(),
            spec.cpu.name().to_owned(),
            of(&|r| r.guests.to_string()),
            of(&Report::boot_times),
            of(&|r| r.checks().to_string()),
            of(&|r| r.corruptions().to_string()),
            result.to_owned(),
        ]);
    }
    (rows, problems)
}

/// Boots a host and runs one program on it, for work on the code. The host's
/// console goes to the log, whose path is printed. True if all held.
pub fn boot_one(
    ctx: &Context,
    variant: Variant,
    mode: Mode,
    cpu: Cpu,
    parameters: &str,
    program: &[String],
    timeout_s: u64,
) -> Result<bool> {
    cpu.check(mode)?;
    let built = Built::new(ctx, &[variant], false)?;
    let argv: Vec<&str> = program.iter().map(String::as_str).collect();
    let steps = if argv.is_empty() {
        Vec::new()
    } else {
        vec![Step::new("program", &argv, timeout_s)]
    };
    let spec = Spec {
        variant,
        mode,
        cpu,
        vector_lengths: VectorLengths::All,
        lpa2: true,
        parameters: parameters.to_owned(),
        plan: Plan::of(steps),
    };
    let step = ctx.ui.step(&format!("host {}", spec.name()));
    let outcome = boot::boot(ctx, &built.host(&spec)?, &built.programs, &step)?;
    step.end(&format!("up after {} ms", outcome.boot_ms));
    let mut held = outcome.problems.is_empty() && outcome.warnings.is_empty();
    for end in &outcome.ends {
        print!("{}", end.output_tail);
        println!("{}: {:?}", end.name, end.verdict());
        held &= end.verdict() == Verdict::Passed;
    }
    for problem in outcome.problems.iter().chain(&outcome.warnings) {
        eprintln!("error: {problem}");
    }
    eprintln!("log: {}", outcome.log.display());
    Ok(held)
}
