// SPDX-License-Identifier: GPL-2.0
//! Booted hosts as the judge: a set of the mutants, each in a kernel of its own. It
//! says how much of what the simulated CPU notices a real kernel notices, too. What no
//! host notices, a test on the simulated CPU must, or it has to be explained.

use super::build::{Builder, Built as BuiltMutant};
use super::{judge, mutants, on_the_simulated_cpu, survivors, Mutant};
use crate::boot::{self, Host, Outcome};
use crate::compare;
use crate::console::{self, CaseOutcome};
use crate::contest;
use crate::context::{self, Context};
use crate::host::Mode;
use crate::kernel::Variant;
use crate::matrix;
use crate::plan::{self, End, Plan, Verdict};
use crate::prepare::Built;
use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{digest, files, table, versions};
use anyhow::{ensure, Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

/// Hosts that run at the same time.
const SIDE_BY_SIDE: usize = 2;

/// The file with the last report, among the results.
pub const REPORT: &str = "mutation-on-hosts.json";

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Judgement {
    /// It does not compile.
    Unviable,
    /// It compiles to the same code.
    Same,
    /// The build noticed.
    Refused,
    /// A host in this mode noticed, in this way.
    Noticed(Mode, String),
    /// No host noticed, but this test on the simulated CPU.
    Simulated(String),
    /// Nobody noticed. True if that is explained.
    Survived { explained: bool },
}

/// What became of a set of mutants, for the page of results.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When, in UTC.
    pub date: String,
    /// Of which commit.
    pub commit: String,
    /// How many mutants there are to take a set from.
    pub of: u64,
    /// Those that the build refused.
    pub refused: u64,
    /// Those that hosts noticed, by mode.
    pub noticed: BTreeMap<String, u64>,
    /// Those that no host noticed, but a test on the simulated CPU.
    pub simulated: u64,
    /// Those that nobody noticed.
    pub survived: u64,
    /// Those of them that are explained.
    pub explained: u64,
    /// Those that compile to the same code.
    pub same: u64,
    /// Those that do not compile.
    pub unviable: u64,
}

impl Report {
    fn count<'a>(judgements: impl Iterator<Item = &'a Judgement>) -> Self {
        let mut report = Self::default();
        for judgement in judgements {
            match judgement {
                Judgement::Unviable => report.unviable += 1,
                Judgement::Same => report.same += 1,
                Judgement::Refused => report.refused += 1,
                Judgement::Noticed(mode, _) => {
                    *report.noticed.entry(mode.name().to_owned()).or_default() += 1;
                }
                Judgement::Simulated(_) => report.simulated += 1,
                Judgement::Survived { explained } => {
                    report.survived += 1;
                    report.explained += u64::from(*explained);
                }
            }
        }
        report
    }

    /// How many the build or a host noticed.
    pub fn killed(&self) -> u64 {
        self.refused + self.noticed.values().sum::<u64>()
    }

    /// How many could have been noticed.
    pub fn viable(&self) -> u64 {
        self.killed() + self.simulated + self.survived
    }

    /// Whether hosts notice mutants at all, and each that they do not is noticed by a test or
    /// explained. What share it is that they notice, is what this is there to find out.
    fn held(&self) -> bool {
        self.killed() > 0 && self.survived == self.explained
    }
}

/// The modes in which a host comes to the code of a file, the likeliest first.
fn modes(file: &str) -> &'static [Mode] {
    match file.split_once(['/', '.']) {
        Some(("vhe", _)) => &[Mode::Vhe, Mode::Nested],
        Some(("nvhe", rest)) if rest.starts_with("pkvm") => &[Mode::Protected],
        Some(("nvhe", _)) => &[Mode::Nvhe, Mode::Protected],
        Some(("hyp", _)) => &[Mode::Vhe, Mode::Nvhe, Mode::Protected, Mode::Nested],
        _ => &[Mode::Vhe, Mode::Protected],
    }
}

/// So many of the mutants, from all files alike. The same ones each time, as far as
/// the code is the same; and of more mutants, these are the first.
fn choose(mutants: &[Mutant], count: usize) -> Vec<&Mutant> {
    let mut chosen: Vec<&Mutant> = mutants.iter().collect();
    chosen.sort_by_cached_key(|mutant| {
        let found = &mutant.found;
        let name = format!("{} {} {}", mutant.file(), found.function, found.what);
        (digest::of_bytes(name.as_bytes()), mutant.number)
    });
    chosen.truncate(count);
    chosen
}

