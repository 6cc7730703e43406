// SPDX-License-Identifier: GPL-2.0
//! The remarks of checkpatch.pl that stay, each with its reason:
//! scripts/checkpatch-accepted.toml.

use super::checkpatch::Remark;
use crate::files;
use anyhow::{ensure, Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// Where the list is, in the checkout.
pub const PATH: &str = "scripts/checkpatch-accepted.toml";

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    #[serde(default)]
    accepted: Vec<Entry>,
}

/// Remarks of a kind, about lines of a file that are alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The file, in the tree.
    file: String,
    /// What checkpatch calls the remark.
    kind: String,
    /// What the lines have in them.
    with: String,
    /// Why they stay as they are.
    reason: String,
}

impl Entry {
    fn is_for(&self, remark: &Remark) -> bool {
        self.file == remark.file && self.kind == remark.kind && remark.text.contains(&self.with)
    }
}

impl Accepted {
    /// Reads the list of the checkout at `checkout`.
    pub fn read(checkout: &Path) -> Result<Self> {
        let path = checkout.join(PATH);
        let text = files::read_text(&path)?;
        Self::parse(&text).with_context(|| format!("{PATH} is not a list of remarks"))
    }

    fn parse(text: &str) -> Result<Self> {
        let list: Self = toml::from_str(text)?;
        for entry in &list.accepted {
            let Entry { file, kind, .. } = entry;
            // Each line has the empty text.
            ensure!(
                !entry.with.trim().is_empty(),
                "{file}: {kind} has no text of a line"
            );
            ensure!(
                !entry.reason.trim().is_empty(),
                "{file}: {kind} has no reason"
            );
        }
        Ok(list)
    }

    /// Whether `remark` is on the list.
    pub fn has(&self, remark: &Remark) -> bool {
        self.accepted.iter().any(|entry| entry.is_for(remark))
    }

    /// What is wrong with the list if `remarks` are all that there are: entries
    /// that none of them is for.
    pub fn stale(&self, remarks: &[Remark]) -> Vec<String> {
        let stale = self
            .accepted
            .iter()
            .filter(|entry| !remarks.iter().any(|remark| entry.is_for(remark)));
        stale
            .map(
                |Entry {
                     file, kind, with, ..
                 }| {
                    format!(
                        "{PATH} has {kind} of {file}, but checkpatch no longer says so of {with}"
                    )
                },
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::patch::File;
    use crate::overlay::Overlay;

    const LIST: &str = "[[accepted]]\nfile = 'a.h'\nkind = 'SPACING'\nwith = 'PATH'\n\
        reason = 'a path'\n";

    fn remark(file: &str, kind: &str, text: &str) -> Remark {
        Remark {
            level: "CHECK".to_owned(),
            kind: kind.to_owned(),
            mail: "0001-x.patch".to_owned(),
            file: file.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn only_the_kind_in_the_file_at_such_a_line_is_accepted() {
        let list = Accepted::parse(LIST).unwrap();
        for (file, kind, text, is_accepted) in [
            ("a.h", "SPACING", "+#define PATH a/b", true),
            ("a.h", "SPACING", "+a/b", false),
            ("a.h", "BRACES", "+#define PATH a/b", false),
            ("b.h", "SPACING", "+#define PATH a/b", false),
        ] {
            let remark = remark(file, kind, text);
            assert_eq!(list.has(&remark), is_accepted, "{remark:?}");
            assert_eq!(list.stale(&[remark]).is_empty(), is_accepted);
        }
    }

    #[test]
    fn an_entry_that_no_remark_is_for_is_named() {
        let list = Accepted::parse(LIST).unwrap();
        let stale = list.stale(&[]);
        assert_eq!(stale.len(), 1);
        assert!(stale[0].contains("SPACING of a.h"), "{stale:?}");
        assert!(Accepted::parse("").unwrap().stale(&[]).is_empty());
    }

    #[test]
    fn each_needs_a_line_and_a_reason() {
        for (right, wrong) in [
            ("'a path'", "' '"),
            ("with = 'PATH'", "with = ''"),
            ("with = 'PATH'\n", ""),
            ("kind", "type"),
        ] {
            let text = LIST.replace(right, wrong);
            assert!(Accepted::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn those_of_this_repository_are_of_lines_that_are_there() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let overlay = Overlay::read(checkout).unwrap();
        for Entry { file, with, .. } in Accepted::read(checkout).unwrap().accepted {
            let has = |file: &File| String::from_utf8_lossy(&file.bytes).contains(&with);
            assert!(overlay.files.get(&file).is_some_and(has), "{file}: {with}");
        }
    }
}
