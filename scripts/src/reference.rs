// SPDX-License-Identifier: GPL-2.0
//! What hosts with the C kernel did in earlier runs. They are what Rust is
//! measured against; while their kernel, programs, plan and emulator are the
//! same to the bit, there is nothing to learn from booting them again.

use crate::boot::{self, Host, Outcome};
use crate::console::{self, CaseOutcome};
use crate::contest::{self, Guests};
use crate::context::Context;
use crate::earlier::Store;
use crate::host::Mode;
use crate::image::Programs;
use crate::kselftests;
use crate::plan::{self, End, Verdict};
use crate::progress::Step;
use anyhow::Result;

/// How many outcomes and recordings are kept. A run of `make test` has nine
/// and five.
const KEEP: usize = 100;

fn store(ctx: &Context) -> Store {
    Store::new(ctx, "reference", KEEP)
}

/// What is wrong with a host as a whole, if anything is: it broke off, or its
/// kernel complained.
fn flaw(outcome: &Outcome) -> Option<String> {
    let flaws: Vec<&str> = (outcome.problems.iter().chain(&outcome.warnings))
        .map(String::as_str)
        .collect();
    let log = outcome.log.display();
    (!flaws.is_empty()).then(|| format!("{}, log: {log}", flaws.join("; ")))
}

/// Boots a host with the C kernel. One that breaks off, or whose kernel
/// complains, did not show what Rust is held against; a second one may.
pub fn boot(ctx: &Context, host: Host, programs: &Programs, step: &Step) -> Result<Outcome> {
    let outcome = boot::boot(ctx, &host, programs, step)?;
    let Some(problem) = flaw(&outcome) else {
        return Ok(outcome);
    };
    ctx.ui
        .line(&format!("host {}: {problem}; booting it again", host.name));
    let again = Host {
        name: format!("{}-again", host.name),
        ..host
    };
    Ok(Outcome {
        before: Some(problem),
        ..boot::boot(ctx, &again, programs, step)?
    })
}

/// What the host with this identity did, if that is known and was flawless.
pub fn recall(ctx: &Context, identity: &str) -> Option<Outcome> {
    let kept = store(ctx).recall(identity)?;
    let outcome: Outcome = serde_json::from_slice(&kept.bytes).ok()?;
    // What counts as one may be more by now.
    if !console::warnings(&outcome.console).is_empty() {
        return None;
    }
    Some(Outcome {
        recalled: Some(kept.date),
        before: None,
        ..outcome
    })
}

/// True where the host came to the end of its plan of `steps` steps without a
/// flaw. A selftest that cannot pass there is none.
fn is_flawless(outcome: &Outcome, mode: Mode, steps: usize) -> bool {
    let end_is_fine = |end: &End| match contest::verdict(end) {
        Verdict::Passed => true,
        Verdict::Skipped(_) => Guests::of_step(&end.name).is_none(),
        // What failed by accident must not become the rule.
        Verdict::Failed(_) => {
            end.outcome == plan::Outcome::Exited && kselftests::cannot_pass(mode, &end.name)
        }
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
    store(ctx).keep(identity, &serde_json::to_vec(outcome)?)
}

/// What the TCG plugin recorded on the host with this identity, if an earlier
/// run kept that.
pub fn recall_recording(ctx: &Context, identity: &str) -> Option<Vec<u8>> {
    Some(store(ctx).recall(identity)?.bytes)
}

/// Keeps what the TCG plugin recorded on the host with this identity.
pub fn keep_recording(ctx: &Context, identity: &str, recording: &[u8]) -> Result<()> {
    store(ctx).keep(identity, recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_breaks_off_or_warns_is_booted_again() {
        assert_eq!(flaw(&Outcome::default()), None);
        let outcome = Outcome {
            problems: vec!["QEMU was killed".into()],
            warnings: vec!["WARNING: at f".into()],
            log: "x.log".into(),
            ..Outcome::default()
        };
        let expected = "QEMU was killed; WARNING: at f, log: x.log";
        assert_eq!(flaw(&outcome).as_deref(), Some(expected));
    }

    #[test]
    fn recordings_are_kept_by_identity() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::of_test(dir.path(), dir.path());
        assert!(recall_recording(&ctx, "a").is_none());
        keep_recording(&ctx, "a", b"{}").unwrap();
        assert_eq!(recall_recording(&ctx, "a").unwrap(), b"{}");
        assert!(recall_recording(&ctx, "b").is_none());
    }

    #[test]
    fn only_flawless_hosts_are_recalled() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::of_test(dir.path(), dir.path());
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
        assert!(outcome.recalled.is_some() && outcome.boot_ms == 7);
        assert!(recall(&ctx, "b").is_none());
        let warns = Outcome {
            console: "[    1.000000] WARNING: at f\n".into(),
            ..Outcome::default()
        };
        keep(&ctx, "c", &warns, Mode::Vhe, 0).unwrap();
        assert!(recall(&ctx, "c").is_none(), "it is judged again");
    }
}
