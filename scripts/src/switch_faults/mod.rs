// SPDX-License-Identifier: GPL-2.0
//! Deliberate mistakes in the world switch. Each is made in a copy of the
//! sources, and has to be noticed by the compiler or by a test; that the
//! sources as they are pass says that it is the mistake which is noticed.

mod compiled;
mod list;
mod simulated;
mod together;

use crate::context::Context;
use crate::earlier::{self, Came, Inputs};
use crate::faults;
use crate::kernel::Kernel;
use crate::plan::Verdict;
use crate::progress::Step;
use crate::results::Results;
use crate::side_by_side::side_by_side;
use anyhow::Result;
use compiled::Compiled;
use list::{Fault, Judge};
use simulated::Simulated;

/// How many steps it takes.
pub fn steps_to_come(ctx: &Context) -> Result<usize> {
    let faults = list::read(&ctx.checkout)?;
    let judges = Judge::ALL
        .iter()
        .filter(|judge| faults.iter().any(|fault| fault.judge == **judge));
    Ok(faults.len() + judges.count())
}

/// Which mistakes are made.
#[derive(Clone, Copy)]
pub struct Which<'a> {
    /// Those with this in their names.
    pub only: &'a str,
    /// Not those that were noticed in an earlier run, which are recalled.
    pub recall: bool,
}

/// Makes the mistakes that tests on the simulated CPU have to notice, one at a time. Returns
/// how many there were.
pub fn simulate(ctx: &Context, which: Which<'_>, results: &mut Results) -> Result<usize> {
    let judge = Judge::SimulatedCpu;
    let all = list::read(&ctx.checkout)?;
    let faults = which.of(&all, judge);
    if !faults.is_empty() {
        let simulated = Simulated::new(ctx, &faults)?;
        which.trial(ctx, judge, &faults).all(
            results,
            |inputs| simulated.inputs(inputs),
            |step| simulated.control(step),
            |fault, step| simulated.noticed(fault, step),
        );
    }
    Ok(faults.len())
}

/// As [`simulate`], of those that have to be noticed in kernels: `c` and `rust`, which were built
/// from this checkout, show how they are compiled.
pub fn compile(
    ctx: &Context,
    c: &Kernel,
    rust: &Kernel,
    which: Which<'_>,
    results: &mut Results,
) -> Result<usize> {
    let all = list::read(&ctx.checkout)?;
    let mut made = 0;
    for judge in Judge::OF_KERNELS {
        let faults = which.of(&all, judge);
        if !faults.is_empty() {
            let compiled = Compiled::new(ctx, c, rust)?;
            which.trial(ctx, judge, &faults).all(
                results,
                |inputs| compiled.inputs(inputs),
                |step| compiled.control(judge, &faults, step),
                |fault, step| compiled.noticed(fault, step),
            );
        }
        made += faults.len();
    }
    Ok(made)
}

impl Which<'_> {
    /// Those of `all` that `judge` has to notice.
    fn of(self, all: &[Fault], judge: Judge) -> Vec<&Fault> {
        let wanted = |fault: &&Fault| fault.judge == judge && name(fault).contains(self.only);
        all.iter().filter(wanted).collect()
    }

    fn trial<'a>(self, ctx: &'a Context, judge: Judge, faults: &'a [&'a Fault]) -> Trial<'a> {
        Trial {
            ctx,
            judge,
            recall: self.recall,
            faults,
        }
    }
}

/// The name of the test that a fault is.
fn name(fault: &Fault) -> String {
    format!("{}switch-{}", faults::PREFIX, fault.name)
}

/// A judge, and what it has to judge.
struct Trial<'a> {
    ctx: &'a Context,
    judge: Judge,
    recall: bool,
    faults: &'a [&'a Fault],
}

impl Trial<'_> {
    /// Has the judge look at the sources as they are, and at each fault, two at a time.
    /// `inputs` adds what the judge depends on.
    fn all(
        &self,
        results: &mut Results,
        inputs: impl Fn(Inputs) -> Result<Inputs> + Sync,
        control: impl FnOnce(&Step) -> Result<()>,
        noticed: impl Fn(&Fault, &Step) -> Result<()> + Sync,
    ) {
        let ui = &self.ctx.ui;
        let none = format!("switch-faults/none-{}", self.judge.name());
        let came = self.one(&none, self.recall, self.faults, &inputs, control);
        let as_it_is = came.result.is_ok();
        let add = |results: &mut Results, name: String, came: Came<()>| {
            let recalled = came.recalled;
            let (verdict, detail) = Verdict::of(came.result);
            results.add_recalled(ui, name, verdict, &detail, recalled.as_deref());
        };
        add(results, none.clone(), came);
        let verdicts = side_by_side(self.faults.to_vec(), 2, |fault| {
            let recall = self.recall && as_it_is;
            self.one(&name(fault), recall, &[fault], &inputs, |step| {
                anyhow::ensure!(as_it_is, "not tried: {none} failed");
                noticed(fault, step)
            })
        });
        for (fault, came) in self.faults.iter().zip(verdicts) {
            add(results, name(fault), came);
        }
    }

    /// Runs a test that is about `faults`, or recalls that it passed.
    fn one(
        &self,
        name: &str,
        recall: bool,
        faults: &[&Fault],
        inputs: impl Fn(Inputs) -> Result<Inputs>,
        test: impl FnOnce(&Step) -> Result<()>,
    ) -> Came<()> {
        let step = self.ctx.ui.step(name);
        let inputs = || {
            inputs(of_faults(
                Inputs::of(self.ctx, name).judge(self.ctx)?,
                faults,
            ))
        };
        let came = earlier::recall_or_run(self.ctx, recall, inputs, || test(&step));
        let word = if came.result.is_ok() {
            "passed"
        } else {
            "FAILED"
        };
        step.end(&earlier::outcome(came.recalled.as_deref(), word));
        came
    }
}

