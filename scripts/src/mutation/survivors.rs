// SPDX-License-Identifier: GPL-2.0
//! Mutants that no test can notice, with the reasons:
//! scripts/mutation-survivors.toml.

use super::find::Found;
use super::Mutant;
use crate::files;
use anyhow::{ensure, Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// Where the list is, in the checkout.
pub const PATH: &str = "scripts/mutation-survivors.toml";

/// A survivor that is explained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivor {
    /// The file, in arch-arm64-kvm/.
    pub file: String,
    /// The function.
    pub function: String,
    /// What the mutation is.
    pub what: String,
    /// Why no test notices.
    pub why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

impl Survivor {
    /// Whether it is about `mutant`.
    pub fn is(&self, mutant: &Mutant) -> bool {
        mutant.file() == self.file && self.is_found(&mutant.found)
    }

    fn is_found(&self, found: &Found) -> bool {
        self.function == found.function && self.what == found.what
    }
}

/// Reads the list of the checkout at `checkout`.
pub fn read(checkout: &Path) -> Result<Vec<Survivor>> {
    let path = checkout.join(PATH);
    let text = files::read_text(&path)?;
    parse(&text).with_context(|| format!("{PATH} is not a list of survivors"))
}

fn parse(text: &str) -> Result<Vec<Survivor>> {
    let list: List = toml::from_str(text)?;
    for survivor in &list.survivor {
        ensure!(
            !survivor.why.trim().is_empty(),
            "{}: {} has no reason",
            survivor.function,
            survivor.what
        );
    }
    Ok(list.survivor)
}

#[cfg(test)]
mod tests {
    use super::super::find::find;
    use super::*;
    use std::fs;

    #[test]
    fn each_needs_a_reason() {
        let list = |why| {
            parse(&format!(
                "[[survivor]]\nfile = 'f.rs'\nfunction = 'f'\nwhat = 'w'\nwhy = '{why}'\n"
            ))
        };
        assert_eq!(list("it is the same").unwrap().len(), 1);
        assert!(list(" ").is_err());
    }

    #[test]
    fn those_of_this_repository_are_mutants() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for survivor in read(checkout).unwrap() {
            let path = checkout.join(super::super::FOLDER).join(&survivor.file);
            let found = find(&fs::read_to_string(path).unwrap()).unwrap();
            let Survivor { file, what, .. } = &survivor;
            let is_there = found.iter().any(|found| survivor.is_found(found));
            assert!(
                is_there,
                "{file} has no mutant {what}: bring {PATH} in line"
            );
        }
    }
}
