// SPDX-License-Identifier: GPL-2.0
//! `make test`: checks, builds, and the matrix of hosts.

use crate::boot::{self, Outcome};
use crate::build_proof;
use crate::checks::{self, Check, Checked};
use crate::compare::{against_c, difference};
use crate::configurations;
use crate::console::{self, CaseOutcome};
use crate::contest::{self, Guests, Report};
use crate::context::{self, Context};
use crate::documents::rustdoc;
use crate::earlier;
use crate::entry;
use crate::error::hinted;
use crate::explored;
use crate::faults;
use crate::host::{Mode, VectorLengths};
use crate::host_row::{self, Contests, HostRow, Tally};
use crate::hostile;
use crate::hypervisor_flags;
use crate::image;
use crate::kernel::{self, Kernel, Variant};
use crate::kprobes;
use crate::kselftests;
use crate::lints;
use crate::matrix::{self, Level};
use crate::moves::Move;
use crate::mutation;
use crate::plan::{End, Verdict};
use crate::prepare::{self, Built, Spec};
use crate::process;
use crate::progress::Step;
use crate::record::Record;
use crate::reference;
use crate::report;
use crate::results::Results;
use crate::series::boots;
use crate::server;
use crate::side_by_side::{both, side_by_side};
use crate::soak;
use crate::source;
use crate::sve_abi;
use crate::switch_faults::{self, Which};
use crate::trace::{self, Allowed, Costs, Tracer, Traces};
use crate::unsafe_count;
use crate::versions;
use crate::warnings;
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// Hosts that run at the same time. Each has two CPUs, of which the selftests
/// use one most of the time; those that are traced have one.
const SIDE_BY_SIDE: usize = 2;
/// Mutants that booted hosts judge at [`Level::Full`].
const MUTANTS_ON_HOSTS: usize = 100;
/// Logs of so many runs are kept.
const KEEP_LOGS: usize = 20;

/// A host that ran.
struct Ran {
    spec: Spec,
    outcome: Result<Outcome>,
}

/// What is done side by side.
enum Job<'a> {
    Host(Spec),
    Trace(Mode, &'a Tracer),
    Move(Move),
}

/// What came of it.
enum Done {
    Host(Ran),
    Trace(Mode, Result<Traces>),
    Move(Move, Result<()>),
}

/// Runs the tests of `level`; of hosts and traces, only those with `only` in
/// their name. True if all passed.
pub fn test(ctx: &Context, level: Level, only: &str) -> Result<bool> {
    context::remove_oldest_logs(&ctx.cache.join("log"), KEEP_LOGS)?;
    let start = Instant::now();
    let mut record = Record::new(ctx, level, only);
    let done = run(ctx, &mut record, start);
    record.seconds = start.elapsed().as_secs();
    if let Err(error) = &done {
        record.given_up = Some(format!("{error:#}"));
    }
    let written = record.write(ctx);
    done?;
    written?;
    if let Some(untested) = source::find(ctx)?.version.untested() {
        println!("{untested}");
    }
    println!("logs: {}", ctx.logs.display());
    println!(
        "results: {}, as a page: make report",
        Record::path(ctx).display()
    );
    println!("{}", record.tests.summary());
    Ok(record.tests.held())
}