/// Has hosts judge `count` of the mutants of the files with `only` in their names. True if
/// what they do not notice is noticed by a test or explained.
pub fn run(ctx: &Context, only: &str, count: usize) -> Result<bool> {
    let listed = survivors::read(&ctx.checkout)?;
    let mutants = mutants(ctx, only)?;
    let chosen = choose(&mutants, count);
    let by_hosts = on_hosts(ctx, &chosen)?;
    let unnoticed = by_hosts.iter().filter(|(_, judgement)| judgement.is_none());
    let unnoticed: Vec<&Mutant> = unnoticed.map(|(mutant, _)| *mutant).collect();
    let mut by_tests = BTreeMap::new();
    if !unnoticed.is_empty() {
        for (mutant, judgement) in on_the_simulated_cpu(ctx, &unnoticed)? {
            by_tests.insert(mutant.number, judgement);
        }
    }
    let mut by_test = |mutant: &Mutant| match by_tests.remove(&mutant.number) {
        Some(judge::Judgement::Killed(test)) => Judgement::Simulated(test),
        _ => Judgement::Survived {
            explained: listed.iter().any(|survivor| survivor.is(mutant)),
        },
    };
    let judged: Vec<_> = by_hosts
        .into_iter()
        .map(|(mutant, by_host)| (mutant, by_host.unwrap_or_else(|| by_test(mutant))))
        .collect();
    conclude(ctx, only, mutants.len(), &judged)
}

/// Has hosts judge mutants: none for each that no host notices.
fn on_hosts<'m>(
    ctx: &Context,
    chosen: &[&'m Mutant],
) -> Result<Vec<(&'m Mutant, Option<Judgement>)>> {
    let built = Built::new(ctx, &[Variant::Rust], false)?;

    let step = ctx.ui.step("kernel without a mutant");
    let (builder, unchanged) = Builder::new(ctx, &step)?;
    step.end("built");
    let hosts = Hosts::new(ctx, &built, chosen, &unchanged)?;
    let builder = Mutex::new(builder);

    let step = ctx.ui.step(&format!("{} mutants on hosts", chosen.len()));
    let tried = AtomicUsize::new(0);
    let judgements = side_by_side(chosen.to_vec(), SIDE_BY_SIDE, |mutant| {
        // Who panicked has left a build folder that is put in order all the same.
        let builder = || builder.lock().unwrap_or_else(|e| e.into_inner());
        let judgement = hosts.judge(mutant, || builder().build(mutant, &step), &step);
        let count = tried.fetch_add(1, Ordering::Relaxed) + 1;
        step.at(&format!("{count} of {}", chosen.len()));
        judgement.map(|judgement| (mutant, judgement))
    });
    step.end("tried");
    judgements.into_iter().collect()
}

/// The hosts, and what they do without a mutant.
struct Hosts<'a> {
    ctx: &'a Context,
    built: &'a Built,
    without: BTreeMap<Mode, Outcome>,
}

impl<'a> Hosts<'a> {
    /// Boots the kernel without a mutant in the modes that `chosen` need.
    fn new(ctx: &'a Context, built: &'a Built, chosen: &[&Mutant], image: &Path) -> Result<Self> {
        let mut hosts = Self {
            ctx,
            built,
            without: BTreeMap::new(),
        };
        let in_use = |mode: &Mode| chosen.iter().any(|m| modes(&m.file()).contains(mode));
        let in_use: Vec<Mode> = Mode::ALL.into_iter().filter(in_use).collect();
        let booted = side_by_side(in_use, SIDE_BY_SIDE, |mode| {
            let step = ctx
                .ui
                .step(&format!("host without a mutant, {}", mode.name()));
            let (plan, outcome) = hosts.boot("none", mode, image, &step)?;
            step.end(&format!("{} steps done", outcome.ends.len()));
            // Against itself, only what is wrong with the host as a whole is noticed.
            let wrong = noticed(&plan, &outcome, &outcome);
            ensure!(
                wrong.is_none(),
                "without a mutant, {} is noticed in {}\nlog: {}",
                wrong.unwrap_or_default(),
                mode.name(),
                outcome.log.display()
            );
            Ok((mode, outcome))
        });
        hosts.without = booted.into_iter().collect::<Result<_>>()?;
        files::remove_all(image)?;
        Ok(hosts)
    }

    /// Boots a host. What fails without a mutant, is not tried with one.
    fn boot(&self, name: &str, mode: Mode, image: &Path, step: &Step) -> Result<(Plan, Outcome)> {
        let mut spec = matrix::mutant(&self.built.programs, mode)?;
        let without = self.without.get(&mode);
        if let Some(without) = without {
            let fails = |end: &End| matches!(contest::verdict(end), Verdict::Failed(_));
            let failed: Vec<&End> = without.ends.iter().filter(|end| fails(end)).collect();
            let is_one = |step: &plan::Step| failed.iter().any(|end| end.name == step.name);
            spec.plan.steps.retain(|step| !is_one(step));
        }
        let host = Host {
            name: format!("mutant-{name}-{}", mode.name()),
            kernel: image.to_owned(),
            stops_at_failure: without.is_some(),
            ..self.built.host(&spec)?
        };
        let outcome = boot::boot(self.ctx, &host, &self.built.programs, step)?;
        Ok((spec.plan, outcome))
    }

