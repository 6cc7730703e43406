// SPDX-License-Identifier: GPL-2.0
//! `make distance`: what changed between two kernels in the C that is replaced,
//! and whether the Rust has it.

mod record;

use crate::context::Context;
use crate::error::hinted;
use crate::{process, table};
use anyhow::{Context as _, Result};
use record::Record;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// A commit that touches C that is replaced.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    commit: String,
    subject: String,
    /// The files.
    files: Vec<String>,
    /// Why nothing is left to do about it, if nothing is.
    carried: Option<String>,
}

/// A kernel tree with its history.
struct History {
    tree: PathBuf,
}

impl History {
    fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        command
            .args(["-c", "safe.directory=*", "-C"])
            .arg(&self.tree)
            .args(arguments);
        process::output(&mut command)
    }

    /// The name of the commit `revision`.
    fn commit(&self, revision: &str) -> Result<String> {
        let name = format!("{revision}^{{commit}}");
        let found = self.git(&["rev-parse", "--verify", "--end-of-options", &name]);
        let found = found.map_err(|_| {
            hinted(
                format!("{} has no commit {revision}", self.tree.display()),
                "KDIR= takes a git tree of the kernel that has both kernels, such as a clone of linux-stable",
            )
        })?;
        Ok(found.trim().to_owned())
    }

    /// Commits behind `from` up to `to` that touch what is replaced. Those that
    /// `base` has, as they are or as a stable release takes them, are carried.
    fn changes(&self, record: &Record, from: &str, to: &str, base: &str) -> Result<Vec<Change>> {
        let (from, to, base) = (self.commit(from)?, self.commit(to)?, self.commit(base)?);
        let paths: Vec<&str> = record.replaced.iter().map(|r| r.c.as_str()).collect();
        for path in &paths {
            let has = |commit: &str| self.git(&["cat-file", "-e", &format!("{commit}:{path}")]);
            if has(&from).is_err() && has(&to).is_err() {
                return Err(hinted(
                    format!("neither kernel has {path}"),
                    format!("correct {}", record::PATH),
                ));
            }
        }
        let range = format!("{from}..{to}");
        let mut log = vec![
            "log",
            "--no-merges",
            "--no-renames",
            "--reverse",
            "--format=%x00%H %s",
            "--name-only",
            &range,
            "--",
        ];
        log.extend(&paths);
        let log = self.git(&log)?;
        let absent = self.git(&["rev-list", &range, &format!("^{base}")])?;
        let absent: BTreeSet<&str> = absent.lines().collect();
        let taken = self.git(&["log", "--format=%B", &format!("{from}..{base}")])?;
        let taken: BTreeSet<&str> = taken.lines().filter_map(upstream).collect();
        let mut changes = Vec::new();
        for entry in log.split('\0').skip(1) {
            let mut lines = entry.lines();
            let first = lines.next().unwrap_or_default();
            let (commit, subject) = first.split_once(' ').unwrap_or((first, ""));
            let carried = if let Some(why) = record.carried(commit) {
                Some(why.to_owned())
            } else if !absent.contains(commit) || taken.contains(commit) {
                Some("in the base".to_owned())
            } else {
                None
            };
            changes.push(Change {
                commit: commit.to_owned(),
                subject: subject.to_owned(),
                files: lines
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect(),
                carried,
            });
        }
        Ok(changes)
    }
}

/// The commit of which a line of a stable release's commit says that it is one.
fn upstream(line: &str) -> Option<&str> {
    let line = line.trim();
    let name = line
        .strip_prefix("commit ")
        .and_then(|rest| rest.strip_suffix(" upstream."))
        .or_else(|| {
            line.strip_prefix("[ Upstream commit ")
                .and_then(|rest| rest.strip_suffix(" ]"))
        })?;
    (name.len() == 40).then_some(name)
}

/// Prints what changed behind `from`, up to `to`. `base` is the kernel that this
/// is for.
pub fn distance(ctx: &Context, from: &str, to: &str, base: Option<&str>) -> Result<()> {
    if from.is_empty() || to.is_empty() {
        return Err(hinted(
            "no kernels are named",
            "KDIR=tree make distance FROM=v7.3 TO=v7.4",
        ));
    }
    let record = Record::read(&ctx.checkout)?;
    let tree = ctx.named.tree.as_deref().ok_or_else(|| {
        hinted(
            "no kernel tree is named",
            "KDIR= takes a git tree of the kernel, with its history",
        )
    })?;
    let history = History {
        tree: PathBuf::from(tree),
    };
    let changes = history
        .changes(&record, from, to, base.unwrap_or(from))
        .with_context(|| format!("cannot compare {from} with {to}"))?;
    print!("{}", text(&record, &changes, from, to));
    Ok(())
}

