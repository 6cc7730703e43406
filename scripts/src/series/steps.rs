// SPDX-License-Identifier: GPL-2.0
//! Which step of the series carries what: scripts/series.toml.

use super::{mail, place};
use crate::error::hinted;
use crate::files;
use crate::overlay::patch::{self, FilePatch};
use crate::overlay::{in_tree, Overlay};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the list is, in the checkout.
pub const PATH: &str = "scripts/series.toml";

/// The series as it is declared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Series {
    /// What b4 knows it by, in each version of it.
    pub change_id: String,
    /// What comes before the patches.
    pub cover: Cover,
    step: Vec<Declared>,
}

/// The cover letter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    /// Subject and message; absent where those of its first patch are good.
    subject: Option<String>,
    message: Option<String>,
    /// Files of this repository, and folders, with a slash behind them.
    #[serde(default)]
    files: Vec<String>,
    /// What of the folders another step carries.
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    patches: Vec<Part>,
}

/// A patch in patches/, or a part of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// How the patch's name begins.
    name: String,
    /// Only what it does to these files of the tree.
    #[serde(default)]
    files: Vec<String>,
    /// Only hunks that change a line with this in it.
    with: Option<String>,
}

/// A step, with everything that it carries.
#[derive(Debug)]
pub struct Step {
    /// What it is about.
    pub subject: String,
    /// Why, and what.
    pub message: String,
    /// Paths of files in the tree.
    pub files: Vec<String>,
    /// What it does to files that the tree has.
    pub patches: Vec<FilePatch>,
}

impl Step {
    /// Does what the step carries of `overlay` to the tree at `folder`, in which the steps
    /// before it are.
    pub fn apply(&self, folder: &Path, overlay: &Overlay) -> Result<()> {
        for path in &self.files {
            place::put(folder, path, overlay.files.get(path))?;
        }
        for patch in &self.patches {
            let before = place::read(folder, &patch.path)?;
            let after = patch.apply(before.as_ref()).with_context(|| {
                format!("\"{}\" does not apply to {}", self.subject, patch.path)
            })?;
            place::put(folder, &patch.path, after.as_ref())?;
        }
        Ok(())
    }
}

/// Whether the entry `pattern` is `path` or a folder above it; both in the tree.
fn names(pattern: &str, path: &str) -> bool {
    match pattern.ends_with('/') {
        true => path.starts_with(pattern),
        false => path == pattern,
    }
}

impl Declared {
    fn carries(&self, path: &str) -> bool {
        let any = |list: &[String]| {
            let mut patterns = list.iter().filter_map(|pattern| in_tree(pattern));
            patterns.any(|pattern| names(&pattern, path))
        };
        any(&self.files) && !any(&self.except)
    }
}

impl Part {
    fn is_of(&self, name: &str) -> bool {
        name.starts_with(&self.name)
    }

    fn carries(&self, name: &str, patch: &FilePatch, piece: usize) -> bool {
        self.is_of(name)
            && (self.files.is_empty() || self.files.contains(&patch.path))
            && self
                .with
                .as_ref()
                .is_none_or(|text| patch.changes(piece, text))
    }
}

impl Series {
    /// Reads the list of the checkout at `checkout`.
    pub fn read(checkout: &Path) -> Result<Self> {
        let path = checkout.join(PATH);
        let text = files::read_text(&path)?;
        toml::from_str(&text).with_context(|| format!("{PATH} is not a list of steps"))
    }

