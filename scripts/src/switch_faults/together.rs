// SPDX-License-Identifier: GPL-2.0
//! All mistakes in one copy of the sources, one of which can be tried at a time: so
//! the tests are compiled once, and not for each.
//!
//! A function in which one is made has its body twice, as it is and with the mistake,
//! and asks which of them is to run.

use super::list::Fault;
use anyhow::{bail, ensure, Context as _, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature};

/// What is replaced in a file, and by what.
#[derive(Debug)]
struct Edit<'a> {
    range: Range<usize>,
    by: Cow<'a, str>,
}

/// The body of a function.
#[derive(Debug)]
struct Body {
    /// Where it is, with its braces.
    range: Range<usize>,
    /// Whether the compiler runs it, which cannot be told what is tried.
    is_const: bool,
}

/// The text of `file` with all of `faults` that change it, each by the number that
/// names it.
pub fn write(file: &str, text: &str, faults: &[(u32, &Fault)]) -> Result<String> {
    let bodies = bodies(text).with_context(|| format!("arch-arm64-kvm/{file} is not Rust"))?;
    // By where the body starts.
    let mut changed: BTreeMap<usize, (&Body, BTreeMap<u32, Vec<Edit<'_>>>)> = BTreeMap::new();
    let mut edits: Vec<Edit<'_>> = Vec::new();
    for (number, fault) in faults {
        for (_, from, to) in fault.changes().filter(|(name, ..)| *name == file) {
            let edit = edit(text, file, from, to)?;
            let inside = |body: &&Body| {
                body.range.start < edit.range.start && edit.range.end < body.range.end
            };
            match bodies.iter().find(inside) {
                Some(body) => {
                    ensure!(
                        !body.is_const,
                        "{} is in a constant function of {file}",
                        fault.name
                    );
                    let (_, of_faults) = changed
                        .entry(body.range.start)
                        .or_insert_with(|| (body, BTreeMap::new()));
                    of_faults.entry(*number).or_default().push(edit);
                }
                // Nobody calls it but the mistake that it is for.
                None if edit.range.is_empty() => edits.push(edit),
                None => bail!(
                    "{} replaces something outside of functions in {file}",
                    fault.name
                ),
            }
        }
    }

    for (body, of_faults) in changed.into_values() {
        let mut both = "{ ".to_owned();
        for (number, of_fault) in of_faults {
            let other = with(text, &body.range, of_fault);
            write!(both, "if crate::mutant({number}) {other} else ")?;
        }
        both.push_str(&text[body.range.clone()]);
        both.push_str(" }");
        edits.push(Edit {
            range: body.range.clone(),
            by: both.into(),
        });
    }
    Ok(with(text, &(0..text.len()), edits))
}

/// The part of `text` in `range` with `edits` made, of which no two overlap.
fn with(text: &str, range: &Range<usize>, mut edits: Vec<Edit<'_>>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let mut new = String::new();
    let mut at = range.start;
    for edit in edits {
        new.push_str(&text[at..edit.range.start]);
        new.push_str(&edit.by);
        at = edit.range.end;
    }
    new.push_str(&text[at..range.end]);
    new
}

/// What has to be replaced in `text` to have `to` in the place of `from`: without the
/// lines at both ends that stay as they are.
fn edit<'a>(text: &str, file: &str, from: &str, to: &'a str) -> Result<Edit<'a>> {
    let start = super::list::place(text, file, from)?;
    let common = |pairs: &mut dyn Iterator<Item = (&str, &str)>| -> usize {
        pairs
            .take_while(|(a, b)| a == b)
            .map(|(line, _)| line.len())
            .sum()
    };
    let lines = || (from.split_inclusive('\n'), to.split_inclusive('\n'));
    let (old, new) = lines();
    let behind = common(&mut old.rev().zip(new.rev()));
    let (old, new) = lines();
    let before = common(&mut old.zip(new))
        .min(from.len() - behind)
        .min(to.len() - behind);
    Ok(Edit {
        range: start + before..start + from.len() - behind,
        by: to[before..to.len() - behind].into(),
    })
}

