// SPDX-License-Identifier: GPL-2.0
//! A git repository of those files of the kernel that the series touches, in
//! which its steps become commits and mails.

use super::identity::Identity;
use super::place;
use super::steps::{Series, Step};
use crate::files;
use crate::overlay::{self, Overlay, STATE};
use crate::process;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The branch with the kernel's own files.
const BASE: &str = "base";
/// The branch with the steps on top.
const STEPS: &str = "steps";
/// As many digits of an object's name as the kernel asks for.
const DIGITS: &str = "12";

/// The repository. It goes away with this.
pub struct Repository {
    folder: tempfile::TempDir,
    identity: Identity,
    /// The date of every commit, in seconds, so that the same input makes the
    /// same mails.
    date: String,
}

impl Repository {
    /// The kernel's files of `source` that `overlay` is about, in a commit.
    pub fn new(source: &Path, overlay: &Overlay, identity: &Identity, date: &str) -> Result<Self> {
        let repository = Self {
            folder: tempfile::tempdir().context("cannot make a folder")?,
            identity: identity.clone(),
            date: date.to_owned(),
        };
        repository.git(&["init", "--quiet", "--initial-branch", BASE])?;
        let mut paths = overlay.paths()?;
        paths.insert(MAINTAINERS.to_owned());
        paths.extend(overlay::put_there(source)?);
        for path in paths {
            if let Some(file) = place::read(source, &path)? {
                place::put(repository.path(), &path, Some(&file))?;
            }
        }
        // A tree of the user may have us in it already.
        overlay::reverse(repository.path())?;
        repository.commit("Linux")?;
        Ok(repository)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs git, without the settings of the machine or the user, and returns
    /// what it prints.
    fn git(&self, arguments: &[&str]) -> Result<String> {
        let date = format!("@{} +0000", self.date);
        let mut command = Command::new("git");
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
        ] {
            command.env_remove(name);
        }
        command
            .args(["-c", "gc.auto=0", "-c", "safe.directory=*"])
            // It does not outlive this.
            .args(["-c", "core.fsync=none", "-C"])
            .arg(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", &self.identity.name)
            .env("GIT_AUTHOR_EMAIL", &self.identity.email)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", &self.identity.name)
            .env("GIT_COMMITTER_EMAIL", &self.identity.email)
            .env("GIT_COMMITTER_DATE", &date)
            .args(arguments);
        process::output(&mut command)
    }

    fn commit(&self, message: &str) -> Result<()> {
        // Some of ours look to the kernel as if they had been built.
        self.git(&["add", "--all", "--force"])?;
        self.git(&["commit", "--quiet", "--cleanup=whitespace", "-m", message])?;
        Ok(())
    }

    /// Commits `steps` on top of the kernel's files.
    pub fn commit_steps(&self, steps: &[Step], overlay: &Overlay) -> Result<()> {
        self.git(&["checkout", "--quiet", "-B", STEPS, BASE])?;
        for step in steps {
            step.apply(self.path(), overlay)?;
            let message = format!(
                "{}\n\n{}\n\nSigned-off-by: {}",
                step.subject, step.message, self.identity
            );
            self.commit(&message)?;
        }
        Ok(())
    }

    /// Writes the steps as mails into `folder`, and returns their paths.
    pub fn format(&self, series: &Series, text: &str, folder: &Path) -> Result<Vec<PathBuf>> {
        let description = format!("{}\n\n{text}", series.cover.subject);
        let name = format!("branch.{STEPS}.description");
        self.git(&["config", &name, &description])?;
        let into = folder.to_string_lossy();
        let printed = self.git(&[
            "format-patch",
            "--cover-letter",
            "--cover-from-description=subject",
            "--subject-prefix=PATCH",
            "--no-signature",
            "--zero-commit",
            "--no-renames",
            // Hundreds of files that are new need not be named twice.
            "--stat",
            "--patch",
            &format!("--abbrev={DIGITS}"),
            "--output-directory",
            &into,
            &format!("{BASE}..{STEPS}"),
        ])?;
        Ok(printed.lines().map(PathBuf::from).collect())
    }

    /// Lines that the series adds to and takes from each file that the kernel has.
    pub fn changed_lines(&self, overlay: &Overlay) -> Result<Vec<(String, usize)>> {
        let printed = self.git(&["diff", "--numstat", "--no-renames", BASE, STEPS])?;
        let mut changed = Vec::new();
        for line in printed.lines() {
            let mut words = line.split('\t');
            let (added, gone) = (words.next(), words.next());
            let path = words.next().context("git says which file it is")?;
            if overlay.files.contains_key(path) {
                continue;
            }
            let number = |word: Option<&str>| -> Result<usize> {
                let word = word.context("git says how many lines there are")?;
                word.parse()
                    .with_context(|| format!("{path}: {word} lines"))
            };
            changed.push((path.to_owned(), number(added)? + number(gone)?));
        }
        Ok(changed)
    }

    /// Paths of the files that the series adds.
    pub fn added(&self) -> Result<Vec<String>> {
        let printed = self.git(&[
            "diff",
            "--name-only",
            "--diff-filter=A",
            "--no-renames",
            BASE,
            STEPS,
        ])?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// The kernel's list of who looks after what, as the series leaves it.
    pub fn maintainers(&self) -> Result<String> {
        self.git(&["show", &format!("{STEPS}:{MAINTAINERS}")])
    }

    /// Takes the mails as a maintainer would, and `overlay` as scripts/apply
    /// does. Fails where the two trees differ, and says in which files.
    pub fn compare(&self, mails: &[PathBuf], overlay: &Overlay) -> Result<()> {
        self.git(&["checkout", "--quiet", "-B", "mails", BASE])?;
        let mut arguments = vec![
            "am".to_owned(),
            "--quiet".to_owned(),
            "--keep-cr".to_owned(),
        ];
        arguments.extend(mails.iter().map(|path| path.to_string_lossy().into_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.git(&arguments).context("git am refuses the series")?;
        self.git(&["checkout", "--quiet", "-B", "apply", BASE])?;
        overlay::apply(self.path(), overlay)?;
        files::remove_all(&self.path().join(STATE))?;
        self.commit("scripts/apply")?;
        let differences = self.git(&["diff", "--name-status", "--no-renames", "mails", "apply"])?;
        anyhow::ensure!(
            differences.is_empty(),
            "git am makes another tree than scripts/apply:\n{differences}"
        );
        Ok(())
    }
}

/// Who looks after what, in the tree.
pub const MAINTAINERS: &str = "MAINTAINERS";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::patch::File;
    use std::fs;

    const SERIES: &str = "change-id = 'i'\n[cover]\nsubject = 'a: rust'\ntext = 't'\n\
        [[step]]\nsubject = 'a: first'\nmessage = 'Why.'\nfiles = ['rust/']\n\
        patches = [{ name = '0001', with = 'first' }]\n\
        [[step]]\nsubject = 'a: second'\nmessage = 'Why, too.'\nfiles = ['Kconfig']\n\
        patches = [{ name = '0001', with = 'second' }]\n";
    const PATCH: &str = "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n\
        @@ -1,2 +1,3 @@\n one\n+first\n two\n@@ -5,2 +6,2 @@\n-five\n+second\n six\n";

    struct Case {
        source: tempfile::TempDir,
        overlay: Overlay,
        series: Series,
    }

    impl Case {
        fn new() -> Self {
            let source = tempfile::tempdir().unwrap();
            let text = "one\ntwo\nthree\nfour\nfive\nsix\n";
            fs::write(source.path().join("a.c"), text).unwrap();
            fs::write(source.path().join("unconcerned.c"), text).unwrap();
            let file = |text: &str| File {
                bytes: text.into(),
                mode: 0o644,
            };
            let files = [
                ("rust/a.rs", file("fn a() {}\n")),
                ("arch/arm64/kvm/rust/Kconfig", file("config A\n")),
            ];
            Self {
                source,
                overlay: Overlay {
                    files: files.map(|(path, file)| (path.to_owned(), file)).into(),
                    patches: vec![("0001-x.patch".to_owned(), PATCH.to_owned())],
                },
                series: toml::from_str(SERIES).unwrap(),
            }
        }

        fn make(&self, folder: &Path) -> (Repository, Vec<PathBuf>) {
            let repository = Repository::new(
                self.source.path(),
                &self.overlay,
                &Identity::of_nobody(),
                "1764185563",
            )
            .unwrap();
            let steps = self.series.steps(&self.overlay).unwrap();
            repository.commit_steps(&steps, &self.overlay).unwrap();
            let mails = repository.format(&self.series, "text", folder).unwrap();
            (repository, mails)
        }
    }

    fn replace(path: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    #[test]
    fn mails_make_the_tree_of_apply_or_the_difference_is_named() {
        let case = Case::new();
        let folder = tempfile::tempdir().unwrap();
        let (repository, mails) = case.make(folder.path());
        assert_eq!(mails.len(), 3);
        let cover = fs::read_to_string(&mails[0]).unwrap();
        assert!(cover.contains("Subject: [PATCH 0/2] a: rust\n"), "{cover}");
        let first = fs::read_to_string(&mails[1]).unwrap();
        assert!(first.contains("Signed-off-by: Nobody <"), "{first}");
        repository.compare(&mails[1..], &case.overlay).unwrap();
        replace(&mails[2], "+config A", "+config B");
        let error = repository.compare(&mails[1..], &case.overlay).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("M\tarch/arm64/kvm/rust/Kconfig"), "{error}");
        replace(&mails[1], " two", " three");
        let error = repository.compare(&mails[1..], &case.overlay).unwrap_err();
        assert!(error.to_string().contains("git am refuses"), "{error}");
    }

    #[test]
    fn the_same_input_makes_the_same_mails() {
        let case = Case::new();
        let read = || -> Vec<(Option<std::ffi::OsString>, Vec<u8>)> {
            let folder = tempfile::tempdir().unwrap();
            let (_, mails) = case.make(folder.path());
            let of = |mail: &PathBuf| (mail.file_name().map(Into::into), fs::read(mail).unwrap());
            mails.iter().map(of).collect()
        };
        assert_eq!(read(), read());
    }

    #[test]
    fn lines_of_files_that_are_there_count() {
        let case = Case::new();
        let folder = tempfile::tempdir().unwrap();
        let (repository, _) = case.make(folder.path());
        let changed = repository.changed_lines(&case.overlay).unwrap();
        assert_eq!(changed, [("a.c".to_owned(), 3)]);
        let added = ["arch/arm64/kvm/rust/Kconfig", "rust/a.rs"];
        assert_eq!(repository.added().unwrap(), added);
    }

    #[test]
    fn a_tree_that_has_us_in_it_is_taken_without() {
        let case = Case::new();
        overlay::apply(case.source.path(), &case.overlay).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (repository, mails) = case.make(folder.path());
        repository.compare(&mails[1..], &case.overlay).unwrap();
    }
}
