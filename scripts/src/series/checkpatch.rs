// SPDX-License-Identifier: GPL-2.0
//! What the kernel's checkpatch.pl has to say about the series.

use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{context, files, process, table};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A remark of checkpatch.pl.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// ERROR, WARNING or CHECK.
    level: String,
    /// What it is called.
    kind: String,
    /// The mail.
    mail: String,
}

/// Looks through `mails` with the script of the kernel tree `source`.
pub fn run(source: &Path, mails: &[PathBuf], log: &Path, step: &Step) -> Result<Vec<Remark>> {
    files::remove_all(log)?;
    let look = |mail: &PathBuf| {
        let mut command = Command::new("perl");
        command
            .current_dir(source)
            .args([
                "scripts/checkpatch.pl",
                "--strict",
                "--show-types",
                "--terse",
                // Asked once, of all: whether MAINTAINERS has each file that is added.
                "--ignore=FILE_PATH_CHANGES",
            ])
            .arg(mail);
        process::run_status(&mut command, log, step)
    };
    // It asks for the maintainers of each file, which takes a while.
    let ends = side_by_side(mails.iter().collect(), context::cpus(), look);
    let ends: Vec<ExitStatus> = ends.into_iter().collect::<Result<_>>()?;
    let failed = ends.into_iter().find(|end| !end.success());
    let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let found = remarks(&String::from_utf8_lossy(&text));
    if let (Some(end), true) = (failed, found.is_empty()) {
        anyhow::bail!(
            "checkpatch.pl: {}, but it says nothing; log: {}",
            process::describe(end),
            log.display()
        );
    }
    Ok(found)
}

/// The remarks in what it prints.
fn remarks(text: &str) -> Vec<Remark> {
    let read = |line: &str| {
        let (place, rest) = line.split_once(": ")?;
        let (path, _) = place.rsplit_once(':')?;
        let mut words = rest.split(':');
        let level = words.next()?;
        let kind = words.next()?;
        matches!(level, "ERROR" | "WARNING" | "CHECK").then(|| Remark {
            level: level.to_owned(),
            kind: kind.to_owned(),
            mail: path.rsplit('/').next().unwrap_or(path).to_owned(),
        })
    };
    text.lines().filter_map(read).collect()
}

/// How many remarks there are of each kind, and in which mails.
pub fn table(remarks: &[Remark]) -> String {
    let mut kinds: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    for remark in remarks {
        let mails = kinds.entry((&remark.level, &remark.kind)).or_default();
        *mails.entry(number(&remark.mail)).or_default() += 1;
    }
    let rows: Vec<Vec<String>> = kinds
        .iter()
        .map(|((level, kind), mails)| {
            let all: usize = mails.values().sum();
            let of = mails.iter().map(|(mail, count)| format!("{mail}: {count}"));
            let of: Vec<String> = of.collect();
            vec![
                (*level).to_owned(),
                (*kind).to_owned(),
                all.to_string(),
                of.join(", "),
            ]
        })
        .collect();
    table::render(&["checkpatch", "kind", "count", "in patch"], &rows)
}

/// The number that the name of a mail begins with.
fn number(mail: &str) -> &str {
    mail.split('-').next().unwrap_or(mail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "$ perl scripts/checkpatch.pl\n\
        /a/0001-x.patch:12: WARNING:LONG_LINE: line length of 101 exceeds 100 columns\n\
        /a/0001-x.patch:13: WARNING:LONG_LINE: line length of 102: exceeds\n\
        /a/0002-y.patch:9: CHECK:BRACES: braces\n\
        total: 0 errors, 2 warnings, 1 checks, 300 lines checked\n";

    #[test]
    fn remarks_are_counted_by_kind() {
        let found = remarks(PRINTED);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].kind, "BRACES");
        let table = table(&found);
        assert!(
            table.contains("LONG_LINE") && table.contains("0001: 2"),
            "{table}"
        );
        assert!(table.contains("0002: 1"), "{table}");
        assert_eq!(remarks("total: 0 errors\nno: WARNING\n"), []);
    }
}
