// SPDX-License-Identifier: GPL-2.0
//! The unit tests of cargo, one by one: read from what `cargo test` prints.

use crate::error::hinted;
use crate::plan::Verdict;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A unit test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitTest {
    /// The program that it is in, such as simulated_cpu.
    pub program: String,
    /// Its path there, such as tests::pkvm::b22_x.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What was printed, as far as it was understood.
#[derive(Debug, Default)]
pub struct Printed {
    /// The tests, in the order in which they ended.
    pub tests: Vec<UnitTest>,
    /// How many there were to be.
    announced: usize,
}

impl Printed {
    /// Reads `text`. Other output of the tests may be in it.
    pub fn parse(text: &str) -> Self {
        let mut printed = Self::default();
        let mut program = String::new();
        // Without capture, a test prints between its name and its outcome.
        let mut running: Option<String> = None;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(next) = program_of(line) {
                printed.broken_off(&program, running.take());
                program = next;
            } else if let Some(count) = announced(line) {
                printed.announced += count;
            } else if let Some(name) = failed_output_of(line) {
                let output = std::iter::from_fn(|| lines.next_if(|line| !ends_output(line)));
                if let Some(why) = panic_in(output) {
                    printed.explain(&program, name, why);
                }
            } else if let Some((name, outcome)) = outcome_of(line) {
                match verdict(outcome) {
                    Some(verdict) => printed.add(&program, name, verdict),
                    None => running = Some(name.to_owned()),
                }
            } else if let (Some(name), Some(verdict)) = (&running, verdict(line)) {
                printed.add(&program, name, verdict);
                running = None;
            }
        }
        printed.broken_off(&program, running);
        printed
    }

    /// Fails unless all tests that were announced are there. Only for tests that
    /// ran to their end: one that aborts takes the others with it.
    pub fn check_whole(&self) -> Result<()> {
        if self.tests.len() == self.announced {
            return Ok(());
        }
        Err(hinted(
            format!(
                "of {} unit tests, the results of {} were read",
                self.announced,
                self.tests.len()
            ),
            "bring scripts/src/libtest.rs in line with what cargo test prints",
        ))
    }

    fn add(&mut self, program: &str, name: &str, verdict: Verdict) {
        self.tests.push(UnitTest {
            program: program.to_owned(),
            name: name.to_owned(),
            verdict,
        });
    }

    /// A test that began and did not end.
    fn broken_off(&mut self, program: &str, running: Option<String>) {
        if let Some(name) = running {
            let why = "did not end: its program did";
            self.add(program, &name, Verdict::Failed(why.to_owned()));
        }
    }

    /// Says why a test failed.
    fn explain(&mut self, program: &str, name: &str, why: String) {
        let mut all = self.tests.iter_mut().rev();
        let found = all.find(|test| test.program == program && test.name == name);
        if let Some(UnitTest {
            verdict: Verdict::Failed(reason),
            ..
        }) = found
        {
            *reason = why;
        }
    }
}

/// The program that cargo says it runs now.
fn program_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(name.to_owned());
    }
    let (_, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let file = path.strip_suffix(')')?.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).into())
}

/// How many tests libtest says will run.
fn announced(line: &str) -> Option<usize> {
    let (count, rest) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(rest, "test" | "tests").then(|| count.parse().ok())?
}

/// The name of a test, and what follows it in its line.
fn outcome_of(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let name = [" - should panic", " - compile fail", " - compile"]
        .iter()
        .find_map(|kind| name.strip_suffix(kind))
        .unwrap_or(name);
    Some((name, outcome))
}

fn verdict(outcome: &str) -> Option<Verdict> {
    match outcome {
        "ok" => Some(Verdict::Passed),
        "FAILED" => Some(Verdict::Failed("failed".to_owned())),
        "ignored" => Some(Verdict::Skipped("ignored".to_owned())),
        _ => {
            let why = outcome.strip_prefix("ignored, ")?;
            Some(Verdict::Skipped(why.to_owned()))
        }
    }
}

