// SPDX-License-Identifier: GPL-2.0
//! `make patches`: this repository as patches that can be sent: reviewable
//! steps with a cover letter, as scripts/series.toml declares them.

mod accepted;
pub mod boots;
mod checkpatch;
pub mod identity;
mod lines;
mod mail;
mod maintainers;
mod place;
mod repository;
mod steps;

use crate::context::Context;
use crate::lock::Lock;
use crate::overlay::Overlay;
use crate::progress::Step;
use crate::source::{self, Source};
use crate::version::Version;
use crate::{checks, files, process};
use accepted::Accepted;
use anyhow::{Context as _, Result};
use checkpatch::Remark;
use identity::Identity;
use lines::Lines;
use repository::Repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use steps::Series;

/// The series as mails in a folder.
struct Made {
    repository: Repository,
    overlay: Overlay,
    /// The patches, in order.
    mails: Vec<PathBuf>,
    lines: Lines,
}

/// Makes the series of this checkout against `source`, as mails in `folder`.
fn make(ctx: &Context, source: &Source, identity: &Identity, folder: &Path) -> Result<Made> {
    let overlay = Overlay::read(&ctx.checkout)?;
    let series = Series::read(&ctx.checkout)?;
    let steps = series.steps(&overlay)?;
    let date = process::output(checks::git(ctx).args(["log", "-1", "--format=%ct"]))
        .context("the series has the date of the last commit")?;
    let repository = Repository::new(&source.path, &overlay, identity, date.trim())?;
    repository.commit_steps(&steps, &overlay)?;
    let lines = Lines::of(&repository.changed_lines(&overlay)?);
    let text = cover_text(&series.cover.text, &source.version, &lines);
    files::remove_all(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut mails = repository.format(&series, &text, folder)?;
    anyhow::ensure!(
        mails.len() == steps.len() + 1,
        "git made {} mails of {} steps",
        mails.len(),
        steps.len()
    );
    let cover = mails.remove(0);
    let text = files::read_text(&cover)?;
    let mut text = without_new_names(&text);
    text.push_str(&trailers(&series.change_id, base_commit(source).as_deref()));
    fs::write(&cover, text).with_context(|| format!("cannot write {}", cover.display()))?;
    Ok(Made {
        repository,
        overlay,
        mails,
        lines,
    })
}

/// The text of the cover letter, with what only the tree can tell.
fn cover_text(text: &str, version: &Version, lines: &Lines) -> String {
    format!(
        "{}\n\nThe series is against Linux {version}. Outside of the folders that it adds, it\n\
         changes {} lines of C and Kbuild.\n",
        text.trim(),
        lines.total()
    )
}

/// A cover letter without the names of new files, which its diffstat has already:
/// git cannot be told to leave them out.
fn without_new_names(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with(" create mode "))
        .collect()
}

/// What b4 reads at the end of a cover letter.
fn trailers(change_id: &str, base_commit: Option<&str>) -> String {
    let base = base_commit.map_or(String::new(), |commit| format!("base-commit: {commit}\n"));
    format!("---\n{base}change-id: {change_id}\n")
}

/// The commit that `source` is, where it is one of git's.
fn base_commit(source: &Source) -> Option<String> {
    if !source.path.join(".git").exists() {
        return None;
    }
    let commit = process::output(
        Command::new("git")
            .args(["-c", "safe.directory=*", "-C"])
            .arg(&source.path)
            .args(["rev-parse", "--verify", "HEAD"]),
    );
    Some(commit.ok()?.trim().to_owned())
}

/// The series, and what there is to say against it.
struct Judged {
    source: Source,
    made: Made,
    /// Remarks of checkpatch.pl that stay.
    accepted: usize,
    /// Those that do not.
    remarks: Vec<Remark>,
    problems: Vec<String>,
}

/// Makes the series in `folder` as `identity`, and looks for all that there is to say against
/// it. What checkpatch.pl prints is in `log`.
fn judge(
    ctx: &Context,
    identity: &Identity,
    folder: &Path,
    log: &Path,
    step: &Step,
) -> Result<Judged> {
    let accepted = Accepted::read(&ctx.checkout)?;
    let source = source::find(ctx)?;
    let made = make(ctx, &source, identity, folder)?;
    step.at("git am");
    made.repository.compare(&made.mails, &made.overlay)?;
    step.at("checkpatch");
    let remarks = checkpatch::run(&source.path, &made.mails, log, step)?;
    let mut problems = made.problems()?;
    problems.extend(accepted.stale(&remarks));
    let (known, remarks): (Vec<Remark>, Vec<Remark>) =
        remarks.into_iter().partition(|remark| accepted.has(remark));
    if !remarks.is_empty() {
        problems.push(format!("checkpatch --strict has {} remarks", remarks.len()));
    }
    Ok(Judged {
        source,
        made,
        accepted: known.len(),
        remarks,
        problems,
    })
}

/// Makes the series, shows what is to be said against it, and prints where it
/// is. True if nothing is.
pub fn patches(ctx: &Context) -> Result<bool> {
    let identity = Identity::of_user()?;
    let folder = ctx.cache.join("series");
    let _lock = Lock::take(&ctx.ui, &files::beside(&folder, "lock"), "the series")?;
    let log = ctx.log("checkpatch-series");
    let step = ctx.ui.step("patches");
    let judged = judge(ctx, &identity, &folder, &log, &step)?;
    step.end("made");
    println!("{}", judged.made.lines.table());
    println!(
        "checkpatch --strict: {} remarks, and {} that {} has",
        judged.remarks.len(),
        judged.accepted,
        accepted::PATH
    );
    if !judged.remarks.is_empty() {
        println!("{}", checkpatch::table(&judged.remarks));
        println!("log: {}", log.display());
    }
    println!(
        "{} patches for Linux {}, as {identity}: {}",
        judged.made.mails.len(),
        judged.source.version,
        folder.display()
    );
    if base_commit(&judged.source).is_none() {
        println!("no base-commit in the cover letter: KDIR= a git tree gives it one");
    }
    for problem in &judged.problems {
        println!("not fit to be sent: {problem}");
    }
    Ok(judged.problems.is_empty())
}

impl Made {
    /// What is to be said against the series, but for its style.
    fn problems(&self) -> Result<Vec<String>> {
        let mut problems: Vec<String> = self.lines.too_many().into_iter().collect();
        let text = self.repository.maintainers()?;
        for path in maintainers::without(&text, &self.repository.added()?) {
            problems.push(format!("{path}: MAINTAINERS does not say whose it is"));
        }
        Ok(problems)
    }
}

/// Fails unless git am makes of the series the tree that scripts/apply makes, and there is
/// nothing else to say against it.
pub fn check(ctx: &Context, log: &Path, step: &Step) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let judged = judge(ctx, &Identity::of_nobody(), folder.path(), log, step)?;
    let remarks = judged.remarks.iter().map(Remark::to_string);
    let all: Vec<String> = judged.problems.iter().cloned().chain(remarks).collect();
    anyhow::ensure!(all.is_empty(), "{}", all.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_are_named_once() {
        let text = " a.rs | 1 +\n 1 file changed\n create mode 100644 a.rs\n\n";
        assert_eq!(without_new_names(text), " a.rs | 1 +\n 1 file changed\n\n");
    }

    #[test]
    fn b4_finds_what_it_looks_for() {
        assert_eq!(trailers("id", None), "---\nchange-id: id\n");
        let known = trailers("id", Some("0123"));
        assert_eq!(known, "---\nbase-commit: 0123\nchange-id: id\n");
    }
}