/// Runs the tests that `record` is to be of, since `start`.
fn run(ctx: &Context, record: &mut Record, start: Instant) -> Result<()> {
    let (level, only) = (record.level, record.only.clone());
    let only = only.as_str();
    let variants = matrix::variants(level);
    // At this level the tests of selftests/ have no host to run on.
    let with_tests = level != Level::Quick;
    let hosts = if only.is_empty() {
        matrix::count(level)
    } else {
        1
    };
    let mut modes = matrix::traces(level).to_vec();
    modes.retain(|&mode| trace::name(mode).contains(only));
    let tracing = match modes.len() {
        0 => 0,
        traces => trace::steps_to_come() + traces,
    };
    let building = prepare::steps_to_come(ctx, variants, with_tests);
    // The lints and rustdoc among them.
    let mut proofs = 2 + build_proof::OBJECTS.len() + hypervisor_flags::PARTS.len();
    if with_tests {
        // The compiler's warnings and kprobes among them.
        proofs += 2 + entry::ALL.len() + switch_faults::steps_to_come(ctx)?;
    }
    let moves = match only {
        "" => matrix::moves(level).len(),
        _ => 0,
    };
    let configurations = match level {
        Level::Full => configurations::read(&ctx.checkout)?,
        Level::Quick | Level::Normal => Vec::new(),
    };
    ctx.ui.expect(
        checks::ALL.len()
            + match level {
                Level::Full => {
                    1 + kernel::OTHER_OPTIONS.len()
                        + boots::steps_to_come(ctx)?
                        + server::steps_to_come(ctx, server::CPUS.len())
                }
                Level::Quick | Level::Normal => 0,
            }
            + configurations::steps_to_come(configurations.len())
            + usize::from(with_tests)
            + building
            + proofs
            + tracing
            + hosts
            + moves,
    );
    // Either has times with work for one CPU only.
    let ((checked, of_mistakes), (built, of_builds)) = both(
        || {
            // Where it fails, it is tried again when it is needed, and is a failure then.
            let _ = image::fetch(ctx);
            (check_all(ctx, level), make_mistakes(ctx, level))
        },
        || {
            let mut results = Results::default();
            let built = build(ctx, level, only, &mut results);
            (built, results)
        },
    );
    for (check, checked) in checked {
        record.unit_tests.extend(checked.unit_tests);
        record.tests.add_recalled(
            &ctx.ui,
            check.name,
            checked.verdict,
            &checked.detail,
            checked.recalled.as_deref(),
        );
    }
    // By now the kernel source is there.
    record.versions = versions::all(ctx);

    let results = &mut record.tests;
    if level == Level::Full && only.is_empty() {
        add_mutation(ctx, "mutation", mutation::run(ctx, ""), results);
    }

    results.append(of_mistakes);
    results.append(of_builds);
    if let Some(built) = &built? {
        if level == Level::Full && only.is_empty() {
            compile_otherwise(ctx, results);
            configurations::add(ctx, &configurations, results);
            if let Err(error) = boots::add(ctx, &[], results) {
                let (verdict, detail) = Verdict::failed(&error);
                results.add(&ctx.ui, boots::PREFIX, verdict, &detail);
            }
            server::add(ctx, &server::CPUS, results);
            let noticed = mutation::run_on_hosts(ctx, "", MUTANTS_ON_HOSTS);
            add_mutation(ctx, "mutation-hosts", noticed, results);
        }
        if built.kernel(Variant::Rust).is_ok() {
            (record.hosts, record.costs) = run_all(ctx, built, level, only, &modes, results)?;
        } else {
            // Those with C are there to be compared with, and take as long.
            let why = "not booted: there is no Rust kernel, see build/rust".to_owned();
            results.add(&ctx.ui, "hosts", Verdict::Failed(why), "");
        }
    }
    if level != Level::Full {
        let everywhere = kselftests::FULL_ONLY
            .iter()
            .map(|(name, why)| ((*name).to_owned(), why));
        let somewhere = kselftests::FULL_ONLY_IN
            .iter()
            .map(|(mode, name, why)| (format!("{name}@{}", mode.name()), why));
        let on_others = kselftests::FULL_ONLY_ON_OTHERS
            .iter()
            .map(|(name, why)| (format!("{name}@cpus-but-max"), why));
        for (name, why) in everywhere.chain(somewhere).chain(on_others) {
            let why = format!("{why}: make test-full");
            results.add(&ctx.ui, name, Verdict::Skipped(why), "");
        }
    }
    record.trace_differences = Allowed::read(&ctx.scripts().join(trace::ALLOWED))?;
    record.explored = explored::read(ctx)?;
    record.unsafe_code = checks::count_unsafe(ctx)?.rows();
    if with_tests {
        record.seconds = start.elapsed().as_secs();
        let step = ctx.ui.step(report::TEST);
        let (verdict, detail) = report::verdict(ctx, record, &step);
        step.end(verdict.word());
        record.tests.add(&ctx.ui, report::TEST, verdict, &detail);
    }
    print(record);
    Ok(())
}