/// The test whose output begins below this line.
fn failed_output_of(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// Whether the output of a test that failed is over.
fn ends_output(line: &str) -> bool {
    line.starts_with("---- ") || line == "failures:" || line.starts_with("test result: ")
}

/// The message of the panic in a test's output, and where it was.
fn panic_in<'a>(output: impl Iterator<Item = &'a str>) -> Option<String> {
    const AT: &str = " panicked at ";
    let mut output = output.skip_while(|line| !line.contains(AT));
    let (_, place) = output.next()?.split_once(AT)?;
    let place = place.trim_end_matches(':');
    match output.next().map(str::trim).filter(|text| !text.is_empty()) {
        Some(message) => Some(format!("{message} ({place})")),
        None => Some(format!("panicked at {place}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
$ cargo test --locked --workspace
   Compiling fp v0.1.0 (/src/selftests/fp)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 1m 3s
     Running unittests src/lib.rs (/cache/debug/deps/simulated_cpu-5a2b44dcbd808c8a)

running 5 tests
test tests::b01_b25_no_state_is_wrong ... ok
test tests::another_register_is_noticed - should panic ... ok
test tests::any_machine ... ignored, minutes: make test-full
test tests::b12_zcr has been running for over 60 seconds
test tests::b12_zcr ... FAILED
test tests::b13_sve ... FAILED

failures:

---- tests::b12_zcr stdout ----

thread 'tests::b12_zcr' (77) panicked at src/tests/sve.rs:7:9:
assertion `left == right` failed: of the guest
  left: 1
 right: 2

---- tests::b13_sve stdout ----
Error: no such thing


failures:
    tests::b12_zcr
    tests::b13_sve

test result: FAILED. 2 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests fp

running 1 test
test fp/src/lib.rs - kind (line 3) ... ok
";

    fn test(program: &str, name: &str, verdict: Verdict) -> UnitTest {
        UnitTest {
            program: program.to_owned(),
            name: name.to_owned(),
            verdict,
        }
    }

    #[test]
    fn each_test_has_its_program_and_its_outcome() {
        let printed = Printed::parse(PRINTED);
        let failed = |why: &str| Verdict::Failed(why.to_owned());
        let cpu = |name, verdict| test("simulated_cpu", name, verdict);
        let expected = [
            cpu("tests::b01_b25_no_state_is_wrong", Verdict::Passed),
            cpu("tests::another_register_is_noticed", Verdict::Passed),
            cpu(
                "tests::any_machine",
                Verdict::Skipped("minutes: make test-full".to_owned()),
            ),
            cpu(
                "tests::b12_zcr",
                failed("assertion `left == right` failed: of the guest (src/tests/sve.rs:7:9)"),
            ),
            cpu("tests::b13_sve", failed("failed")),
            test("fp", "fp/src/lib.rs - kind (line 3)", Verdict::Passed),
        ];
        assert_eq!(printed.tests, expected);
        printed.check_whole().unwrap();
    }

    #[test]
    fn output_may_come_between_name_and_outcome() {
        let text = "running 3 tests\ntest a ... {\"states\":1}\n[Vhe] 2 runs\nok\n\
                    test b ... ok\ntest c ... \nthread 'c' panicked at x.rs:1:1:\n";
        let printed = Printed::parse(text);
        let expected = [
            test("", "a", Verdict::Passed),
            test("", "b", Verdict::Passed),
            test(
                "",
                "c",
                Verdict::Failed("did not end: its program did".to_owned()),
            ),
        ];
        assert_eq!(printed.tests, expected);
    }

    #[test]
    fn tests_whose_outcome_was_not_read_are_missed() {
        let printed = Printed::parse("running 2 tests\ntest a ... ok\ntest b: fine\n");
        let error = printed.check_whole().unwrap_err().to_string();
        assert_eq!(error, "of 2 unit tests, the results of 1 were read");
    }
}
