// SPDX-License-Identifier: GPL-2.0
//! Mutation of the logic: small changes, each of which a test on the simulated
//! CPU has to notice.
//!
//! cargo-mutants does not fit: it does not find modules whose paths are
//! generated, and compiles the crate for each mutant, which here would take hours.
//! All mutants are compiled into one program, which is told which one to try.

mod build;
mod compile;
mod find;
mod hosts;
mod judge;
mod rewrite;
mod survivors;

pub use hosts::{run as run_on_hosts, Report as HostsReport, REPORT as HOSTS_REPORT};

use crate::changed_copy::ChangedCopy;
use crate::checks;
use crate::context::{self, Context};
use crate::side_by_side::side_by_side;
use crate::unsafe_count;
use crate::{files, table, versions};
use anyhow::{ensure, Context as _, Result};
use find::Found;
use judge::{Judge, Judgement};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use survivors::Survivor;

/// The share of viable mutants that must be killed, in percent.
const MUST_REACH: usize = 95;

/// The file with the last report, among the results.
pub const REPORT: &str = "mutation.json";

/// Where KVM's code is.
const FOLDER: &str = "arch-arm64-kvm";

/// Files of the logic that are not on the simulated CPU: what people see and
/// set through debugfs, and what only tests use.
const ELSEWHERE: [&str; 6] = [
    "faults.rs",
    "hostile_host.rs",
    "neon_softirq.rs",
    "selector.rs",
    "controls.rs",
    "view.rs",
];

/// A change of the code.
#[derive(Debug)]
pub struct Mutant {
    /// Its number.
    number: u32,
    /// The file, in the checkout.
    file: PathBuf,
    found: Found,
}

impl Mutant {
    fn file(&self) -> String {
        let file = self.file.strip_prefix(FOLDER).unwrap_or(&self.file);
        file.display().to_string()
    }

    fn title(&self) -> String {
        format!(
            "{}:{} {}: {}",
            self.file.display(),
            self.found.line,
            self.found.function,
            self.found.what
        )
    }
}

/// What became of all mutants, for the page of results.
#[derive(Debug, Serialize)]
struct Report {
    date: String,
    commit: String,
    killed: usize,
    survived: usize,
    unviable: usize,
    survivors: Vec<Reported>,
    files: Vec<OfFile>,
}

#[derive(Debug, Serialize)]
struct Reported {
    file: String,
    function: String,
    mutation: String,
    reason: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct OfFile {
    file: String,
    killed: usize,
    survived: usize,
    unviable: usize,
}

/// Finds the mutants of the files with `only` in their names.
fn mutants(ctx: &Context, only: &str) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for file in checks::repository_files(ctx)? {
        let is_elsewhere = |name: &&str| file == Path::new(FOLDER).join(name);
        if !unsafe_count::is_logic(&file) || ELSEWHERE.iter().any(is_elsewhere) {
            continue;
        }
        if !file.to_string_lossy().contains(only) {
            continue;
        }
        let path = ctx.checkout.join(&file);
        let text = files::read_text(&path)?;
        let found = find::find(&text).with_context(|| file.display().to_string())?;
        for found in found {
            mutants.push(Mutant {
                number: mutants.len() as u32 + 1,
                file: file.clone(),
                found,
            });
        }
    }
    ensure!(
        !mutants.is_empty(),
        "no file of the logic has {only} in its name"
    );
    Ok(mutants)
}

/// Tries all mutants of the files with `only` in their names. True if as many
/// are killed as must be, and the others are explained.
pub fn run(ctx: &Context, only: &str) -> Result<bool> {
    let listed = survivors::read(&ctx.checkout)?;
    let mutants = mutants(ctx, only)?;
    let all: Vec<&Mutant> = mutants.iter().collect();
    let judged = on_the_simulated_cpu(ctx, &all)?;
    conclude(ctx, only, &mutants, &judged, &listed)
}