    /// None if no host notices it.
    fn judge(
        &self,
        mutant: &Mutant,
        build: impl FnOnce() -> Result<BuiltMutant>,
        step: &Step,
    ) -> Result<Option<Judgement>> {
        let image = match build()? {
            BuiltMutant::Unviable => return Ok(Some(Judgement::Unviable)),
            BuiltMutant::Same => return Ok(Some(Judgement::Same)),
            BuiltMutant::Refused => return Ok(Some(Judgement::Refused)),
            BuiltMutant::Image(image) => image,
        };
        let mut judgement = None;
        for &mode in modes(&mutant.file()) {
            let name = mutant.number.to_string();
            let (plan, outcome) = self.boot(&name, mode, &image, step)?;
            let without = self.without.get(&mode).context("booted without a mutant")?;
            if let Some(how) = noticed(&plan, &outcome, without) {
                judgement = Some(Judgement::Noticed(mode, how));
                break;
            }
        }
        files::remove_all(&image)?;
        Ok(judgement)
    }
}

/// What is first wrong with a host, or is not as it is on the one `without` a mutant.
fn noticed(plan: &Plan, outcome: &Outcome, without: &Outcome) -> Option<String> {
    for step in &plan.steps {
        let of = |end: &&End| end.name == step.name;
        // What follows a failure, or the end of the host, did not run.
        let Some(end) = outcome.ends.iter().find(of) else {
            break;
        };
        let Some(other) = without.ends.iter().find(of) else {
            return Some(format!("{} did not run", step.name));
        };
        let (found, expected) = (contest::verdict(end), contest::verdict(other));
        if found.word() != expected.word() {
            let how = match &found {
                Verdict::Failed(why) => why,
                other => other.word(),
            };
            return Some(format!("{}: {how}", step.name));
        }
        if let Some((why, _)) = compare::difference(end, other) {
            return Some(format!(
                "{}: {}",
                step.name,
                why.replace("with C", "without a mutant")
            ));
        }
    }
    let [cases, others] = [outcome, without].map(|outcome| console::kunit(&outcome.console));
    if let Some(case) = cases
        .iter()
        .find(|case| case.outcome == CaseOutcome::Failed)
    {
        return Some(format!("KUnit: {}", case.name));
    }
    let wrong = outcome.problems.iter().chain(&outcome.warnings).next();
    wrong.cloned().or_else(|| {
        (cases.len() != others.len()).then(|| format!("{} KUnit cases ran", cases.len()))
    })
}