/// Runs the checks that need no kernel.
fn check_all(ctx: &Context, level: Level) -> Vec<(&'static Check, Checked)> {
    let full = level == Level::Full;
    let at_length = full.then_some(&checks::AT_LENGTH);
    let checks = checks::ALL.iter().chain(at_length).collect();
    side_by_side(checks, SIDE_BY_SIDE, |check: &Check| {
        let step = ctx.ui.step(check.name);
        let checked = check.check(ctx, level.recalls(), &step);
        let word = checked.verdict.word();
        step.end(&earlier::outcome(checked.recalled.as_deref(), word));
        (check, checked)
    })
}

/// The mistakes in the world switch that are made at `level`.
fn mistakes(level: Level) -> Which<'static> {
    Which {
        only: "",
        recall: level.recalls(),
    }
}

/// Makes those that need no kernel.
fn make_mistakes(ctx: &Context, level: Level) -> Results {
    let mut results = Results::default();
    if level != Level::Quick {
        let made = switch_faults::simulate(ctx, mistakes(level), &mut results);
        add_mistakes(ctx, made, &mut results);
    }
    results
}

/// Adds that mistakes could not be made, if so.
fn add_mistakes(ctx: &Context, made: Result<usize>, results: &mut Results) {
    if let Err(error) = made {
        let (verdict, detail) = Verdict::failed(&error);
        results.add(&ctx.ui, "switch-faults", verdict, &detail);
    }
}

/// Adds whether mutants were noticed.
fn add_mutation(ctx: &Context, name: &str, noticed: Result<bool>, results: &mut Results) {
    let (verdict, detail) = match noticed {
        Ok(true) => (Verdict::Passed, String::new()),
        Ok(false) => {
            let why = "mutants are not noticed, see above".to_owned();
            (Verdict::Failed(why), String::new())
        }
        Err(error) => Verdict::failed(&error),
    };
    results.add(&ctx.ui, name, verdict, &detail);
}

/// Prints the tables at the end.
fn print(record: &Record) {
    if !record.hosts.is_empty() {
        println!("\n{}", host_row::table(&record.hosts));
    }
    if !record.costs.is_empty() {
        println!("{}", trace::table(&record.costs));
    }
    print_noticed(&record.tests);
    let (withstood, lies) = record.tests.share(hostile::PREFIX);
    if lies > 0 {
        println!("lies of a hostile host withstood: {withstood} of {lies}");
    }
    if !record.explored.is_empty() {
        println!("\n{}", explored::table(&record.explored));
    }
    println!("\n{}", unsafe_count::table(&record.unsafe_code));
}

/// Makes mistakes in the world switch: those with `only` in their names. True
/// if all are noticed.
pub fn switch_faults(ctx: &Context, only: &str) -> Result<bool> {
    let mut results = Results::default();
    let c = kernel::build(ctx, Variant::C)?;
    let rust = kernel::build(ctx, Variant::Rust)?;
    hold_against_c(ctx, &c, &rust, &mut results);
    let which = Which {
        only,
        // Who asks for them wants to see them noticed.
        recall: false,
    };
    let made = switch_faults::compile(ctx, &c, &rust, which, &mut results)?
        + switch_faults::simulate(ctx, which, &mut results)?;
    if made == 0 {
        return Err(hinted(
            format!("no fault has {only} in its name"),
            "the names are in scripts/switch-faults.toml",
        ));
    }
    print_noticed(&results);
    println!("logs: {}", ctx.logs.display());
    println!("{}", results.summary());
    Ok(results.held())
}

