// SPDX-License-Identifier: GPL-2.0
//! Writes a file with all of its mutants in it, one of which can be tried at a
//! time: so the tests are compiled once, and not for each.

use super::find::{Found, Piece, Replacement};
use super::Mutant;
use std::ops::Range;

/// A file with mutants.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// What is in it.
    pub text: String,
    places: Vec<Place>,
}

/// Where a mutant is in a file with mutants.
#[derive(Debug)]
struct Place {
    number: u32,
    /// Where it and the code that it takes the place of are.
    all: Range<usize>,
    /// Where the code is that runs when it is tried.
    tried: Range<usize>,
}

/// Part of what a mutant and the code around it become.
enum Part<'a> {
    New(String),
    Tried(&'a [Piece]),
    /// The code as it was, with the mutants that are in it.
    Before,
}

impl Rewritten {
    /// Puts `mutants` into `text`.
    pub fn new(text: &str, mutants: &[&Mutant]) -> Self {
        let mut sorted = mutants.to_vec();
        // From the outside in. What is put in front of something comes first.
        sorted.sort_by_key(|mutant| {
            let Range { start, end } = mutant.found.range;
            (start, start != end, std::cmp::Reverse(end), mutant.number)
        });
        let mut rewritten = Self::default();
        rewritten.render(text, 0..text.len(), &sorted);
        rewritten
    }

    fn render(&mut self, text: &str, range: Range<usize>, mutants: &[&Mutant]) {
        let mut at = range.start;
        let mut rest = mutants;
        while let Some((mutant, behind)) = rest.split_first() {
            let replaced = &mutant.found.range;
            self.text.push_str(&text[at..replaced.start]);
            let inside = behind
                .iter()
                .take_while(|other| {
                    let other = &other.found.range;
                    other.end <= replaced.end && other.start < replaced.end
                })
                .count();
            let start = self.text.len();
            let mut tried = start..start;
            for part in parts(mutant) {
                match part {
                    Part::New(new) => self.text.push_str(&new),
                    Part::Before => self.render(text, replaced.clone(), &behind[..inside]),
                    Part::Tried(pieces) => {
                        tried.start = self.text.len();
                        for piece in pieces {
                            self.text.push_str(match piece {
                                Piece::Text(new) => new,
                                Piece::Kept(range) => &text[range.clone()],
                            });
                        }
                        tried.end = self.text.len();
                    }
                }
            }
            self.places.push(Place {
                number: mutant.number,
                all: start..self.text.len(),
                tried,
            });
            at = replaced.end;
            rest = &behind[inside..];
        }
        self.text.push_str(&text[at..range.end]);
    }

    /// The mutant at a byte of the text: the one whose own code it is, otherwise
    /// the innermost around it.
    pub fn mutant_at(&self, byte: usize) -> Option<u32> {
        let innermost = |place: fn(&Place) -> &Range<usize>| {
            self.places
                .iter()
                .filter(|found| place(found).contains(&byte))
                .min_by_key(|found| place(found).len())
        };
        innermost(|place| &place.tried)
            .or_else(|| innermost(|place| &place.all))
            .map(|place| place.number)
    }
}

/// The file with one mutant in it, and nothing else.
pub fn plain(text: &str, found: &Found) -> String {
    let (before, behind) = (&text[..found.range.start], &text[found.range.end..]);
    let by = match &found.by {
        Replacement::Expression(pieces) => {
            let piece = |piece: &Piece| match piece {
                Piece::Text(new) => new.clone(),
                Piece::Kept(range) => text[range.clone()].to_owned(),
            };
            format!("({})", pieces.iter().map(piece).collect::<String>())
        }
        Replacement::Nothing => String::new(),
        // What follows it is only there to be compiled.
        Replacement::Return(value) => format!(" if true {{ return {value}; }} "),
        Replacement::NoMatch => " if false".to_owned(),
    };
    format!("{before}{by}{behind}")
}

