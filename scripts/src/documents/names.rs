// SPDX-License-Identifier: GPL-2.0
//! What pages may name: files, folders, and the words that are in them.

use anyhow::{Context as _, Result};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// Folders of the kernel that pages name something of.
const KERNEL: [&str; 9] = [
    "Documentation",
    "arch/arm64",
    "include",
    "kernel/trace",
    "rust",
    "scripts",
    "tools/testing/selftests/arm64",
    "tools/testing/selftests/kvm",
    "virt/kvm",
];

/// The folders in which a word need not be code: that a page has it says
/// nothing of another page.
const PROSE: &str = "Documentation";

/// What the build puts in front of names.
const PREFIXES: [&str; 3] = ["CONFIG_", "__kvm_nvhe_", "vcpu_sysreg_"];

/// Names of files that end so are checked as such.
const EXTENSIONS: [&str; 10] = [
    "S", "c", "calls", "config", "h", "md", "py", "rs", "rst", "toml",
];

/// What there is to be named.
#[derive(Debug, Default)]
pub struct Names {
    /// Files, as here and as in the kernel tree, with a slash in front.
    paths: BTreeSet<String>,
    /// Words of this repository, those of names of files among them.
    words: BTreeSet<String>,
    /// Rust files with the words of each.
    rust: Vec<HashSet<String>>,
    /// Words of the kernel that a page names.
    kernel: HashSet<String>,
}

impl Names {
    /// Adds a file of this repository. `paths` are what it is called.
    pub fn add(&mut self, paths: &[&str], text: &str) {
        let mut words: HashSet<String> = HashSet::new();
        for text in paths.iter().chain([&text]) {
            words.extend(tokens(text).flat_map(with_parts).map(str::to_owned));
        }
        self.words.extend(words.iter().cloned());
        if paths.iter().any(|path| path.ends_with(".rs")) {
            self.rust.push(words);
        }
        self.paths
            .extend(paths.iter().map(|path| format!("/{path}")));
    }

    /// Adds the files of the kernel `tree`, and those of their words that are in
    /// `literals` and not known yet.
    pub fn add_kernel<'a>(
        &mut self,
        tree: &Path,
        literals: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let mut tokens_left: Vec<&str> = literals.flat_map(tokens).collect();
        tokens_left.retain(|token| !self.has(token));
        let wanted: HashSet<&str> = tokens_left
            .iter()
            .flat_map(|token| with_parts(token))
            .flat_map(|word| [word].into_iter().chain(without_prefix(word)))
            .collect();
        for folder in KERNEL {
            for entry in WalkDir::new(tree.join(folder)) {
                let entry = entry.with_context(|| format!("cannot read {}", tree.display()))?;
                if !entry.file_type().is_file() {
                    continue;
                }
                let path = entry.path().strip_prefix(tree).unwrap_or(entry.path());
                self.paths.insert(format!("/{}", path.display()));
                if tokens_left.is_empty() || path.starts_with(PROSE) {
                    continue;
                }
                let text = fs::read(entry.path())
                    .with_context(|| format!("cannot read {}", entry.path().display()))?;
                let text = String::from_utf8_lossy(&text);
                let before = self.kernel.len();
                let words = tokens(&text).flat_map(with_parts);
                let words = words.filter(|word| wanted.contains(word));
                self.kernel.extend(words.map(str::to_owned));
                if self.kernel.len() > before {
                    tokens_left.retain(|token| !self.has(token));
                }
            }
        }
        Ok(())
    }

    /// The first part of `literal` that names nothing.
    pub fn unknown<'a>(&self, literal: &'a str) -> Option<&'a str> {
        let words = literal.split_whitespace().map(bare);
        // What has an ellipsis is not all there.
        for word in words.filter(|word| !word.contains("...")) {
            if is_path(word) || self.begins_like_a_path(word) {
                if !self.is_there(word) {
                    return Some(word);
                }
                continue;
            }
            let unknown = tokens(word)
                .find(|token| !(self.has(token) || word.contains('*') && self.begins(token)));
            if unknown.is_some() {
                return unknown;
            }
            if qualified(word).any(|path| !self.is_in_one_file(path)) {
                return Some(word);
            }
        }
        None
    }

    /// The first word of a command that names nothing. Tests may be named by how
    /// their names begin.
    pub fn unknown_in_command<'a>(&self, line: &'a str) -> Option<&'a str> {
        line.split_whitespace().find_map(|word| {
            if word.starts_with("scripts/") || word.starts_with("selftests/") {
                return self.unknown(word);
            }
            let fits = |c: char| c.is_ascii_alphanumeric() || "_-:".contains(c);
            let is_name = word.contains('_') && word.chars().all(fits);
            let unknown = || tokens(word).find(|token| !(self.has(token) || self.begins(token)));
            is_name.then(unknown).flatten()
        })
    }

    /// Whether there is such a file or folder, or one whose path ends so.
    pub fn is_there(&self, path: &str) -> bool {
        let path = path.trim_start_matches("*/");
        let (path, only_folder) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        let file = format!("/{path}");
        let folder = format!("{file}/");
        let mut paths = self.paths.iter();
        paths.any(|path| path.contains(&folder) || !only_folder && path.ends_with(&file))
    }

    /// Whether there is exactly such a file.
    pub fn is_file(&self, path: &str) -> bool {
        self.paths.contains(&format!("/{path}"))
    }

    /// Whether `word` has a slash behind the name of a folder that is at the top.
    fn begins_like_a_path(&self, word: &str) -> bool {
        let Some((folder, _)) = word.split_once('/') else {
            return false;
        };
        let folder = format!("/{folder}/");
        let from = self.paths.range(folder.clone()..).next();
        from.is_some_and(|path| path.starts_with(&folder))
    }

    fn has(&self, token: &str) -> bool {
        let word = |word: &str| self.words.contains(word) || self.kernel.contains(word);
        word(token)
            || without_prefix(token).is_some_and(word)
            || word(&format!("CONFIG_{token}"))
            || token.contains('-') && token.split('-').all(word)
    }

    /// Whether a word of ours begins so.
    fn begins(&self, token: &str) -> bool {
        let from = self.words.range(token.to_owned()..).next();
        from.is_some_and(|word| word.starts_with(token))
    }

    /// Whether a Rust file has all parts of `path` in it or in its name.
    fn is_in_one_file(&self, path: &str) -> bool {
        // That a file is part of a crate is said nowhere in it.
        let path = match path.split_once("::") {
            Some((root, rest)) if rest.contains("::") && self.is_there(&format!("{root}.rs")) => {
                rest
            }
            _ => path,
        };
        self.rust.iter().any(|words| {
            let has = |part: &str| words.contains(part);
            let mut parts = path.split("::").filter(|part| !part.is_empty());
            parts.all(|part| has(part) || without_prefix(part).is_some_and(has))
        })
    }
}