/// Has the tests on the simulated CPU judge those of `mutants` that compile.
fn on_the_simulated_cpu<'m>(
    ctx: &Context,
    mutants: &[&'m Mutant],
) -> Result<Vec<(&'m Mutant, Judgement)>> {
    let copy = ChangedCopy::new(ctx, "mutation")?;

    let step = ctx.ui.step(&format!("{} mutants", mutants.len()));
    let compiled = compile::compile(&copy, mutants, &step)?;
    step.end(&format!(
        "{} compile",
        mutants.len() - compiled.unviable.len()
    ));

    let step = ctx.ui.step("tests with no mutant tried");
    let judge = Judge::new(ctx, compiled.program.clone(), copy.tests_folder(), &step)?;
    step.end(&format!("{} passed", judge.tests()));

    let step = ctx.ui.step("tests with each mutant tried");
    let viable: Vec<&Mutant> = mutants
        .iter()
        .copied()
        .filter(|mutant| !compiled.unviable.contains(&mutant.number))
        .collect();
    let tried = AtomicUsize::new(0);
    let judgements = side_by_side(viable.clone(), context::cpus(), |mutant| {
        let count = tried.fetch_add(1, Ordering::Relaxed);
        step.at(&format!("{count} of {}", viable.len()));
        judge.judge(mutant.number)
    })
    .into_iter()
    .collect::<Result<Vec<_>>>()?;
    step.end("tried");
    Ok(viable.into_iter().zip(judgements).collect())
}

/// Prints what came of it.
fn conclude(
    ctx: &Context,
    only: &str,
    mutants: &[Mutant],
    judged: &[(&Mutant, Judgement)],
    listed: &[Survivor],
) -> Result<bool> {
    let is_killed = |judgement: &Judgement| matches!(judgement, Judgement::Killed(_));
    let mut of_files: BTreeMap<String, OfFile> = BTreeMap::new();
    for mutant in mutants {
        let file = of_files.entry(mutant.file()).or_default();
        file.file = mutant.file();
        match judged
            .iter()
            .find(|(other, _)| other.number == mutant.number)
        {
            None => file.unviable += 1,
            Some((_, judgement)) if is_killed(judgement) => file.killed += 1,
            Some(_) => file.survived += 1,
        }
    }
    let files: Vec<OfFile> = of_files.into_values().collect();
    let row = |file: &OfFile| {
        vec![
            file.file.clone(),
            file.killed.to_string(),
            file.survived.to_string(),
            file.unviable.to_string(),
        ]
    };
    let head = ["mutated", "killed", "survived", "do not compile"];
    println!(
        "\n{}",
        table::render(&head, &files.iter().map(row).collect::<Vec<_>>())
    );

    let mut problems = 0;
    let mut survivors = Vec::new();
    for (mutant, judgement) in judged.iter().filter(|(_, j)| !is_killed(j)) {
        let reason = listed.iter().find(|survivor| survivor.is(mutant));
        if reason.is_none() {
            problems += 1;
            let how = match judgement {
                Judgement::NotReached => "no test comes to it",
                _ => "no test notices",
            };
            println!("survived, {how}: {}", mutant.title());
        }
        survivors.push(Reported {
            file: mutant.file(),
            function: mutant.found.function.clone(),
            mutation: mutant.found.what.clone(),
            reason: reason.map(|survivor| survivor.why.clone()),
        });
    }
    let whole = only.is_empty();
    for survivor in listed.iter().filter(|_| whole) {
        let is_one = |(mutant, judgement): &(&Mutant, Judgement)| {
            survivor.is(mutant) && !is_killed(judgement)
        };
        if !judged.iter().any(is_one) {
            problems += 1;
            println!(
                "no longer a survivor, take it from {}: {} {}: {}",
                survivors::PATH,
                survivor.file,
                survivor.function,
                survivor.what
            );
        }
    }

    let survived = survivors.len();
    let killed = judged.len() - survived;
    println!("logs: {}", ctx.logs.display());
    println!(
        "{killed} of {} viable mutants killed ({:.1} %), {survived} survived, {} of them \
         explained, {} do not compile",
        judged.len(),
        100.0 * killed as f64 / judged.len().max(1) as f64,
        survivors.iter().filter(|s| s.reason.is_some()).count(),
        mutants.len() - judged.len()
    );
    if whole {
        let report = Report {
            date: context::now(),
            commit: versions::commit(ctx).unwrap_or_else(|| "unknown".to_owned()),
            killed,
            survived,
            unviable: mutants.len() - judged.len(),
            survivors,
            files,
        };
        files::write_atomic(&ctx.result(REPORT), &serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(problems == 0 && killed * 100 >= judged.len() * MUST_REACH)
}