/// Says how many of the deliberate faults were noticed.
fn print_noticed(results: &Results) {
    let (noticed, faults) = results.share(faults::PREFIX);
    if faults > 0 {
        println!("deliberate faults noticed: {noticed} of {faults}");
    }
}

/// Compares the assembly of the kernels `c` and `rust`.
fn hold_against_c(ctx: &Context, c: &Kernel, rust: &Kernel, results: &mut Results) {
    for assembly in entry::ALL {
        let step = ctx.ui.step(assembly.test);
        let (verdict, detail) = assembly.verdict(ctx, c, rust);
        step.end(verdict.word());
        results.add(&ctx.ui, assembly.test, verdict, &detail);
    }
}

/// Builds what the hosts need. A build that fails is a test that fails.
fn build(ctx: &Context, level: Level, only: &str, results: &mut Results) -> Result<Option<Built>> {
    let mut add = |name: String, error: anyhow::Error| {
        let (verdict, detail) = Verdict::failed(&error);
        results.add(&ctx.ui, name, verdict, &detail);
    };
    let mut built = match Built::new(ctx, &[], level != Level::Quick) {
        Ok(built) => built,
        Err(error) => {
            add("build/programs".to_owned(), error);
            return Ok(None);
        }
    };
    let mut variants = matrix::variants(level).to_vec();
    if !only.is_empty() {
        let mut specs = matrix::hosts(level, &built.programs, &ctx.checkout)?;
        choose(&mut specs, only);
        // These two are compared without hosts, too.
        variants.retain(|&variant| {
            matches!(variant, Variant::Rust | Variant::C)
                || specs.iter().any(|spec| spec.variant == variant)
        });
    }
    // While the one with sanitizers is still being built.
    let (variants, shown) = match built.add_all(ctx, &variants, |built| show(ctx, built, level)) {
        Ok(built) => built,
        Err(error) => {
            add("build/tree".to_owned(), error);
            return Ok(None);
        }
    };
    for (variant, result) in variants {
        let (verdict, detail) = Verdict::of(result);
        let name = format!("build/{}", variant.name());
        results.add(&ctx.ui, name, verdict, &detail);
    }
    results.append(shown);
    // The one that has kprobes.
    if let Ok(kernel) = built.kernel(Variant::Sanitizer) {
        let step = ctx.ui.step(kprobes::TEST);
        let (verdict, detail) = Verdict::of(kprobes::check(kernel));
        step.end(verdict.word());
        results.add(&ctx.ui, kprobes::TEST, verdict, &detail);
    }
    Ok(Some(built))
}

/// Shows of the kernels what can be shown without booting them.
fn show(ctx: &Context, built: &Built, level: Level) -> Results {
    let mut results = Results::default();
    let recall = level.recalls();
    // Without it, the build is what failed.
    if built.kernel(Variant::Rust).is_ok() {
        add_came(ctx, lints::TEST, &mut results, |step| {
            lints::check(ctx, built, recall, step)
        });
        add_came(ctx, rustdoc::TEST, &mut results, |step| {
            rustdoc::check(ctx, built, recall, step)
        });
    }
    prove(ctx, built, &mut results);
    // Without both, a build is what failed. A level with one only has no use for the other.
    if let (Ok(c), Ok(rust)) = (built.kernel(Variant::C), built.kernel(Variant::Rust)) {
        add_came(ctx, warnings::TEST, &mut results, |step| {
            warnings::check(ctx, built, recall, step)
        });
        hold_against_c(ctx, c, rust, &mut results);
        let made = switch_faults::compile(ctx, c, rust, mistakes(level), &mut results);
        add_mistakes(ctx, made, &mut results);
    }
    results
}

/// Adds what the test `name` came to that recalls what it may.
fn add_came(
    ctx: &Context,
    name: &str,
    results: &mut Results,
    check: impl FnOnce(&Step) -> earlier::Came<()>,
) {
    let step = ctx.ui.step(name);
    let came = check(&step);
    let recalled = came.recalled.as_deref();
    let (verdict, detail) = Verdict::of(came.result);
    step.end(&earlier::outcome(recalled, verdict.word()));
    results.add_recalled(&ctx.ui, name, verdict, &detail, recalled);
}