/// `word` without the marks of a sentence around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c| "()[]{}<>,;:\"'=".contains(c))
}

/// Whether `word` has the form of a file's or folder's name.
fn is_path(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    if !word.chars().all(fits) || word.starts_with('/') {
        return false;
    }
    let extension = word.rsplit_once('.').map(|(_, extension)| extension);
    word.ends_with('/') || extension.is_some_and(|e| EXTENSIONS.contains(&e))
}

/// Words of `text` that could be names: with a letter in the beginning, and
/// hyphens only inside.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .map(|token| token.trim_matches('-'))
        .filter(|token| token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// `token`, and what is between its hyphens.
fn with_parts(token: &str) -> impl Iterator<Item = &str> {
    let parts = token.contains('-').then(|| token.split('-'));
    [token].into_iter().chain(parts.into_iter().flatten())
}

fn without_prefix(word: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix))
}

/// Paths of Rust in `word`, such as `vhe::switch::run`.
fn qualified(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|path| path.contains("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        names.add(
            &[
                "arch-arm64-kvm/vhe/switch.rs",
                "arch/arm64/kvm/rust/vhe/switch.rs",
            ],
            "fn run() { b09_first(); }",
        );
        names.add(&["root.rs"], "");
        names.add(&["scripts/src/a.rs"], "\"entry-as-in-c\" other");
        names.add(&["patches/0001-x.patch"], "KVM_ARM64_RUST, y, svg");
        let tree = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for folder in KERNEL {
            file(&format!("{folder}/x"), "");
        }
        file(
            "arch/arm64/kvm/mmu.c",
            "int __kvm_at(void); enum { SCTLR2_EL1 };",
        );
        file("Documentation/virt/kvm/api.rst", "word_of_prose");
        let wanted = "__kvm_at vcpu_sysreg_SCTLR2_EL1 word_of_prose";
        names.add_kernel(tree.path(), [wanted].into_iter()).unwrap();
        names
    }

    #[test]
    fn names_of_what_is_there_are_known() {
        let names = names();
        for literal in [
            "vhe/switch.rs",
            "*/switch.rs",
            "switch.rs",
            "arch/arm64/kvm/rust/",
            "arch/arm64/kvm/mmu.c",
            "mmu.c",
            "scripts/src",
            "vhe/",
            "vhe::switch::run",
            "root::vhe::switch::run",
            "run()",
            "scripts.svg",
            "b09_*",
            "entry-as-in-c",
            "other-run",
            "__kvm_at() 0x1c 12",
            "vcpu_sysreg_SCTLR2_EL1",
            "CONFIG_KVM_ARM64_RUST=y",
            "__kvm_nvhe__RNv...6switch3run",
        ] {
            assert_eq!(names.unknown(literal), None, "{literal}");
        }
    }

    #[test]
    fn names_of_nothing_are_noticed() {
        let names = names();
        for (literal, unknown) in [
            ("nvhe/switch.rs", "nvhe/switch.rs"),
            ("witch.rs", "witch.rs"),
            ("arch/arm64/kvm/gone", "arch/arm64/kvm/gone"),
            ("scripts/gone.toml", "scripts/gone.toml"),
            ("gone/", "gone/"),
            // Each word is somewhere, but not all in one file.
            ("vhe::switch::other", "vhe::switch::other"),
            ("other(gone)", "gone"),
            ("b10_*", "b10_"),
            ("entry-as-in-d", "entry-as-in-d"),
            ("run gone 0x1c", "gone"),
            ("CONFIG_GONE", "CONFIG_GONE"),
            ("word_of_prose", "word_of_prose"),
        ] {
            assert_eq!(names.unknown(literal), Some(unknown), "{literal}");
        }
    }

    #[test]
    fn names_in_commands_may_be_beginnings() {
        let names = names();
        for (line, unknown) in [
            ("scripts/src/a.rs b09_ --x-y | 's/a_b/'", None),
            ("scripts/gone.sh", Some("scripts/gone.sh")),
            ("scripts/src/a.rs b09_first::b10_gone", Some("b10_gone")),
        ] {
            assert_eq!(names.unknown_in_command(line), unknown, "{line}");
        }
    }
}
