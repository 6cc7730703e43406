// SPDX-License-Identifier: GPL-2.0

//! Reads the list of what an object may call.
//!
//! One statement a line, comments after `#`:
//!
//! ```text
//! entry NAME                          a C function from which calls are followed
//! entry all                           all functions, and all symbols that are not defined
//! outside NAME: REASON                a C function that needs no check, and why
//! allow NAME [if CONDITION]: REASON   a symbol of another object, and why it may be used;
//!                                     or a function whose calls are not to be followed
//! inline NAME [if CONDITION]: REASON  the same of a function that the compiler may also put
//!                                     into its callers, or call another for: there may be no
//!                                     call
//! allow BUG [if CONDITION]: REASON    BUG(), and why it may be there
//! allow WARN [if CONDITION]: REASON   WARN(), and why it may be there
//! ```
//!
//! A `*` at the end of a name stands for any further letters. A condition is one or more options of
//! the configuration: `CONFIG_A` where it must be set, `!CONFIG_A` where it must not. Where the
//! condition does not hold, the line is not there.
//!
//! A line that nothing needs is no reason to refuse an object: what a compiler leaves of an inline
//! function is not the same with each, and with all options. The output names it.

use super::{
    demangle::demangle,
    error::Error,
    panics, //
};
use std::{
    cell::Cell,
    collections::BTreeSet, //
};

/// Options of the configuration that are set.
#[derive(Debug, Default)]
pub(crate) struct Config(BTreeSet<String>);

impl Config {
    /// Reads `include/config/auto.conf`.
    pub(crate) fn parse(text: &str) -> Self {
        let names = text.lines().filter_map(|line| line.split_once('='));
        Self(names.map(|(name, _)| name.to_owned()).collect())
    }

    fn holds(&self, condition: &str) -> bool {
        match condition.strip_prefix('!') {
            Some(name) => !self.0.contains(name),
            None => self.0.contains(condition),
        }
    }
}

/// Where calls are followed from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    /// All functions.
    All,
    /// These, and where they are listed.
    Named(Vec<(String, usize)>),
}

/// What the list says about a name.
#[derive(Debug)]
pub(crate) struct Line {
    pattern: String,
    /// Why.
    pub(crate) reason: String,
    /// The line, from 1.
    pub(crate) number: usize,
    /// It is of no use if nothing uses it.
    must_be_used: bool,
    used: Cell<bool>,
}

impl Line {
    fn matches(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.pattern,
        }
    }
}

/// The list.
#[derive(Debug)]
pub(crate) struct List {
    /// Its name for messages.
    pub(crate) file: String,
    /// Where calls are followed from.
    pub(crate) entries: Entries,
    outside: Vec<Line>,
    allowed: Vec<Line>,
}

/// What stands for `BUG()` in the list.
pub(crate) const BUG: &str = "BUG";
/// What stands for `WARN()` in the list.
pub(crate) const WARN: &str = "WARN";

const GRAMMAR: &str = "a line is `entry NAME`, `outside NAME: REASON`, or `allow` or `inline \
                       NAME [if CONDITION]: REASON`";

impl List {
    /// Reads the list in `text` for a kernel with the configuration `config`.
    pub(crate) fn parse(file: &str, text: &str, config: &Config) -> Result<Self, Error> {
        let mut all = false;
        let mut named: Vec<(String, usize)> = Vec::new();
        let mut list = Self {
            file: file.to_owned(),
            entries: Entries::All,
            outside: Vec::new(),
            allowed: Vec::new(),
        };
        for (index, text) in text.lines().enumerate() {
            let number = index + 1;
            let error = |what: String, hint| Error::new(list.place(number), what, hint);
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
            if word == "entry" && !rest.is_empty() && !rest.contains(' ') {
                match rest {
                    "all" => all = true,
                    name => named.push((name.to_owned(), number)),
                }
                continue;
            }
            let Some((name, reason)) = rest.split_once(": ") else {
                return Err(error(format!("`{text}` is not understood"), GRAMMAR));
            };
            let (name, condition) = match name.split_once(" if ") {
                Some((name, condition)) => (name, condition),
                None => (name, ""),
            };
            if name.is_empty() || reason.trim().is_empty() {
                return Err(error(format!("`{text}` is not understood"), GRAMMAR));
            }
            for option in condition.split_whitespace() {
                if !option.trim_start_matches('!').starts_with("CONFIG_") {
                    let what = format!("`{option}` is not an option of the configuration");
                    return Err(error(
                        what,
                        "a condition is `CONFIG_NAME` or `!CONFIG_NAME`",
                    ));
                }
            }
            if matches!(word, "allow" | "inline") && panics::is_panic(&demangle(name)) {
                return Err(error(
                    format!("{name} panics, which no reason can allow"),
                    "take the line out, and the panic out of the code",
                ));
            }
            let lines = match word {
                "outside" if condition.is_empty() => &mut list.outside,
                "allow" | "inline" => &mut list.allowed,
                _ => return Err(error(format!("`{text}` is not understood"), GRAMMAR)),
            };
            if condition.split_whitespace().all(|c| config.holds(c)) {
                lines.push(Line {
                    pattern: name.to_owned(),
                    reason: reason.trim().to_owned(),
                    number,
                    must_be_used: word != "inline",
                    used: Cell::new(false),
                });
            }
        }
        match (all, named.is_empty()) {
            (true, true) => {}
            (false, false) => list.entries = Entries::Named(named),
            _ => {
                return Err(Error::new(
                    file,
                    "it has to say where calls are followed from",
                    "write `entry all`, or `entry NAME` for each function, but not both",
                ))
            }
        }
        Ok(list)
    }

