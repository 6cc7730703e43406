// SPDX-License-Identifier: GPL-2.0
//! `make run`: one Rust host with guests on it, and what happened.

use crate::boot::{self, Host, Outcome};
use crate::contest::{self, Guests, Report};
use crate::context::Context;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::{Plan, Step, Verdict};
use crate::prepare::{self, Built, Spec};
use crate::process;
use crate::table;
use anyhow::Result;
use std::time::Duration;

/// How long the registers are worked on.
const SECONDS: u64 = 15;
/// Time for the guests to boot.
const ALLOWANCE_S: u64 = 180;
/// Where a debugger finds a host that waits for one.
const GDB: &str = "localhost:1234";
/// How long such a host may take for anything.
const DEBUGGED: Duration = Duration::from_secs(24 * 3600);

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
    eprintln!("hint: if the log does not say why, Documentation/debugging.rst has what to try");
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

/// A host with a program, for work on the code.
#[derive(Debug, Clone)]
pub struct One {
    /// Its kernel.
    pub variant: Variant,
    /// How KVM runs.
    pub mode: Mode,
    /// On which CPU.
    pub cpu: Cpu,
    /// Further kernel parameters.
    pub parameters: String,
    /// The program and its arguments; none if it is empty.
    pub program: Vec<String>,
    /// Seconds before the program is killed.
    pub timeout_s: u64,
    /// Whether the host waits for a debugger before its first instruction.
    pub gdb: bool,
}

/// Boots a host and runs one program on it. The host's console goes to the log,
/// whose path is printed. True if all held.
pub fn boot_one(ctx: &Context, one: &One) -> Result<bool> {
    one.cpu.check(one.mode)?;
    let built = Built::new(ctx, &[one.variant], false)?;
    let argv: Vec<&str> = one.program.iter().map(String::as_str).collect();
    let timeout_s = match one.gdb {
        true => DEBUGGED.as_secs(),
        false => one.timeout_s,
    };
    let steps = if argv.is_empty() {
        Vec::new()
    } else {
        vec![Step::new("program", &argv, timeout_s)]
    };
    let spec = Spec {
        variant: one.variant,
        mode: one.mode,
        cpu: one.cpu,
        vector_lengths: VectorLengths::All,
        lpa2: true,
        parameters: one.parameters.clone(),
        plan: Plan::of(steps),
    };
    let mut host = built.host(&spec)?;
    if one.gdb {
        wait_for_debugger(&mut host);
        let vmlinux = built.kernel(one.variant)?.vmlinux.display();
        ctx.ui.line(&format!(
            "once it is there, it waits for a debugger: gdb-multiarch {vmlinux}, and then target remote {GDB}"
        ));
    }
    let step = ctx.ui.step(&format!("host {}", spec.name()));
    let outcome = boot::boot(ctx, &host, &built.programs, &step)?;
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

/// Makes a host wait for a debugger: with one CPU and with its symbols where vmlinux has them,
/// and without a time by which it must have done anything.
fn wait_for_debugger(host: &mut Host) {
    let more = ["-S", "-gdb", &format!("tcp:{GDB}")].map(Into::into);
    host.qemu_arguments.extend(more);
    host.cpus = 1;
    host.parameters.push_str(" nokaslr");
    host.boot_limit = DEBUGGED;
    host.quiet = DEBUGGED;
}
