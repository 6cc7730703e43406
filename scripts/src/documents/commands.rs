// SPDX-License-Identifier: GPL-2.0
//! Commands of this project that pages show: whether they exist.

use crate::Arguments;
use clap::error::ErrorKind;
use clap::CommandFactory as _;

const XTASK: &str = "scripts/xtask";

/// What is wrong with the commands of a line, if it has any. `makefile` is the
/// text of ours.
pub fn wrong(line: &str, makefile: &str) -> Option<String> {
    let of_xtask = || line.split(XTASK).skip(1).find_map(wrong_arguments);
    wrong_target(line, makefile).or_else(of_xtask)
}

/// The words of a command, up to where the shell ends it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find(['|', ')', ';', '>', '#', '&', '`']);
    text[..end.unwrap_or(text.len())].split_whitespace()
}

fn wrong_arguments(rest: &str) -> Option<String> {
    let words: Vec<&str> = words(rest).collect();
    // A sentence about it, or another file beside it.
    if words.is_empty() || !rest.starts_with(' ') {
        return None;
    }
    let arguments = [XTASK].into_iter().chain(words.iter().copied());
    let error = Arguments::command().try_get_matches_from(arguments).err()?;
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return None;
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    Some(format!("{XTASK} {}: {first}", words.join(" ")))
}

fn wrong_target(line: &str, makefile: &str) -> Option<String> {
    let mut words = words(line).peekable();
    let is_variable = |word: &str| word.contains('=');
    let mut variables = Vec::new();
    while let Some(word) = words.next_if(|word| is_variable(word)) {
        variables.push(word);
    }
    if words.next() != Some("make") {
        return None;
    }
    for word in words {
        if is_variable(word) {
            variables.push(word);
        } else if !makefile.lines().any(|line| target(line) == Some(word)) {
            return Some(format!("make {word}: the Makefile has no such target"));
        }
    }
    variables.into_iter().find_map(|word| {
        let name = word.split('=').next().unwrap_or_default();
        let mut names = makefile.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let unknown = !names.any(|one| one == name);
        unknown.then(|| format!("make {word}: the Makefile has no such variable"))
    })
}

/// The target that a line of a Makefile begins.
fn target(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    (!name.starts_with(['.', '\t', '#', ' '])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKEFILE: &str = "MODE ?= vhe\nexport KDIR\n.PHONY: all\ntest:\n\t@x: $(SEED)\n";

    #[test]
    fn commands_that_exist_are_right() {
        for line in [
            "make test",
            "make test MODE=nvhe   # another mode",
            "KDIR=~/linux make test SEED=1",
            "make it so, and it is no command of ours if it is not in a literal",
            "scripts/xtask",
            "scripts/xtask help",
            "scripts/xtask mutation FILE",
            "cp \"$(scripts/xtask build rust)\" there | less",
            "scripts/xtask boot --mode nvhe -- /kvm-rust/bin/contest --seconds 5",
        ] {
            let found = wrong(line, MAKEFILE);
            assert_eq!(found.is_some(), line.contains("it so"), "{found:?}");
        }
    }

    #[test]
    fn commands_that_do_not_exist_are_noticed() {
        for (line, what) in [
            ("make tests", "make tests: the Makefile has no such target"),
            ("make all", "make all: the Makefile has no such target"),
            (
                "make test MOOD=a",
                "make MOOD=a: the Makefile has no such variable",
            ),
            (
                "KDIRS=a make test",
                "make KDIRS=a: the Makefile has no such variable",
            ),
            (
                "scripts/xtask tests",
                "scripts/xtask tests: error: unrecognized",
            ),
            (
                "ls \"$(scripts/xtask build rusty)\"",
                "scripts/xtask build rusty: error: invalid",
            ),
            (
                "scripts/xtask mutation --host 3",
                "scripts/xtask mutation --host 3: error: unexpected",
            ),
            (
                "a && scripts/xtask boot --mood x",
                "scripts/xtask boot --mood x: error: unexpected",
            ),
        ] {
            let found = wrong(line, MAKEFILE).unwrap_or_default();
            assert!(found.starts_with(what), "{found}");
        }
    }
}