/// Prints what came of it.
fn conclude(ctx: &Context, only: &str, of: usize, judged: &[(&Mutant, Judgement)]) -> Result<bool> {
    let mut rows: BTreeMap<String, [usize; 6]> = BTreeMap::new();
    for (mutant, judgement) in judged {
        let row = rows.entry(mutant.file()).or_default();
        row[match judgement {
            Judgement::Refused => 0,
            Judgement::Noticed(..) => 1,
            Judgement::Simulated(_) => 2,
            Judgement::Survived { .. } => 3,
            Judgement::Same => 4,
            Judgement::Unviable => 5,
        }] += 1;
        let (title, log) = (mutant.title(), ctx.logs.display());
        match judgement {
            Judgement::Noticed(mode, how) => {
                println!("noticed in {}: {title}: {how}", mode.name());
            }
            Judgement::Refused => {
                let number = mutant.number;
                println!("noticed by the build: {title}: {log}/mutants/{number}-link.log");
            }
            Judgement::Simulated(how) => {
                println!("noticed on the simulated CPU alone: {title}: {how}");
            }
            Judgement::Survived { explained } => {
                let explained = if *explained { " (explained)" } else { "" };
                println!("survived{explained}: {title}");
            }
            Judgement::Same | Judgement::Unviable => {}
        }
    }
    let head = [
        "mutated",
        "noticed by the build",
        "by a host",
        "by a test alone",
        "survived",
        "same code",
        "do not compile",
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(file, counts)| {
            let counts = counts.map(|count| count.to_string());
            [&[file], &counts[..]].concat()
        })
        .collect();
    println!("\n{}", table::render(&head, &rows));
    println!("logs: {}", ctx.logs.display());
    let report = Report {
        date: context::now(),
        commit: versions::commit(ctx).unwrap_or_else(|| "unknown".to_owned()),
        of: of as u64,
        ..Report::count(judged.iter().map(|(_, judgement)| judgement))
    };
    println!(
        "{} of {} viable mutants noticed by booted hosts ({:.1} %), {} of them by the build; \
         {} more by tests on the simulated CPU, {} survived, {} of them explained; {} compile to \
         the same code, {} do not compile",
        report.killed(),
        report.viable(),
        100.0 * report.killed() as f64 / report.viable().max(1) as f64,
        report.refused,
        report.simulated,
        report.survived,
        report.explained,
        report.same,
        report.unviable
    );
    if only.is_empty() {
        files::write_atomic(&ctx.result(REPORT), &serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(report.held())
}

#[cfg(test)]
mod tests {
    use super::super::find::find;
    use super::*;

    fn some() -> Vec<Mutant> {
        let text = "fn f(a: u8) -> bool { g(); a == 1 && a != 2 }";
        let mutant = |(found, number)| Mutant {
            number,
            file: Path::new(super::super::FOLDER).join("hyp/f.rs"),
            found,
        };
        find(text)
            .unwrap()
            .into_iter()
            .zip(1..)
            .map(mutant)
            .collect()
    }

    #[test]
    fn a_larger_set_has_the_smaller_one_in_it() {
        let mutants = some();
        let numbers = |count| {
            let chosen = choose(&mutants, count);
            chosen.iter().map(|m| m.number).collect::<Vec<_>>()
        };
        assert!(mutants.len() > 4);
        assert_eq!(numbers(2), numbers(4)[..2]);
        assert_eq!(numbers(100).len(), mutants.len());
    }

    #[test]
    fn a_host_in_each_mode_has_files_that_are_mutated() {
        let files = [
            "vhe/fp.rs",
            "nvhe/fp.rs",
            "nvhe/pkvm/sve.rs",
            "hyp.rs",
            "sve.rs",
        ];
        for file in files {
            assert!(!modes(file).is_empty());
        }
        assert_eq!(modes("nvhe/pkvm.rs"), [Mode::Protected]);
        assert_eq!(modes("nvhe.rs"), [Mode::Nvhe, Mode::Protected]);
    }

    fn outcome(steps: &[(&str, i32)], console: &str) -> Outcome {
        let end = |(name, code): &(&str, i32)| End {
            name: (*name).to_owned(),
            outcome: plan::Outcome::Exited,
            code: *code,
            seconds: 1.0,
            output_tail: String::new(),
            output: Vec::new(),
        };
        Outcome {
            ends: steps.iter().map(end).collect(),
            console: console.to_owned(),
            ..Outcome::default()
        }
    }

    #[test]
    fn what_differs_is_noticed() {
        let plan = Plan::of(
            ["a", "b"]
                .map(|name| plan::Step::new(name, &[], 1))
                .to_vec(),
        );
        let of = |outcome: &Outcome, without: &Outcome| noticed(&plan, outcome, without);
        let console = "[    1.000000]     # Subtest: s\n[    1.000000]     ok 1 c\n";
        let without = outcome(&[("a", 0), ("b", 4)], console);
        assert_eq!(of(&without, &without), None);

        let failed = outcome(&[("a", 1)], console);
        assert_eq!(of(&failed, &without).unwrap(), "a: exit status 1");
        let more = outcome(&[("a", 0), ("b", 0)], console);
        assert_eq!(of(&more, &without).unwrap(), "b: passed");
        let case = outcome(
            &[("a", 0), ("b", 4)],
            &console.replace("    ok", "    not ok"),
        );
        assert_eq!(of(&case, &case).unwrap(), "KUnit: s.c");
        let mut dead = outcome(&[("a", 0)], console);
        dead.problems.push("the host hangs".into());
        assert_eq!(of(&dead, &without).unwrap(), "the host hangs");
        let none = outcome(&[("a", 0), ("b", 4)], "");
        assert_eq!(of(&none, &without).unwrap(), "0 KUnit cases ran");
    }

    #[test]
    fn what_hosts_do_not_notice_somebody_else_must() {
        let held = |judgements: &[Judgement]| Report::count(judgements.iter()).held();
        let noticed = Judgement::Noticed(Mode::Vhe, "x".to_owned());
        let simulated = Judgement::Simulated("tests::x".to_owned());
        let survived = |explained| Judgement::Survived { explained };
        // Hosts that notice nothing are no judge.
        assert!(!held(&[Judgement::Same, Judgement::Unviable]));
        assert!(!held(&[simulated.clone(), survived(true)]));
        assert!(held(&[Judgement::Refused, Judgement::Same]));
        assert!(held(&[noticed.clone(), Judgement::Unviable]));
        assert!(held(&[noticed.clone(), simulated, survived(true)]));
        assert!(!held(&[noticed, survived(true), survived(false)]));
    }
}