    /// The steps with what they carry of `overlay`. Each file of it, and each
    /// hunk of its patches, must belong to exactly one of them.
    pub fn steps(&self, overlay: &Overlay) -> Result<Vec<Step>> {
        let mut problems = self.unused(overlay);
        let mut steps = Vec::new();
        for declared in &self.step {
            match declared.begin(overlay) {
                Ok(step) => steps.push(step),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        if !problems.is_empty() {
            return Err(wrong(&problems));
        }
        for path in overlay.files.keys() {
            let of = self.numbers(|step| step.carries(path));
            match of[..] {
                [one] => steps[one].files.push(path.clone()),
                _ => problems.push(format!("{path}: {}", self.how_many(&of))),
            }
        }
        for (name, text) in &overlay.patches {
            let patches = patch::parse(text.as_bytes())
                .with_context(|| format!("patches/{name} cannot be read"))?;
            for patch in patches {
                for piece in 0..patch.pieces() {
                    let is_carried = |step: &Declared| {
                        step.patches.iter().any(|p| p.carries(name, &patch, piece))
                    };
                    let of = self.numbers(is_carried);
                    match of[..] {
                        [one] => steps[one].patches.push(patch.only(piece)),
                        _ => problems.push(format!(
                            "patches/{name}: hunk {} of {}: {}",
                            piece + 1,
                            patch.path,
                            self.how_many(&of)
                        )),
                    }
                }
            }
        }
        match problems.is_empty() {
            true => Ok(steps),
            false => Err(wrong(&problems)),
        }
    }

    fn numbers(&self, is_it: impl Fn(&Declared) -> bool) -> Vec<usize> {
        let all = self.step.iter().enumerate();
        all.filter(|(_, step)| is_it(step))
            .map(|(number, _)| number)
            .collect()
    }

    fn how_many(&self, numbers: &[usize]) -> String {
        if numbers.is_empty() {
            return "no step carries it".to_owned();
        }
        let all: Vec<String> = numbers.iter().map(|n| (n + 1).to_string()).collect();
        format!("more than one step carries it: {}", all.join(", "))
    }

    /// Entries that are of nothing.
    fn unused(&self, overlay: &Overlay) -> Vec<String> {
        let mut problems = Vec::new();
        let is_file = |entry: &String| {
            in_tree(entry).is_some_and(|pattern| overlay.files.keys().any(|p| names(&pattern, p)))
        };
        let patches: BTreeMap<&str, Vec<FilePatch>> = overlay
            .patches
            .iter()
            .filter_map(|(name, text)| Some((name.as_str(), patch::parse(text.as_bytes()).ok()?)))
            .collect();
        for (number, step) in self.step.iter().enumerate() {
            let mut problem = |what: String| problems.push(format!("step {}: {what}", number + 1));
            for entry in step.files.iter().chain(&step.except) {
                if !is_file(entry) {
                    problem(format!("{entry}: there is no such file or folder"));
                }
            }
            for part in &step.patches {
                let carries = |name: &str, patch: &FilePatch| {
                    (0..patch.pieces()).any(|piece| part.carries(name, patch, piece))
                };
                let mut all = patches
                    .iter()
                    .flat_map(|(name, list)| list.iter().map(move |patch| (*name, patch)));
                if !all.any(|(name, patch)| carries(name, patch)) {
                    problem(format!("{part:?}: no hunk of patches/ is meant"));
                }
                for file in &part.files {
                    let is_changed = patches.iter().any(|(name, list)| {
                        part.is_of(name) && list.iter().any(|patch| patch.path == *file)
                    });
                    if !is_changed {
                        problem(format!("{}: it does not change {file}", part.name));
                    }
                }
            }
        }
        problems
    }
}

impl Declared {
    /// The step with nothing in it yet.
    fn begin(&self, overlay: &Overlay) -> Result<Step> {
        let own = match (&self.subject, &self.message) {
            (Some(subject), Some(message)) => (subject.clone(), message.trim().to_owned()),
            (None, None) => {
                let first = self.patches.first();
                let mut texts = overlay.patches.iter();
                let (name, text) = first
                    .and_then(|part| texts.find(|(name, _)| part.is_of(name)))
                    .context("a step without a subject needs a patch that has one")?;
                mail::message(text).with_context(|| format!("patches/{name} has no message"))?
            }
            _ => anyhow::bail!("a step has a subject and a message, or the ones of its patch"),
        };
        Ok(Step {
            subject: own.0,
            message: own.1,
            files: Vec::new(),
            patches: Vec::new(),
        })
    }
}

fn wrong(problems: &[String]) -> anyhow::Error {
    hinted(
        problems.join("\n"),
        format!("each file and each hunk belongs to one step in {PATH}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::patch::File;

    const PATCH: &str = "From 0\nSubject: [PATCH 1/2] a: change what\n is there\n\nWhy.\n\n\
        Signed-off-by: A <a@b>\n---\n x | 2\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n\
        @@ -1,2 +1,3 @@\n one\n+first\n two\n@@ -5,2 +6,3 @@\n five\n+second\n six\n";

    fn overlay(files: &[&str]) -> Overlay {
        let file = File {
            bytes: Vec::new(),
            mode: 0o644,
        };
        let files = files.iter().map(|path| ((*path).to_owned(), file.clone()));
        Overlay {
            files: files.collect(),
            patches: vec![("0001-x.patch".to_owned(), PATCH.to_owned())],
        }
    }

    fn steps(steps: &str, files: &[&str]) -> Result<Vec<Step>> {
        let text = format!("change-id = 'i'\n[cover]\nsubject = 's'\ntext = 't'\n{steps}");
        toml::from_str::<Series>(&text)?.steps(&overlay(files))
    }

    const FILES: [&str; 3] = [
        "rust/kernel/a.rs",
        "rust/kernel/b/c.rs",
        "arch/arm64/kvm/rust/Kconfig",
    ];
    const FIRST: &str = "[[step]]\nsubject = 'a: b'\nmessage = 'm'\nfiles = ['rust/kernel/']\n\
        except = ['rust/kernel/b/c.rs']\npatches = [{ name = '0001', with = 'first' }]\n";
    const SECOND: &str = "[[step]]\nfiles = ['rust/kernel/b/', 'Kconfig']\n\
        patches = [{ name = '0001-x', files = ['x'], with = 'second' }]\n";

    #[test]
    fn each_step_has_what_is_declared() {
        let found = steps(&format!("{FIRST}{SECOND}"), &FILES).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].files, FILES[..1]);
        assert_eq!(found[1].files, [FILES[2], FILES[1]]);
        assert!(found[0].patches[0].changes(0, "first"));
        assert!(found[1].patches[0].changes(0, "second"));
        assert_eq!(found[1].subject, "a: change what is there");
        assert_eq!(found[1].message, "Why.");
    }

    #[test]
    fn what_no_step_or_two_carry_is_named() {
        for (text, files, what) in [
            (
                format!("{FIRST}{SECOND}"),
                &["rust/helpers/new.c"][..],
                "rust/helpers/new.c: no step carries it",
            ),
            (
                format!("{FIRST}{SECOND}").replace("except = ['rust/kernel/b/c.rs']", ""),
                &[],
                "rust/kernel/b/c.rs: more than one step carries it: 1, 2",
            ),
            (
                format!("{FIRST}{SECOND}").replace(", with = 'first'", ""),
                &[],
                "patches/0001-x.patch: hunk 2 of x: more than one step carries it: 1, 2",
            ),
            (
                format!("{FIRST}{SECOND}").replace("with = 'first'", "with = 'second'"),
                &[],
                "patches/0001-x.patch: hunk 1 of x: no step carries it",
            ),
            (
                format!("{FIRST}{SECOND}").replace("'Kconfig'", "'Kconfig', 'rust/old.rs'"),
                &[],
                "step 2: rust/old.rs: there is no such file",
            ),
            (
                format!("{FIRST}{SECOND}").replace("files = ['x']", "files = ['y']"),
                &[],
                "step 2: 0001-x: it does not change y",
            ),
            (
                format!("{FIRST}{SECOND}").replace("message = 'm'\n", ""),
                &[],
                "a step has a subject and a message",
            ),
        ] {
            let all: Vec<&str> = FILES.iter().chain(files).copied().collect();
            let error = steps(&text, &all).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn each_file_of_this_repository_belongs_to_one_step() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let overlay = Overlay::read(checkout).unwrap();
        let steps = Series::read(checkout).unwrap().steps(&overlay).unwrap();
        let carried: usize = steps.iter().map(|step| step.files.len()).sum();
        assert_eq!(carried, overlay.files.len());
        for step in &steps {
            assert!(
                !step.files.is_empty() || !step.patches.is_empty(),
                "{} carries nothing",
                step.subject
            );
        }
    }
}