/// What comes in the place of a mutant's range.
fn parts(mutant: &Mutant) -> Vec<Part<'_>> {
    let new = |text: &str| Part::New(text.to_owned());
    let is_tried = format!("crate::mutant({})", mutant.number);
    match &mutant.found.by {
        Replacement::Expression(pieces) => vec![
            Part::New(format!("(if {is_tried} {{ ")),
            Part::Tried(pieces),
            new(" } else { "),
            Part::Before,
            new(" })"),
        ],
        Replacement::Nothing => vec![
            Part::New(format!("if !{is_tried} {{ ")),
            Part::Before,
            new(" }"),
        ],
        Replacement::Return(value) => {
            vec![Part::New(format!(" if {is_tried} {{ return {value}; }} "))]
        }
        Replacement::NoMatch => vec![Part::New(format!(" if !{is_tried}"))],
    }
}

#[cfg(test)]
mod tests {
    use super::super::find::find;
    use super::*;

    fn rewritten(text: &str, keep: impl Fn(&Found) -> bool) -> Rewritten {
        let mutants: Vec<Mutant> = find(text)
            .unwrap()
            .into_iter()
            .filter(|found| keep(found))
            .zip(1..)
            .map(|(found, number)| Mutant {
                number,
                file: "f.rs".into(),
                found,
            })
            .collect();
        Rewritten::new(text, &mutants.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_not_tried_stays_as_it_is() {
        let text = "fn f() { g(1); }";
        assert_eq!(rewritten(text, |_| false).text, text);
        assert_eq!(
            rewritten(text, |_| true).text,
            "fn f() { if !crate::mutant(1) { g((if crate::mutant(2) { 2 } else { 1 })); } }"
        );
    }

    #[test]
    fn mutants_are_in_each_other() {
        let text = "fn f(a: bool, b: u8) -> bool { a && b == 1 }";
        let rewritten = rewritten(text, |found| found.what.contains(" becomes "));
        assert_eq!(
            rewritten.text,
            "fn f(a: bool, b: u8) -> bool { (if crate::mutant(1) { a || b == 1 } else { \
             a && (if crate::mutant(2) { b != 1 } else { \
             b == 1 }) }) }"
        );
        // An error is in the code that is tried, or around it.
        let at = |text| rewritten.text.find(text).unwrap();
        assert_eq!(rewritten.mutant_at(at("||")), Some(1));
        assert_eq!(rewritten.mutant_at(at("!=")), Some(2));
        assert_eq!(rewritten.mutant_at(at("&&")), Some(1));
        assert_eq!(rewritten.mutant_at(at("== 1 })")), Some(2));
        assert_eq!(rewritten.mutant_at(3), None);
    }

    #[test]
    fn a_mutant_can_be_alone() {
        let text = "fn f(a: u8) -> u8 { g(); match a { 1 if a == 2 => 3, _ => 4 } }";
        let with = |what: &str| {
            let all = find(text).unwrap();
            let found = all.iter().find(|found| found.what.starts_with(what));
            plain(text, found.unwrap())
        };
        assert_eq!(with("== becomes !="), text.replace("a == 2", "(a != 2)"));
        assert_eq!(with("left out: g()"), text.replace("g();", ""));
        let returns = text.replace("{ g()", "{ if true { return 1; }  g()");
        assert_eq!(with("returns 1"), returns);
        assert_eq!(with("becomes 5: 4"), text.replace("=> 4", "=> (5)"));
    }

    #[test]
    fn arms_and_returns_are_put_in() {
        let text = "fn f(a: u8) -> u8 {\n match a { 1 | 2 => 3, _ => 4 }\n}";
        let by = |found: &Found| !matches!(found.by, Replacement::Expression(_));
        assert_eq!(
            rewritten(text, by).text,
            "fn f(a: u8) -> u8 { if crate::mutant(1) { return 0; }  \
             if crate::mutant(2) { return 1; } \n \
             match a { 1 | 2 if !crate::mutant(3) => 3, _ => 4 }\n}"
        );
    }
}