    /// The line with this number, for messages.
    pub(crate) fn place(&self, number: usize) -> String {
        format!("{}:{number}", self.file)
    }

    /// Looks for a symbol, mangled or not, or for [`BUG`] or [`WARN`], among what is allowed.
    pub(crate) fn allows(&self, name: &str) -> bool {
        find(&self.allowed, name)
    }

    /// Returns whether the function `name` is one that needs no check.
    pub(crate) fn has_outside(&self, name: &str) -> bool {
        find(&self.outside, name)
    }

    /// The lines that were of use.
    pub(crate) fn used(&self) -> impl Iterator<Item = (&str, &Line)> {
        let lines = self.allowed.iter().filter(|line| line.used.get());
        lines.map(|line| (line.pattern.as_str(), line))
    }

    /// The lines that were not, and should have been.
    pub(crate) fn not_needed(&self) -> impl Iterator<Item = (&str, &Line)> {
        let lines = self.allowed.iter().chain(&self.outside);
        let unused = lines.filter(|line| line.must_be_used && !line.used.get());
        unused.map(|line| (line.pattern.as_str(), line))
    }
}

/// Marks the lines for `name`; false if there is none.
fn find(lines: &[Line], name: &str) -> bool {
    let readable = demangle(name);
    let mut found = false;
    for line in lines {
        if line.matches(name) || line.matches(&readable) {
            line.used.set(true);
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<List, String> {
        let config = Config::parse("# comment\nCONFIG_A=y\nCONFIG_TEXT=\"x\"\n");
        List::parse("l", text, &config).map_err(|e| e.to_string())
    }

    #[test]
    fn statements_are_read() {
        let list = list(
            "# comment\n\nentry f\nentry g\noutside init: runs at boot\n\
             allow h: a reason\nallow __asan_* if CONFIG_A !CONFIG_B: reports\n\
             allow i if CONFIG_B: never here\nallow <a::B>::c: a method\n",
        )
        .unwrap();
        let named = [("f".to_owned(), 3), ("g".to_owned(), 4)].to_vec();
        assert_eq!(list.entries, Entries::Named(named));
        assert!(list.allows("h") && list.allows("__asan_load8") && list.has_outside("init"));
        assert!(!list.allows("i") && !list.allows("h2") && !list.allows("init"));
        // The name that the compiler gives to the method.
        assert!(list.allows("_RNvMCsb5MLIFMWygY_1aNtB2_1B1c"));
        assert_eq!(list.not_needed().count(), 0);
    }

    #[test]
    fn what_is_not_used_is_not_needed() {
        let list = list("entry all\noutside x: y\nallow h: a reason\n").unwrap();
        assert_eq!(list.entries, Entries::All);
        let lines: Vec<_> = list
            .not_needed()
            .map(|(name, l)| (name, l.number))
            .collect();
        assert_eq!(lines, [("h", 3), ("x", 2)]);
    }

    #[test]
    fn a_function_that_may_be_inlined_need_not_be_used() {
        let list = list("entry all\ninline h: a reason\ninline i if CONFIG_B: x\n").unwrap();
        assert_eq!(list.not_needed().count(), 0);
        assert!(list.allows("h") && !list.allows("i"));
    }

    #[test]
    fn each_line_needs_its_reason() {
        for line in [
            "allow f",
            "allow f:",
            "allow f: ",
            "outside f",
            "inline f",
            "allow : x",
        ] {
            let error = list(&format!("entry all\n{line}\n")).unwrap_err();
            assert!(error.starts_with("error: l:2: `"), "{line}: {error}");
        }
        let error = list("entry all\nallow f if A: x\n").unwrap_err();
        assert!(error.contains("`A` is not an option"), "{error}");
        let error = list("entry all\nallowed f: x\n").unwrap_err();
        assert!(error.contains("is not understood"), "{error}");
    }

    #[test]
    fn entries_are_needed() {
        assert!(list("allow f: x\n").unwrap_err().starts_with("error: l: "));
        assert!(list("entry all\nentry f\n")
            .unwrap_err()
            .contains("not both"));
    }

    #[test]
    fn a_panic_cannot_be_allowed() {
        for name in [
            "core::panicking::panic",
            "_RNvNtCs2lKf6AS60Zg_4core9panicking5panic",
        ] {
            let error = list(&format!("entry all\nallow {name}: x\n")).unwrap_err();
            assert!(error.contains("which no reason can allow"), "{error}");
        }
    }
}