fn text(record: &Record, changes: &[Change], from: &str, to: &str) -> String {
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let rust: BTreeSet<&str> = change
                .files
                .iter()
                .flat_map(|file| record.rust(file))
                .collect();
            let rust: Vec<&str> = rust.into_iter().collect();
            vec![
                change.commit.chars().take(12).collect(),
                change.carried.clone().unwrap_or_else(|| "to do".to_owned()),
                change.subject.clone(),
                change.files.join(" "),
                rust.join(" "),
            ]
        })
        .collect();
    let left = changes.iter().filter(|c| c.carried.is_none()).count();
    let table = table::render(&["commit", "carried", "subject", "C", "Rust"], &rows);
    format!(
        "{table}\nfrom {from} to {to}: {} commits touch C that is replaced, {left} of them to do\n",
        changes.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const A: &str = "arch/arm64/kvm/a.c";

    struct Case {
        folder: tempfile::TempDir,
    }

    impl Case {
        fn new() -> Self {
            let case = Self {
                folder: tempfile::tempdir().unwrap(),
            };
            case.git(&["init", "--quiet", "--initial-branch=main"]);
            case.commit(A, "first");
            case.git(&["tag", "v1"]);
            case
        }

        fn git(&self, arguments: &[&str]) -> String {
            let mut command = Command::new("git");
            command
                .arg("-C")
                .arg(self.folder.path())
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_AUTHOR_NAME", "a")
                .env("GIT_AUTHOR_EMAIL", "a@b")
                .env("GIT_COMMITTER_NAME", "a")
                .env("GIT_COMMITTER_EMAIL", "a@b")
                .args(arguments);
            process::output(&mut command).unwrap().trim().to_owned()
        }

        fn commit(&self, path: &str, message: &str) -> String {
            let full = self.folder.path().join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, message).unwrap();
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "-m", message]);
            self.git(&["rev-parse", "HEAD"])
        }

        fn changes(&self, record: &str, to: &str, base: &str) -> Result<Vec<Change>> {
            let text = format!("{record}[[replaced]]\nc = '{A}'\nrust = ['a.rs']\n");
            let history = History {
                tree: self.folder.path().to_owned(),
            };
            history.changes(&Record::parse(&text)?, "v1", to, base)
        }
    }

    fn carried(changes: &[Change]) -> Vec<(&str, Option<&str>)> {
        let mut all = Vec::new();
        for Change {
            subject, carried, ..
        } in changes
        {
            all.push((subject.as_str(), carried.as_deref()));
        }
        all
    }

    #[test]
    fn only_commits_that_touch_what_is_replaced_count() {
        let case = Case::new();
        let one = case.commit(A, "one");
        case.commit("arch/arm64/kvm/b.c", "elsewhere");
        let two = case.commit(A, "two");
        let changes = case.changes("", "main", "v1").unwrap();
        assert_eq!(carried(&changes), [("one", None), ("two", None)]);
        assert_eq!(changes[0].commit, one);
        assert_eq!(changes[0].files, [A]);
        let record = format!("[[carried]]\ncommit = '{}'\nwhy = 'in a.rs'\n", &two[..12]);
        let changes = case.changes(&record, "main", "v1").unwrap();
        assert_eq!(carried(&changes), [("one", None), ("two", Some("in a.rs"))]);
        // As an ancestor of the base.
        let changes = case.changes("", "main", &one).unwrap();
        assert_eq!(
            carried(&changes),
            [("one", Some("in the base")), ("two", None)]
        );
        let record = Record::parse(&format!("[[replaced]]\nc = '{A}'\nrust = ['a.rs']\n")).unwrap();
        let shown = text(&record, &changes, "v1", "main");
        assert!(
            shown.contains("2 commits touch C that is replaced, 1 of them to do"),
            "{shown}"
        );
        assert!(shown.contains("a.rs"), "{shown}");
    }

    #[test]
    fn what_a_stable_release_takes_is_carried() {
        let case = Case::new();
        let one = case.commit(A, "one");
        let two = case.commit(A, "two");
        case.commit(A, "three");
        case.git(&["checkout", "--quiet", "-b", "stable", "v1"]);
        case.commit(A, &format!("one'\n\ncommit {one} upstream.\n"));
        case.commit(A, &format!("two'\n\n[ Upstream commit {two} ]\n"));
        let changes = case.changes("", "main", "stable").unwrap();
        let base = Some("in the base");
        assert_eq!(
            carried(&changes),
            [("one", base), ("two", base), ("three", None)]
        );
    }

    #[test]
    fn revisions_and_files_that_do_not_exist_are_named() {
        let case = Case::new();
        let error = case.changes("", "v2", "v1").unwrap_err();
        assert!(error.to_string().contains("no commit v2"), "{error}");
        let record = "[[replaced]]\nc = 'gone.c'\nrust = []\n";
        let error = case.changes(record, "main", "v1").unwrap_err();
        assert_eq!(error.to_string(), "neither kernel has gone.c");
    }
}
