// SPDX-License-Identifier: GPL-2.0
//! The mistakes, and how they are made: scripts/switch-faults.toml.

use crate::error::hinted;
use crate::files;
use anyhow::{ensure, Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Where the list is, in the checkout.
pub const PATH: &str = "scripts/switch-faults.toml";

/// Who has to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    /// The compiler, which refuses it.
    Build,
    /// What compares the assembly with C's.
    Entry,
    /// The tests on the simulated CPU.
    SimulatedCpu,
}

impl Judge {
    /// All.
    pub const ALL: [Self; 3] = [Self::Build, Self::Entry, Self::SimulatedCpu];
    /// Those that look at kernels.
    pub const OF_KERNELS: [Self; 2] = [Self::Build, Self::Entry];

    /// Its name in the list and in those of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Entry => "entry",
            Self::SimulatedCpu => "simulated-cpu",
        }
    }
}

/// A change of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The file, in arch-arm64-kvm/.
    file: String,
    /// What is replaced there.
    text: String,
    /// What comes in its place.
    replacement: String,
}

/// A mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// The file that it is made in, in arch-arm64-kvm/.
    pub file: String,
    /// What is replaced there.
    text: String,
    /// What comes in its place.
    replacement: String,
    /// What else is changed.
    #[serde(default)]
    also: Vec<Change>,
    /// Why it is one.
    why: String,
    /// Who has to notice.
    pub judge: Judge,
    /// What is in what the judge says.
    pub says: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    fault: Vec<Fault>,
}

/// Where `text` is in `whole`, which is that of `file`.
pub fn place(whole: &str, file: &str, text: &str) -> Result<usize> {
    let places: Vec<usize> = whole.match_indices(text).map(|(place, _)| place).collect();
    match places[..] {
        [place] => Ok(place),
        _ => Err(hinted(
            format!(
                "it no longer applies: {file} has the text to replace {} times",
                places.len()
            ),
            format!("bring {PATH} in line with arch-arm64-kvm/{file}"),
        )),
    }
}

impl Fault {
    /// All changes: the file, what is replaced, and by what.
    pub fn changes(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let first = (&*self.file, &*self.text, &*self.replacement);
        let also = self.also.iter();
        let also = also.map(|change| (&*change.file, &*change.text, &*change.replacement));
        std::iter::once(first).chain(also)
    }

    /// Makes the mistake in the copy of the sources in `folder`.
    pub fn make_in(&self, folder: &Path) -> Result<()> {
        for (file, text, replacement) in self.changes() {
            let path = folder.join(file);
            let mut whole = files::read_text(&path)?;
            let start = place(&whole, file, text)?;
            whole.replace_range(start..start + text.len(), replacement);
            files::write_atomic(&path, whole.as_bytes())?;
        }
        Ok(())
    }
}

/// Reads the list of the checkout at `checkout`.
pub fn read(checkout: &Path) -> Result<Vec<Fault>> {
    let path = checkout.join(PATH);
    let text = files::read_text(&path)?;
    parse(&text).with_context(|| format!("{PATH} is not a list of faults"))
}

/// Reads a list.
pub fn parse(text: &str) -> Result<Vec<Fault>> {
    let list: List = toml::from_str(text)?;
    let mut names = BTreeSet::new();
    for fault in &list.fault {
        let name = &fault.name;
        ensure!(names.insert(name), "there are two of {name}");
        ensure!(!fault.why.trim().is_empty(), "{name} has no reason");
        ensure!(
            !fault.says.trim().is_empty(),
            "{name} is noticed by nothing"
        );
        for (file, text, replacement) in fault.changes() {
            ensure!(!text.is_empty(), "{name} replaces nothing in {file}");
            ensure!(text != replacement, "{name} changes nothing in {file}");
        }
    }
    Ok(list.fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LIST: &str = "[[fault]]\nname = 'a'\nfile = 'f.rs'\ntext = '''\none\n'''\n\
        replacement = ''\nwhy = 'w'\njudge = 'simulated-cpu'\nsays = 's'\n";

    #[test]
    fn a_fault_is_made_where_its_text_is_and_nowhere_else() {
        let faults = parse(LIST).unwrap();
        assert_eq!(faults[0].judge, Judge::SimulatedCpu);
        let folder = tempfile::tempdir().unwrap();
        let make = |text: &str| {
            let file = folder.path().join("f.rs");
            fs::write(&file, text).unwrap();
            faults[0].make_in(folder.path())?;
            anyhow::Ok(fs::read_to_string(file).unwrap())
        };
        assert_eq!(make("zero\none\ntwo\n").unwrap(), "zero\ntwo\n");
        for other in ["", "one", "one\none\n"] {
            let error = make(other).unwrap_err().to_string();
            assert!(error.contains("no longer applies"), "{error}");
        }
    }

    #[test]
    fn faults_must_be_told_apart_and_change_something() {
        for (what, instead) in [
            ("judge = 'simulated-cpu'", "judge = 'c'"),
            ("why = 'w'", "why = ' '"),
            ("says = 's'", "says = ''"),
            ("replacement = ''", "replacement = \"one\\n\""),
            ("text = '''\none\n'''", "text = ''"),
            ("why = 'w'", "why = 'w'\nhow = 'h'"),
        ] {
            let changed = LIST.replace(what, instead);
            assert!(changed != LIST && parse(&changed).is_err(), "{instead}");
        }
        assert!(parse(&format!("{LIST}{LIST}")).is_err());
    }

    #[test]
    fn those_of_this_repository_can_be_made() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let faults = read(checkout).unwrap();
        assert!(faults.len() >= 8);
        let of_file =
            |file: &str| fs::read_to_string(checkout.join("arch-arm64-kvm").join(file)).unwrap();
        for (file, text, _) in faults.iter().flat_map(Fault::changes) {
            place(&of_file(file), file, text).unwrap();
        }
        for judge in Judge::ALL {
            assert!(faults.iter().any(|fault| fault.judge == judge));
        }
    }
}