/// Shows that the build of the Rust kernel fails where it has to, and compiles Rust for
/// EL2 as it does C.
fn prove(ctx: &Context, built: &Built, results: &mut Results) {
    // Without it, the build is what failed.
    let Ok(kernel) = built.kernel(Variant::Rust) else {
        return;
    };
    for object in &build_proof::OBJECTS {
        let step = ctx.ui.step(object.test);
        let (verdict, detail) = object.verdict(ctx, kernel, &step);
        step.end(verdict.word());
        results.add(&ctx.ui, object.test, verdict, &detail);
    }
    for part in &hypervisor_flags::PARTS {
        let step = ctx.ui.step(part.test);
        let (verdict, detail) = part.verdict(ctx, kernel, &step);
        step.end(verdict.word());
        results.add(&ctx.ui, part.test, verdict, &detail);
    }
}

/// Compiles KVM's code with options that no kernel of the tests has.
fn compile_otherwise(ctx: &Context, results: &mut Results) {
    for options in kernel::OTHER_OPTIONS {
        let step = ctx.ui.step(options.test);
        let (verdict, detail) = Verdict::of(kernel::build_kvm(ctx, options, &step));
        step.end(verdict.word());
        results.add(&ctx.ui, options.test, verdict, &detail);
    }
}

/// Whether `c` is the C host that the host `rust` is compared with.
fn is_c_twin(c: &Spec, rust: &Spec) -> bool {
    let machine = |spec: &Spec| (spec.mode, spec.cpu, spec.vector_lengths);
    c.variant == Variant::C && machine(c) == machine(rust)
}

/// Keeps the hosts with `only` in their names, and the C hosts that those with
/// Rust are compared with.
fn choose(specs: &mut Vec<Spec>, only: &str) {
    let chosen: Vec<Spec> = specs
        .iter()
        .filter(|spec| spec.variant == Variant::Rust && spec.name().contains(only))
        .cloned()
        .collect();
    specs.retain(|spec| {
        spec.name().contains(only) || chosen.iter().any(|rust| is_c_twin(spec, rust))
    });
}

/// Boots the hosts and records the traces. Returns what the hosts came to, and
/// the instructions of the traces that are whole.
fn run_all(
    ctx: &Context,
    built: &Built,
    level: Level,
    only: &str,
    modes: &[Mode],
    results: &mut Results,
) -> Result<(Vec<HostRow>, Vec<Costs>)> {
    let mut specs = matrix::hosts(level, &built.programs, &ctx.checkout)?;
    choose(&mut specs, only);
    let mut moves = matrix::moves(level);
    moves.retain(|guest| guest.name().contains(only));
    if specs.is_empty() && modes.is_empty() && moves.is_empty() {
        return Err(hinted(
            format!("no host or trace has {only} in its name"),
            "such as rust-vhe-max or trace-nvhe: make test lists them all",
        ));
    }
    let mut jobs: Vec<Job> = specs.into_iter().map(Job::Host).collect();
    let tracer = match modes {
        [] => None,
        _ => tracer(ctx, built, results),
    };
    jobs.extend(moves.into_iter().map(Job::Move));
    // They take less than a host does, so they come last.
    if let Some(tracer) = &tracer {
        jobs.extend(modes.iter().map(|&mode| Job::Trace(mode, tracer)));
    }
    let (mut ran, mut traces) = (Vec::new(), Vec::new());
    for done in side_by_side(jobs, SIDE_BY_SIDE, |job| work(ctx, built, level, job)) {
        match done {
            Done::Host(host) => ran.push(host),
            Done::Trace(mode, result) => traces.push((mode, result)),
            Done::Move(guest, result) => {
                let (verdict, detail) = Verdict::of(result);
                results.add(&ctx.ui, guest.name(), verdict, &detail);
            }
        }
    }
    // The tree that was built: it has the patches.
    let source = built.kernel(Variant::Rust)?.source();
    let rows = ran
        .iter()
        .map(|host| judge(ctx, host, &ran, &source, results))
        .collect();
    if let Some(tracer) = &tracer {
        for (mode, result) in &traces {
            judge_trace(ctx, tracer, *mode, result, results);
        }
    }
    let whole = traces.iter().flat_map(|(_, result)| result);
    Ok((rows, whole.map(Traces::costs).collect()))
}

