// SPDX-License-Identifier: GPL-2.0
//! What hosts with the C kernel did in earlier runs. They are what Rust is
//! measured against; while their kernel, programs, plan and emulator are the
//! same to the bit, there is nothing to learn from booting them again.

use crate::boot::Outcome;
use crate::console::{self, CaseOutcome};
use crate::contest::{self, Guests};
use crate::context::Context;
use crate::files;
use crate::host::Mode;
use crate::kselftests;
use crate::plan::{self, End, Verdict};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;

/// How many outcomes are kept.
const KEEP: usize = 60;

fn place(ctx: &Context, identity: &str) -> PathBuf {
    ctx.cache.join("reference").join(format!("{identity}.json"))
}

/// What the host with this identity did, if that is known and was flawless.
pub fn recall(ctx: &Context, identity: &str) -> Option<Outcome> {
    let bytes = fs::read(place(ctx, identity)).ok()?;
    let outcome: Outcome = serde_json::from_slice(&bytes).ok()?;
    Some(Outcome {
        earlier: true,
        before: None,
        ..outcome
    })
}

/// True where the host came to the end of its plan of `steps` steps without a
/// flaw. A selftest that cannot pass there is none.
fn is_flawless(outcome: &Outcome, mode: Mode, steps: usize) -> bool {
    let end_is_fine = |end: &End| match Guests::of_step(&end.name) {
        Some(_) => contest::verdict(end) == Verdict::Passed,
        // What failed by accident must not become the rule.
        None => match end.verdict() {
            Verdict::Passed | Verdict::Skipped(_) => true,
            Verdict::Failed(_) => {
                end.outcome == plan::Outcome::Exited && kselftests::cannot_pass(mode, &end.name)
            }
        },
    };
    let kunit = console::kunit(&outcome.console);
    outcome.ends.len() == steps
        && outcome.problems.is_empty()
        && outcome.warnings.is_empty()
        && outcome.ends.iter().all(end_is_fine)
        && kunit.iter().all(|case| case.outcome != CaseOutcome::Failed)
}

/// Keeps what the host with this identity did, if it was flawless.
pub fn keep(
    ctx: &Context,
    identity: &str,
    outcome: &Outcome,
    mode: Mode,
    steps: usize,
) -> Result<()> {
    if !is_flawless(outcome, mode, steps) {
        return Ok(());
    }
    let path = place(ctx, identity);
    files::write_atomic(&path, &serde_json::to_vec(outcome)?)?;
    forget_oldest(path)
}

fn forget_oldest(path: PathBuf) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut known: Vec<_> = entries
        .flatten()
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    known.sort();
    for (_, old) in &known[..known.len().saturating_sub(KEEP)] {
        files::remove_all(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Ui;
    use std::sync::Arc;

    #[test]
    fn only_flawless_hosts_are_recalled() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context {
            checkout: dir.path().into(),
            cache: dir.path().into(),
            logs: Arc::new(dir.path().into()),
            ui: Ui::new(),
            no_build: false,
        };
        assert!(recall(&ctx, "a").is_none());
        let flawed = Outcome {
            warnings: vec!["WARNING:".into()],
            ..Outcome::default()
        };
        keep(&ctx, "a", &flawed, Mode::Vhe, 0).unwrap();
        assert!(recall(&ctx, "a").is_none());
        keep(&ctx, "a", &Outcome::default(), Mode::Vhe, 1).unwrap();
        assert!(recall(&ctx, "a").is_none(), "a step did not end");
        keep(
            &ctx,
            "a",
            &Outcome {
                boot_ms: 7,
                ..Outcome::default()
            },
            Mode::Vhe,
            0,
        )
        .unwrap();
        let outcome = recall(&ctx, "a").unwrap();
        assert!(outcome.earlier && outcome.boot_ms == 7);
        assert!(recall(&ctx, "b").is_none());
    }
}
