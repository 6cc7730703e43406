// SPDX-License-Identifier: GPL-2.0
//! What the system must do, as Documentation/behaviours.rst has it, and which
//! of them a test guards, as its name says.

mod names;
mod text;

pub use names::{ids, is_named, stem};
pub use text::Piece;

use crate::error::hinted;
use crate::files;
use anyhow::{ensure, Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Where they are, in the checkout.
pub const PATH: &str = "Documentation/behaviours.rst";

/// The number of a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id(pub u32);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "B{}", self.0)
    }
}

/// A row of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Its number.
    pub id: Id,
    /// The heading that it is under.
    pub section: String,
    /// What it is.
    pub what: Vec<Piece>,
    /// What guards it, for people.
    pub guards: Vec<Piece>,
}

/// Reads the list at `path`.
pub fn read(path: &Path) -> Result<Vec<Behaviour>> {
    let text = files::read_text(path)?;
    parse(&text).with_context(|| format!("{} is not a list of behaviours", path.display()))
}

fn parse(text: &str) -> Result<Vec<Behaviour>> {
    let mut behaviours: Vec<Behaviour> = Vec::new();
    for row in text::rows(text) {
        let [id, what, guards] = &row.cells;
        let number = id.strip_prefix('B').and_then(|n| n.parse().ok());
        let id = Id(number.with_context(|| format!("`{id}` is not an id such as B1"))?);
        ensure!(
            !behaviours.iter().any(|other| other.id == id),
            "there are two of {id}"
        );
        ensure!(!what.is_empty(), "{id} says nothing");
        behaviours.push(Behaviour {
            id,
            section: row.section,
            what: text::pieces(what),
            guards: text::pieces(guards),
        });
    }
    ensure!(!behaviours.is_empty(), "it has no row with an id");
    Ok(behaviours)
}

/// Fails if one of `tests`, which are names, has an id that no behaviour has.
pub fn check_names<'a>(
    behaviours: &[Behaviour],
    tests: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let known: BTreeSet<Id> = behaviours.iter().map(|behaviour| behaviour.id).collect();
    for test in tests {
        if let Some(id) = ids(test).into_iter().find(|id| !known.contains(id)) {
            return Err(hinted(
                format!("the test {test} guards {id}, which {PATH} does not have"),
                format!("add {id} to {PATH}, or take it out of the test's name"),
            ));
        }
    }
    Ok(())
}

impl Behaviour {
    /// Whether the test `name` guards it: by the ids in the name, or as it is
    /// named where the behaviour is described.
    pub fn is_guarded_by(&self, name: &str) -> bool {
        ids(name).contains(&self.id) || self.named().any(|pattern| is_named(name, pattern))
    }

