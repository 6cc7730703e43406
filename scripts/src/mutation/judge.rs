// SPDX-License-Identifier: GPL-2.0
//! The judge: the tests on the simulated CPU, of which those are run for a mutant
//! that come to its code.

use crate::changed_copy::TRY;
use crate::context::Context;
use crate::process::{self, Running};
use crate::progress::Step;
use anyhow::{bail, ensure, Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Tests that look at the text of the sources, at machine code or at the simulated
/// CPU itself, and run nothing of what is mutated.
const WITHOUT_MUTANTS: [&str; 3] = [
    "tests::disassembly::",
    "tests::emulator::",
    "no_value_of_the_hosts_is_named_twice_in_a_flush",
];
/// Tests that take less are run in one process.
const SHORT: Duration = Duration::from_millis(500);
/// Memory that the tests of a mutant may take, in bytes: some have no end of
/// states.
const MEMORY: u64 = 6 << 30;
/// What the name of a test has whose code runs in threads without a name.
const WITH_THREADS: &str = "::exploration::";

/// The tests, compiled with all mutants in the code.
pub struct Judge<'a> {
    ctx: &'a Context,
    program: PathBuf,
    folder: PathBuf,
    times: BTreeMap<String, Duration>,
    reached: BTreeMap<u32, BTreeSet<String>>,
}

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// A test noticed: which one, or how it ended.
    Killed(String),
    /// No test noticed.
    Survived,
    /// No test comes to the code.
    NotReached,
}

/// How a process with tests ended.
enum Ended {
    Passed,
    Noticed(String),
}

impl<'a> Judge<'a> {
    /// Runs the tests with no mutant, to see that they pass, what they take,
    /// and what they come to.
    pub fn new(ctx: &'a Context, program: PathBuf, folder: PathBuf, step: &Step) -> Result<Self> {
        let log = ctx.log("mutants-none");
        let list = ctx.logs.join("mutants-reached");
        let mut command = Command::new(&program);
        command
            .args(["-Zunstable-options", "--report-time"])
            .args(WITHOUT_MUTANTS.iter().flat_map(|test| ["--skip", test]))
            // For how long each takes.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("KVM_RUST_REACHED", &list)
            .current_dir(&folder);
        process::run(&mut command, &log, step)
            .context("the tests do not pass with the mutants in the code and none tried")?;
        let text = read(&log)?;
        let times = times(&text);
        ensure!(!times.is_empty(), "no test ran\nlog: {}", log.display());
        let reached = reached(&read(&list)?, times.keys());
        Ok(Self {
            ctx,
            program,
            folder,
            times,
            reached,
        })
    }

    /// How many tests there are.
    pub fn tests(&self) -> usize {
        self.times.len()
    }

    /// Tries a mutant.
    pub fn judge(&self, number: u32) -> Result<Judgement> {
        let Some(reached) = self.reached.get(&number) else {
            return Ok(Judgement::NotReached);
        };
        let mut tests: Vec<(&str, Duration)> = reached
            .iter()
            .filter_map(|test| Some((test.as_str(), *self.times.get(test)?)))
            .collect();
        tests.sort_by_key(|(_, time)| *time);
        let short = tests.partition_point(|(_, time)| *time < SHORT);
        let (short, long) = tests.split_at(short);
        let groups = [short].into_iter().chain(long.chunks(1));
        for group in groups.filter(|group| !group.is_empty()) {
            if let Ended::Noticed(how) = self.run(number, group)? {
                return Ok(Judgement::Killed(how));
            }
        }
        Ok(Judgement::Survived)
    }

    fn run(&self, number: u32, tests: &[(&str, Duration)]) -> Result<Ended> {
        let log = self.ctx.logs.join("mutants").join(format!("{number}.log"));
        fs::create_dir_all(log.parent().context("the log has a folder")?)?;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--as={MEMORY}"))
            .arg(&self.program)
            .args(["--exact", "--test-threads=1"])
            .args(tests.iter().map(|(test, _)| test))
            .env(TRY, number.to_string())
            .env("RUST_BACKTRACE", "0")
            // What is printed is a new file for each, which a counterexample
            // that was found before is not to be part of.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(file.try_clone().context("cannot share the log")?)
            .stdout(file);
        // Beside others, and where a mutant makes it longer.
        let usual: Duration = tests.iter().map(|(_, time)| *time).sum();
        let limit = usual * 5 + Duration::from_secs(20);
        let start = Instant::now();
        let mut running = Running::start(&mut command)?;
        loop {
            let status = running.poll()?;
            if let Some(test) = first_failure(&read(&log)?) {
                return Ok(Ended::Noticed(test));
            }
            match status {
                Some(status) if status.success() => return Ok(Ended::Passed),
                Some(status) if !has_begun(&read(&log)?) => bail!(
                    "not tried: the tests do not begin, {}\nlog: {}",
                    process::describe(status),
                    log.display()
                ),
                Some(status) => return Ok(Ended::Noticed(process::describe(status))),
                None if start.elapsed() > limit => {
                    return Ok(Ended::Noticed("it did not end".to_owned()))
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

/// What tests printed, which need not be text.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The tests that passed and what they took, by what libtest prints.
fn times(text: &str) -> BTreeMap<String, Duration> {
    let time = |line: &str| {
        let (name, time) = line.strip_prefix("test ")?.split_once(" ... ok <")?;
        let seconds: f64 = time.strip_suffix("s>")?.parse().ok()?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        Some((name.to_owned(), Duration::from_secs_f64(seconds)))
    };
    text.lines().filter_map(time).collect()
}

/// Whether there was a test that could fail, by what libtest prints.
fn has_begun(text: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with("running ") && line.contains(" test"))
}

/// The first test that failed, by what libtest prints.
fn first_failure(text: &str) -> Option<String> {
    let name = |line: &str| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.to_owned())
    };
    text.lines().find_map(name)
}

/// Which tests come to which mutants.
fn reached<'t>(
    text: &str,
    tests: impl Iterator<Item = &'t String> + Clone,
) -> BTreeMap<u32, BTreeSet<String>> {
    let mut reached: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some((number, test)) = line.split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let by = reached.entry(number).or_default();
        match test {
            "" => by.extend(
                tests
                    .clone()
                    .filter(|test| test.contains(WITH_THREADS))
                    .cloned(),
            ),
            test => {
                by.insert(test.to_owned());
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtest_prints_is_understood() {
        let text = "running 3 tests\ntest a::b ... ok <0.250s>\ntest c ... ignored\n\
            test d - should panic ... ok <1.5s>\ntest e ... FAILED <0.1s>\n";
        let found = times(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found["a::b"], Duration::from_millis(250));
        assert_eq!(found["d"], Duration::from_millis(1500));
        assert_eq!(
            first_failure("test a ... ok\ntest b ... FAILED\n"),
            Some("b".into())
        );
        assert_eq!(first_failure("test a ... ok\ntest b ... "), None);
    }

    #[test]
    fn threads_without_a_name_are_those_of_the_exploration() {
        let tests = ["tests::a", "tests::exploration::b"].map(str::to_owned);
        let found = reached("1 tests::a\n2 \n3\n", tests.iter());
        assert_eq!(found.len(), 2);
        assert_eq!(found[&1].iter().collect::<Vec<_>>(), ["tests::a"]);
        assert_eq!(
            found[&2].iter().collect::<Vec<_>>(),
            ["tests::exploration::b"]
        );
    }
}
