// SPDX-License-Identifier: GPL-2.0
//! What the kernel's checkpatch.pl has to say about the series.

use crate::progress::Step;
use crate::side_by_side::side_by_side;
use crate::{context, files, process, table};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A remark of checkpatch.pl.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// ERROR, WARNING or CHECK.
    pub level: String,
    /// What it is called.
    pub kind: String,
    /// The mail.
    pub mail: String,
    /// The file that the mail changes there, in the tree; empty above the first.
    pub file: String,
    /// The line of the mail.
    pub text: String,
}

impl Display for Remark {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let place = if self.file.is_empty() {
            &self.mail
        } else {
            &self.file
        };
        write!(f, "{place}: {}:{}: {}", self.level, self.kind, self.text)
    }
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
    // Of remarks it says so by 1.
    let failed = ends.iter().find(|end| !matches!(end.code(), Some(0 | 1)));
    let has_remarks = ends.iter().any(|end| end.code() == Some(1));
    let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let found = remarks(&String::from_utf8_lossy(&text), read)?;
    if let Some(&end) = failed {
        let how = process::describe(end);
        anyhow::bail!("checkpatch.pl: {how}; log: {}", log.display());
    }
    anyhow::ensure!(
        has_remarks != found.is_empty(),
        "checkpatch.pl has remarks that are not understood; log: {}",
        log.display()
    );
    Ok(found)
}

/// The text of the mail at `path`.
fn read(path: &str) -> Result<String> {
    let text = fs::read(path).with_context(|| format!("cannot read {path}"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The remarks in what it prints, about mails that `read` reads.
fn remarks(text: &str, read: impl Fn(&str) -> Result<String>) -> Result<Vec<Remark>> {
    let remark = |printed: Printed<'_>| {
        let path = printed.path;
        let mail = read(path)?;
        let (file, text) = place(&mail, printed.number);
        Ok(Remark {
            level: printed.level.to_owned(),
            kind: printed.kind.to_owned(),
            mail: path.rsplit('/').next().unwrap_or(path).to_owned(),
            file: file.to_owned(),
            text: text.to_owned(),
        })
    };
    text.lines().filter_map(printed).map(remark).collect()
}

/// A line of what it prints.
struct Printed<'a> {
    level: &'a str,
    kind: &'a str,
    path: &'a str,
    number: usize,
}

fn printed(line: &str) -> Option<Printed<'_>> {
    let (place, rest) = line.split_once(": ")?;
    let (path, number) = place.rsplit_once(':')?;
    let mut words = rest.split(':');
    let level = words.next()?;
    let kind = words.next()?;
    matches!(level, "ERROR" | "WARNING" | "CHECK").then(|| Printed {
        level,
        kind,
        path,
        // A remark without a number is one, too, but about no line.
        number: number.parse().unwrap_or(0),
    })
}

/// The file in the tree that the line `number` of the text `mail` is about, and
/// this line.
fn place(mail: &str, number: usize) -> (&str, &str) {
    let mut place = ("", "");
    for line in mail.lines().take(number) {
        if let Some(names) = line.strip_prefix("diff --git ") {
            place.0 = names.rsplit_once(" b/").map_or("", |(_, path)| path);
        }
        place.1 = line;
    }
    place
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

    const MAIL: &str = "Subject: x\n\n\
        diff --git a/a.h b/a.h\n--- a/a.h\n+++ b/a.h\n@@ -1 +1,2 @@\n+one\n\
        diff --git a/b/c.rs b/b/c.rs\n--- a/b/c.rs\n+++ b/b/c.rs\n@@ -1 +1,2 @@\n+two\n";

    fn mail(_: &str) -> Result<String> {
        Ok(MAIL.to_owned())
    }

    #[test]
    fn remarks_are_counted_by_kind() {
        let found = remarks(PRINTED, mail).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].kind, "BRACES");
        let table = table(&found);
        assert!(
            table.contains("LONG_LINE") && table.contains("0001: 2"),
            "{table}"
        );
        assert!(table.contains("0002: 1"), "{table}");
        let none = remarks("total: 0 errors\nno: WARNING\n", mail);
        assert_eq!(none.unwrap(), []);
    }

    #[test]
    fn a_remark_has_its_line_and_whose_it_is() {
        let at = |number: &str| {
            let printed = format!("/a/0001-x.patch:{number}: CHECK:BRACES: braces\n");
            let remark = remarks(&printed, mail).unwrap().remove(0);
            (remark.file, remark.text)
        };
        let is = |file: &str, text: &str| (file.to_owned(), text.to_owned());
        assert_eq!(at("1"), is("", "Subject: x"));
        assert_eq!(at("7"), is("a.h", "+one"));
        assert_eq!(at("12"), is("b/c.rs", "+two"));
        assert_eq!(at(""), is("", ""));
        assert!(remarks(PRINTED, |_| anyhow::bail!("it is gone")).is_err());
    }
}