/// With all that the list says of `faults`.
fn of_faults(inputs: Inputs, faults: &[&Fault]) -> Inputs {
    faults.iter().fold(inputs, |inputs, fault| {
        inputs.value(&fault.name, &format!("{fault:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earlier::tests::context;
    use anyhow::ensure;
    use std::sync::Mutex;

    const FAULT: &str = "[[fault]]\nname = 'a'\nfile = 'f.rs'\ntext = 'one'\n\
        replacement = 'two'\nwhy = 'w'\njudge = 'build'\nsays = 's'\n";

    /// A judge that says what it looks at.
    struct Fake {
        looked_at: Mutex<Vec<String>>,
        as_it_is: bool,
        notices: bool,
    }

    impl Fake {
        fn look_at(&self, what: &str) {
            self.looked_at.lock().unwrap().push(what.to_owned());
        }
    }

    /// Tries the faults in `list`. Returns what was looked at, and how many of the tests
    /// passed.
    fn try_all(ctx: &Context, list: &str, kernel: &str, fake: Fake) -> (Vec<String>, usize) {
        let faults = list::parse(list).unwrap();
        let trial = Trial {
            ctx,
            judge: Judge::Build,
            recall: true,
            faults: &faults.iter().collect::<Vec<_>>(),
        };
        let mut results = Results::default();
        trial.all(
            &mut results,
            |inputs| Ok(inputs.value("kernel", kernel)),
            |_| {
                fake.look_at("none");
                ensure!(fake.as_it_is, "it does not compile");
                Ok(())
            },
            |fault, _| {
                fake.look_at(&fault.name);
                ensure!(fake.notices, "not noticed");
                Ok(())
            },
        );
        let mut looked_at = fake.looked_at.into_inner().unwrap();
        looked_at.sort();
        (looked_at, results.counts().0)
    }

    fn fake() -> Fake {
        Fake {
            looked_at: Mutex::default(),
            as_it_is: true,
            notices: true,
        }
    }

    #[test]
    fn what_was_noticed_is_recalled_until_something_changes() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let try_all = |list: &str, kernel| try_all(&ctx, list, kernel, fake());
        let two = format!("{FAULT}{}", FAULT.replace("'a'", "'b'"));
        assert_eq!(
            try_all(&two, "1"),
            (vec!["a".into(), "b".into(), "none".into()], 3)
        );
        assert_eq!(try_all(&two, "1"), (vec![], 3), "recalled, and counted");
        // Each part of an entry, of that fault alone.
        for (what, instead) in [
            ("'f.rs'", "'g.rs'"),
            ("'one'", "'ones'"),
            ("'two'", "'twos'"),
            ("'w'", "'v'"),
            ("'s'", "'t'"),
        ] {
            let changed = two.replacen(what, instead, 1);
            let expected = vec!["a".into(), "none".into()];
            assert_eq!(try_all(&changed, "1"), (expected, 3), "{instead}");
            assert_eq!(try_all(&changed, "1"), (vec![], 3), "{instead}");
        }
        assert_eq!(try_all(&two, "2").0.len(), 3, "another kernel");
        // What judges.
        std::fs::write(ctx.checkout.join("scripts/src/main.rs"), "").unwrap();
        assert_eq!(try_all(&two, "2").0.len(), 3);
        assert_eq!(try_all(&two, "2").0.len(), 0);
    }

    #[test]
    fn nothing_is_recalled_of_a_judge_that_takes_anything_for_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = context(dir.path(), "a");
        let unnoticed = || Fake {
            notices: false,
            ..fake()
        };
        let both = || vec!["a".to_owned(), "none".to_owned()];
        assert_eq!(try_all(&ctx, FAULT, "1", unnoticed()), (both(), 1));
        let again = try_all(&ctx, FAULT, "1", unnoticed());
        assert_eq!(again, (vec!["a".to_owned()], 1), "a failure is not kept");
        assert_eq!(try_all(&ctx, FAULT, "1", fake()).1, 2);
        // The other fault of the same list makes the judge look at the sources again.
        let two = format!("{FAULT}{}", FAULT.replace("'a'", "'b'"));
        let blind = Fake {
            as_it_is: false,
            ..fake()
        };
        assert_eq!(
            try_all(&ctx, &two, "1", blind),
            (vec!["none".to_owned()], 0)
        );
    }
}