/// The bodies of the functions in `text` that are not in another function.
fn bodies(text: &str) -> Result<Vec<Body>> {
    struct Finder(Vec<Body>);

    impl Finder {
        fn add(&mut self, signature: &Signature, block: &Block) {
            self.0.push(Body {
                range: block.span().byte_range(),
                is_const: signature.constness.is_some(),
            });
        }
    }

    impl<'ast> Visit<'ast> for Finder {
        fn visit_item_fn(&mut self, function: &'ast ItemFn) {
            self.add(&function.sig, &function.block);
        }

        fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
            self.add(&function.sig, &function.block);
        }

        fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
            match &function.default {
                Some(block) => self.add(&function.sig, block),
                None => visit::visit_trait_item_fn(self, function),
            }
        }
    }

    let mut finder = Finder(Vec::new());
    finder.visit_file(&syn::parse_file(text)?);
    Ok(finder.0)
}

#[cfg(test)]
mod tests {
    use super::super::list;
    use super::*;

    const TEXT: &str = "\
const C: u8 = 1;

impl S {
    fn f(&self) -> u8 {
        self.g();
        self.h()
    }
}

const fn k() -> u8 {
    5
}
";

    fn fault(name: &str, text: &str, replacement: &str) -> String {
        format!(
            "[[fault]]\nname = '{name}'\nfile = 'f.rs'\ntext = '''\n{text}'''\n\
             replacement = '''\n{replacement}'''\nwhy = 'w'\njudge = 'simulated-cpu'\nsays = 's'\n"
        )
    }

    fn written(list: &str) -> Result<String> {
        let faults = list::parse(list).unwrap();
        let numbered: Vec<_> = (1..).zip(&faults).collect();
        super::write("f.rs", TEXT, &numbered)
    }

    #[test]
    fn a_body_is_there_as_it_is_and_with_each_mistake() {
        let list = fault("a", "        self.g();\n", "")
            + &fault(
                "b",
                "        self.h()\n    }\n}\n",
                "        self.i()\n    }\n}\n",
            )
            + &fault(
                "c",
                "        self.g();\n        self.h()\n",
                "        self.g();\n        2\n",
            );
        let body = "{\n        self.g();\n        self.h()\n    }";
        let expected = format!(
            "{{ if crate::mutant(1) {} else if crate::mutant(2) {} else if crate::mutant(3) {} \
             else {body} }}",
            body.replace("\n        self.g();", ""),
            body.replace("h()", "i()"),
            body.replace("self.h()", "2"),
        );
        assert_eq!(written(&list).unwrap(), TEXT.replace(body, &expected));
    }

    #[test]
    fn two_changes_are_one_mistake_and_new_items_are_for_all() {
        let also = "[[fault.also]]\nfile = 'f.rs'\ntext = '''\n        self.h()\n'''\n\
            replacement = '''\n        3\n'''\n\
            [[fault.also]]\nfile = 'f.rs'\ntext = '''\nimpl S {\n'''\n\
            replacement = '''\nfn n() {}\n\nimpl S {\n'''\n\
            [[fault.also]]\nfile = 'g.rs'\ntext = '''\nx'''\nreplacement = '''\ny'''\n";
        let list = fault("a", "        self.g();\n", "        n();\n") + also;
        let body = "{\n        self.g();\n        self.h()\n    }";
        let changed = body.replace("self.g()", "n()").replace("self.h()", "3");
        let expected = format!("{{ if crate::mutant(1) {changed} else {body} }}");
        let expected = TEXT
            .replace(body, &expected)
            .replace("impl S", "fn n() {}\n\nimpl S");
        assert_eq!(written(&list).unwrap(), expected);
    }

    #[test]
    fn what_only_the_compiler_runs_cannot_ask() {
        for (text, by) in [
            ("    5\n", "    6\n"),
            ("const C: u8 = 1;\n", "const C: u8 = 2;\n"),
        ] {
            let error = written(&fault("a", text, by)).unwrap_err().to_string();
            assert!(error.starts_with("a "), "{error}");
        }
        let error = written(&fault("a", "    7\n", "")).unwrap_err().to_string();
        assert!(error.contains("no longer applies"), "{error}");
    }
}