/// Gets ready to trace. Where that fails, a test failed.
fn tracer(ctx: &Context, built: &Built, results: &mut Results) -> Option<Tracer> {
    match Tracer::new(ctx, built) {
        Ok(tracer) => Some(tracer),
        Err(error) => {
            let (verdict, detail) = Verdict::failed(&error);
            results.add(&ctx.ui, "trace", verdict, &detail);
            None
        }
    }
}

/// Boots a host, or both hosts of a trace.
fn work(ctx: &Context, built: &Built, level: Level, job: Job<'_>) -> Done {
    let spec = match job {
        Job::Host(spec) => spec,
        Job::Trace(mode, tracer) => {
            let recall = level.recalls();
            return Done::Trace(mode, trace::record(ctx, built, tracer, mode, recall));
        }
        Job::Move(guest) => {
            let step = ctx.ui.step(&guest.name());
            let result = guest.run(ctx, built, &step);
            step.end(if result.is_ok() { "passed" } else { "FAILED" });
            return Done::Move(guest, result);
        }
    };
    let step = ctx.ui.step(&format!("host {}", spec.name()));
    let outcome = boot_or_recall(ctx, built, &spec, level, &step);
    step.end(&match &outcome {
        Ok(o) if o.problems.is_empty() => {
            let done = format!("{} steps done", o.ends.len());
            earlier::outcome(o.recalled.as_deref(), &done)
        }
        Ok(o) => o.problems.join("; "),
        Err(e) => format!("{e:#}"),
    });
    Done::Host(Ran { spec, outcome })
}

/// Boots a host. One with C is only looked up where it has been booted with
/// the same kernel, programs and plan, except at [`Level::Full`].
fn boot_or_recall(
    ctx: &Context,
    built: &Built,
    spec: &Spec,
    level: Level,
    step: &Step,
) -> Result<Outcome> {
    let host = built.host(spec)?;
    if spec.variant != Variant::C {
        return boot::boot(ctx, &host, &built.programs, step);
    }
    let identity = boot::identity(&host, &built.programs)?;
    if level.recalls() {
        if let Some(outcome) = reference::recall(ctx, &identity) {
            return Ok(outcome);
        }
    }
    let outcome = reference::boot(ctx, host, &built.programs, step)?;
    reference::keep(ctx, &identity, &outcome, spec.mode, spec.plan.steps.len())?;
    Ok(outcome)
}

/// The end of the step `name` on the host that is as `spec`, but with C.
fn with_c<'a>(ran: &'a [Ran], spec: &Spec, name: &str) -> Option<&'a End> {
    let twin = ran.iter().find(|r| is_c_twin(&r.spec, spec))?;
    twin.outcome
        .as_ref()
        .ok()?
        .ends
        .iter()
        .find(|e| e.name == name)
}

/// Lists a C host that broke off at first, or whose kernel complained.
fn booted_again(ctx: &Context, name: &str, before: Option<&str>, results: &mut Results) {
    if let Some(problem) = before {
        let why = format!("Linux's own C was at fault ({problem}), and was booted again");
        let name = format!("first-boot@{name}");
        results.add(&ctx.ui, name, Verdict::Skipped(why), "");
    }
}