    /// Tests named in its description, all whose names begin in one way among
    /// them, such as `b09_*`; and whatever else is named there.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.guards.iter().filter_map(|piece| match piece {
            Piece::Literal(text) => Some(text.as_str()),
            Piece::Plain(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use walkdir::WalkDir;

    const TABLES: &str = "\
=====
Title
=====

A paragraph that has ``B9`` in it.

Life cycle
==========

====  ==============  ==================
id    behaviour       guarded by
====  ==============  ==================
B1    State that      KUnit ``b01_*``;
      ``put`` saves.  ``entry-as-in-c``
B12   No more.        the type ``A``
====  ==============  ==================

Traps
=====

====  ==============  ==================
id    behaviour       guarded by
====  ==============  ==================
B2    Last.
====  ==============  ==================

B26 is not tested here.
";

    fn repository() -> (&'static Path, Vec<Behaviour>) {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        (checkout, read(&checkout.join(PATH)).unwrap())
    }

    #[test]
    fn rows_are_behaviours() {
        let all = parse(TABLES).unwrap();
        let ids: Vec<String> = all.iter().map(|b| b.id.to_string()).collect();
        assert_eq!(ids, ["B1", "B12", "B2"]);
        let sections: Vec<&str> = all.iter().map(|b| b.section.as_str()).collect();
        assert_eq!(sections, ["Life cycle", "Life cycle", "Traps"]);
        let pieces = |texts: &[(&str, bool)]| -> Vec<Piece> {
            let piece = |(text, literal): &(&str, bool)| match literal {
                true => Piece::Literal((*text).to_owned()),
                false => Piece::Plain((*text).to_owned()),
            };
            texts.iter().map(piece).collect()
        };
        let what = [("State that ", false), ("put", true), (" saves.", false)];
        assert_eq!(all[0].what, pieces(&what));
        assert!(all[2].guards.is_empty());
    }

    #[test]
    fn lists_that_are_wrong_are_refused() {
        assert!(parse("").is_err());
        for (text, instead) in [("B12 ", "B1  "), ("B12 ", "12  "), ("Last.", "")] {
            let changed = TABLES.replace(text, instead);
            assert!(changed != TABLES && parse(&changed).is_err(), "{instead}");
        }
    }

    #[test]
    fn tests_guard_by_their_ids_and_where_they_are_named() {
        let all = parse(TABLES).unwrap();
        for (test, guards) in [
            ("kunit:kvm_arm64_fp.b01_put@rust-vhe-max", &["B1"][..]),
            ("tests::sve::b01_b12_zcr", &["B1", "B12"]),
            ("entry-as-in-c", &["B1"]),
            ("entry-as-in-c-not", &[]),
            ("tests::put", &[]),
        ] {
            let found = all.iter().filter(|b| b.is_guarded_by(test));
            let found: Vec<String> = found.map(|b| b.id.to_string()).collect();
            assert_eq!(found, guards, "{test}");
        }
    }

    #[test]
    fn an_id_that_is_not_in_the_list_is_an_error() {
        let all = parse(TABLES).unwrap();
        check_names(&all, ["b01:x", "tests::b02_y", "z"]).unwrap();
        let error = check_names(&all, ["b01_b03:x@rust-vhe-max"]).unwrap_err();
        assert!(error.to_string().contains("guards B3"), "{error}");
        let hint = crate::error::hint(&error).unwrap();
        assert!(hint.contains(PATH), "{hint}");
    }

    #[test]
    fn every_behaviour_of_this_repository_is_read() {
        let (checkout, all) = repository();
        let text = fs::read_to_string(checkout.join(PATH)).unwrap();
        let rows = text.lines().filter(|line| {
            let id = line
                .strip_prefix('B')
                .and_then(|rest| rest.split(' ').next());
            id.is_some_and(|id| id.parse::<u32>().is_ok()) && line.contains("   ")
        });
        assert_eq!(all.len(), rows.count());
        assert!(all.len() > 30);
        for behaviour in all {
            assert!(!behaviour.guards.is_empty(), "{}", behaviour.id);
        }
    }

    /// The names in `fn name(` of the Rust sources of this repository.
    fn functions(checkout: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["arch-arm64-kvm", "rust", "selftests"] {
            let files = WalkDir::new(checkout.join(folder))
                .into_iter()
                .filter_entry(|entry| entry.file_name() != "target");
            for file in files {
                let file = file.unwrap();
                if file.path().extension().is_none_or(|e| e != "rs") {
                    continue;
                }
                let text = fs::read_to_string(file.path()).unwrap();
                let found = text.lines().filter_map(|line| {
                    let (_, rest) = line.trim_start().split_once("fn ")?;
                    Some(rest.split_once('(')?.0.to_owned())
                });
                names.extend(found);
            }
        }
        names
    }

    #[test]
    fn ids_in_names_of_tests_are_documented() {
        let (checkout, all) = repository();
        let functions = functions(checkout);
        let guarding = functions.iter().filter(|name| !ids(name).is_empty());
        assert!(guarding.count() > 50);
        check_names(&all, functions.iter().map(String::as_str)).unwrap();
    }
}