/// Adds what the traces in `mode` showed to `results`.
fn judge_trace(
    ctx: &Context,
    tracer: &Tracer,
    mode: Mode,
    traces: &Result<Traces>,
    results: &mut Results,
) {
    let name = trace::name(mode);
    let (verdict, detail) = match traces {
        Ok(traces) => traces.verdict(&tracer.allowed),
        Err(error) => Verdict::failed(error),
    };
    if let Ok(traces) = traces {
        booted_again(ctx, &name, traces.before.as_deref(), results);
    }
    results.add(&ctx.ui, name, verdict, &detail);
}

/// Adds what a host showed to `results` and returns its row of the table.
fn judge(ctx: &Context, host: &Ran, ran: &[Ran], source: &Path, results: &mut Results) -> HostRow {
    let name = host.spec.name();
    let ui = &ctx.ui;
    let outcome = match &host.outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            results.add(
                ui,
                format!("boot@{name}"),
                Verdict::Failed(format!("{error:#}")),
                "",
            );
            return HostRow::new(&host.spec, None);
        }
    };
    let detail = format!(
        "{}    log: {}\n",
        process::tail(&outcome.log, 12),
        outcome.log.display()
    );
    let whole = |problems: &[String]| match problems {
        [] => Verdict::Passed,
        [first, ..] => Verdict::Failed(
            format!("{first} (and {} more)", problems.len() - 1).replace(" (and 0 more)", ""),
        ),
    };
    let recalled = outcome.recalled.as_deref();
    results.add_recalled(
        ui,
        format!("boot@{name}"),
        whole(&outcome.problems),
        &detail,
        recalled,
    );
    booted_again(ctx, &name, outcome.before.as_deref(), results);
    let is_faults = host.spec.variant == Variant::Faults;
    let has_kunit = !matches!(host.spec.variant, Variant::Faults | Variant::Soak);
    if !is_faults {
        // A defect may well make the kernel complain.
        let log = format!("    log: {}\n", outcome.log.display());
        results.add_recalled(
            ui,
            format!("no-kernel-warnings@{name}"),
            whole(&outcome.warnings),
            &log,
            recalled,
        );
    }

    let (mut selftests, mut kunit, mut caught) =
        (Tally::default(), Tally::default(), Tally::default());
    let mut reports = Vec::new();
    for step in &host.spec.plan.steps {
        let Some(end) = outcome.ends.iter().find(|e| e.name == step.name) else {
            let verdict =
                Verdict::Failed("did not run to its end: the host failed before".to_owned());
            selftests.add(&verdict);
            results.add(ui, format!("{}@{name}", step.name), verdict, "");
            continue;
        };
        let lines: Vec<&str> = end.output_tail.lines().collect();
        let tail = process::indented(&lines[lines.len().saturating_sub(8)..]);
        let detail = format!("{tail}    log: {}\n", outcome.log.display());
        if let Some(guests) = Guests::of_step(&step.name) {
            reports.extend(Report::of(end));
            results.add_recalled(
                ui,
                format!("{}@{name}", guests.test_name()),
                contest::verdict(end),
                &detail,
                recalled,
            );
        } else if step.name == soak::STEP {
            let verdict = soak::verdict(host.spec.mode, host.spec.cpu, soak::TEST_S, end);
            selftests.add(&verdict);
            let test = format!("{}@{name}", soak::TEST_NAME);
            results.add(ui, test, verdict, &detail);
        } else if step.name.starts_with(faults::PREFIX) {
            let verdict = match end.verdict() {
                Verdict::Failed(why) => Verdict::Failed(format!("not noticed ({why})")),
                Verdict::Skipped(why) => Verdict::Failed(format!("not tried ({why})")),
                Verdict::Passed => Verdict::Passed,
            };
            caught.add(&verdict);
            results.add_on(ui, &host.spec, &step.name, verdict, &detail);
        } else {
            let own = end.verdict();
            if step.name.starts_with(hostile::PREFIX) {
                selftests.add(&own);
                results.add_on(ui, &host.spec, &step.name, own, &detail);
                continue;
            }
            // C hosts are what Rust is measured against: their own results
            // are in the table and not counted.
            if host.spec.variant == Variant::C {
                selftests.add(&own);
                continue;
            }
            let c = with_c(ran, &host.spec, &step.name);
            let mut verdict = against_c(own, c.map(End::verdict).as_ref());
            let mut detail = detail;
            let both_passed =
                |c: &&End| verdict == Verdict::Passed && c.verdict() == Verdict::Passed;
            if let Some((why, lines)) = c.filter(both_passed).and_then(|c| difference(end, c)) {
                verdict = Verdict::Failed(why);
                detail = format!("{lines}    log: {}\n", outcome.log.display());
            }
            selftests.add(&verdict);
            if step.name == sve_abi::FUZZ && verdict == Verdict::Passed {
                let errors = sve_abi::judge_errors(end, source);
                results.add(ui, format!("{}@{name}", sve_abi::ERRORS), errors, &detail);
            }
            results.add(
                ui,
                format!("{}@{name}", kselftests::test_name(&step.name)),
                verdict,
                &detail,
            );
        }
    }
    if has_kunit {
        for case in console::kunit(&outcome.console) {
            let verdict = match case.outcome {
                CaseOutcome::Passed => Verdict::Passed,
                CaseOutcome::Failed => Verdict::Failed("the KUnit case failed".to_owned()),
                CaseOutcome::Skipped(why) => Verdict::Skipped(why),
            };
            kunit.add(&verdict);
            let log = format!("    log: {}\n", outcome.log.display());
            let test = format!("kunit:{}@{name}", case.name);
            results.add_recalled(ui, test, verdict, &log, recalled);
        }
        if kunit.total == 0 && host.spec.vector_lengths == VectorLengths::All {
            results.add(
                ui,
                format!("kunit@{name}"),
                Verdict::Failed("no KUnit test ran at boot".to_owned()),
                "",
            );
        }
    }
    let ran = host_row::Ran {
        up_s: outcome.boot_ms as f64 / 1000.0,
        guest_boot: reports.first().map(Report::boot_times),
        selftests,
        kunit,
        faults: caught,
        contests: Contests::of(&reports),
        warnings: outcome.warnings.len(),
        seconds: outcome
            .recalled
            .is_none()
            .then_some(outcome.elapsed.as_secs_f64()),
    };
    HostRow::new(&host.spec, Some(ran))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Cpu;
    use crate::plan::Plan;

    fn chosen(only: &str) -> Vec<String> {
        let spec = |variant, mode, cpu| Spec {
            variant,
            mode,
            cpu,
            vector_lengths: VectorLengths::All,
            lpa2: true,
            parameters: String::new(),
            plan: Plan::default(),
        };
        let mut specs = vec![
            spec(Variant::Sanitizer, Mode::Vhe, Cpu::Max),
            spec(Variant::Rust, Mode::Vhe, Cpu::Max),
            spec(Variant::C, Mode::Vhe, Cpu::Max),
            spec(Variant::Rust, Mode::Vhe, Cpu::NeoverseN1),
            spec(Variant::C, Mode::Vhe, Cpu::NeoverseN1),
            // Nothing is compared with another machine.
            Spec {
                vector_lengths: VectorLengths::UpTo(1),
                ..spec(Variant::Rust, Mode::Vhe, Cpu::Max)
            },
        ];
        choose(&mut specs, only);
        specs.iter().map(Spec::name).collect()
    }

    #[test]
    fn a_rust_host_comes_with_the_c_host_that_it_is_compared_with() {
        let both = ["rust-vhe-max", "c-vhe-max", "rust-vhe-max-sve128"];
        assert_eq!(chosen("rust-vhe-max"), both);
        assert_eq!(chosen("sve128"), ["rust-vhe-max-sve128"]);
        assert_eq!(chosen("sanitizer"), ["sanitizer-vhe-max"]);
        assert_eq!(chosen("c-vhe-neo"), ["c-vhe-neoverse-n1"]);
        assert_eq!(chosen("").len(), 6);
        assert!(chosen("no-such-host").is_empty());
    }
}
