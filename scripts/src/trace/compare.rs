// SPDX-License-Identifier: GPL-2.0
//! Two register traces side by side.

use super::window::Access;
use similar::{capture_diff_slices, Algorithm, DiffTag};

/// Accesses at one place of the trace that C and Rust do not have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The function of the first of them.
    pub function: String,
    /// Those of C only.
    pub c: Vec<String>,
    /// Those of Rust only.
    pub rust: Vec<String>,
}

/// A stretch of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// The same in both.
    Same(&'a [Access], &'a [Access]),
    /// C's on the left, Rust's on the right; either may be empty.
    Differs(&'a [Access], &'a [Access]),
}

/// Lays the traces side by side. Who makes an access does not matter.
pub fn compare<'a>(c: &'a [Access], rust: &'a [Access]) -> Vec<Stretch<'a>> {
    let texts =
        |trace: &'a [Access]| -> Vec<&'a str> { trace.iter().map(|a| a.what.as_str()).collect() };
    capture_diff_slices(Algorithm::Myers, &texts(c), &texts(rust))
        .iter()
        .map(|op| {
            let (left, right) = (&c[op.old_range()], &rust[op.new_range()]);
            match op.tag() {
                DiffTag::Equal => Stretch::Same(left, right),
                _ => Stretch::Differs(left, right),
            }
        })
        .collect()
}

impl Stretch<'_> {
    /// The difference, if it is one.
    pub fn difference(&self) -> Option<Difference> {
        self.difference_but_for(|_| false)
    }

    /// The difference that there is without the accesses that `is_left_out`
    /// says, if there is one.
    pub fn difference_but_for(&self, is_left_out: impl Fn(&str) -> bool) -> Option<Difference> {
        let Self::Differs(c, rust) = self else {
            return None;
        };
        let left = |trace: &[Access]| -> Vec<Access> {
            let accesses = trace.iter().filter(|a| !is_left_out(&a.what));
            accesses.cloned().collect()
        };
        let texts = |trace: &[Access]| trace.iter().map(|a| a.what.clone()).collect();
        let (c, rust) = (left(c), left(rust));
        Some(Difference {
            function: c.iter().chain(&rust).next()?.function.clone(),
            c: texts(&c),
            rust: texts(&rust),
        })
    }
}

/// Widths of the columns for an access and for its function.
const ACCESS: usize = 26;
const FUNCTION: usize = 34;

fn half(access: Option<&Access>, last: &mut String) -> String {
    let Some(access) = access else {
        return format!("{:ACCESS$}  {:FUNCTION$}", "", "");
    };
    // A function is named where it begins to act.
    let function: String = if *last == access.function {
        String::new()
    } else {
        last.clone_from(&access.function);
        shorten(&access.function)
    };
    format!("{:ACCESS$}  {function:FUNCTION$}", access.what)
}

/// The end of a name that is too long, which tells more than its beginning.
fn shorten(name: &str) -> String {
    let length = name.chars().count();
    if length <= FUNCTION {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length - FUNCTION + 2).collect();
    format!("..{end}")
}

/// The comparison as lines, below them a line for each difference. `reason`
/// says why one is allowed, if it is.
pub fn render<'a>(
    stretches: &[Stretch<'_>],
    reason: impl Fn(&Stretch<'_>) -> Option<&'a str>,
) -> String {
    let mut text = lines(stretches);
    for stretch in stretches {
        let Some(note) = stretch.difference() else {
            continue;
        };
        let why = reason(stretch).map_or("NOT ALLOWED".to_owned(), |r| format!("allowed: {r}"));
        text.push_str(&format!("  {note}: {why}\n"));
    }
    text
}

/// The comparison as lines: C on the left, Rust on the right, and in the
/// middle `<` for what only C has, `>` for what only Rust has.
pub fn lines(stretches: &[Stretch<'_>]) -> String {
    let mut text = String::new();
    let (mut left, mut right) = (String::new(), String::new());
    let mut line = |c: Option<&Access>, mark: &str, rust: Option<&Access>| {
        let c = half(c, &mut left);
        let rust = half(rust, &mut right);
        text.push_str(format!("  {c} {mark} {rust}").trim_end());
        text.push('\n');
    };
    line(Some(&heading("C")), " ", Some(&heading("Rust")));
    for stretch in stretches {
        match stretch {
            Stretch::Same(c, rust) => {
                for (c, rust) in c.iter().zip(*rust) {
                    line(Some(c), " ", Some(rust));
                }
            }
            Stretch::Differs(c, rust) => {
                for access in *c {
                    line(Some(access), "<", None);
                }
                for access in *rust {
                    line(None, ">", Some(access));
                }
            }
        }
    }
    text
}

fn heading(text: &str) -> Access {
    Access {
        what: text.to_owned(),
        function: "function".to_owned(),
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sides = [("C", &self.c), ("Rust", &self.rust)];
        let texts: Vec<String> = sides
            .iter()
            .filter(|(_, accesses)| !accesses.is_empty())
            .map(|(who, accesses)| format!("only {who}: {}", accesses.join("; ")))
            .collect();
        write!(f, "{}: {}", self.function, texts.join(" / "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(accesses: &[(&str, &str)]) -> Vec<Access> {
        accesses
            .iter()
            .map(|(what, function)| Access {
                what: (*what).to_owned(),
                function: (*function).to_owned(),
            })
            .collect()
    }

    #[test]
    fn functions_do_not_matter_but_order_does() {
        let c = trace(&[("MSR A", "f"), ("ISB", "f"), ("MSR B", "g")]);
        let rust = trace(&[("MSR A", "x"), ("ISB", "x"), ("MSR B", "x")]);
        assert!(matches!(compare(&c, &rust)[..], [Stretch::Same(..)]));
        let swapped = trace(&[("ISB", "x"), ("MSR A", "x"), ("MSR B", "x")]);
        let differences: Vec<_> = compare(&c, &swapped)
            .iter()
            .filter_map(Stretch::difference)
            .collect();
        assert_eq!(differences.len(), 2, "{differences:?}");
    }

    #[test]
    fn each_place_is_one_difference() {
        let c = trace(&[("MSR A", "f"), ("MRS B", "f"), ("ISB", "f"), ("MSR C", "g")]);
        let rust = trace(&[("MSR A", "f"), ("MRS D", "h"), ("MRS E", "f"), ("ISB", "f")]);
        let stretches = compare(&c, &rust);
        let differences: Vec<_> = stretches.iter().filter_map(Stretch::difference).collect();
        let strings = |s: &[&str]| s.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            differences,
            [
                Difference {
                    function: "f".to_owned(),
                    c: strings(&["MRS B"]),
                    rust: strings(&["MRS D", "MRS E"]),
                },
                Difference {
                    function: "g".to_owned(),
                    c: strings(&["MSR C"]),
                    rust: Vec::new(),
                },
            ]
        );
        let text = render(&stretches, |stretch| {
            let only_c = stretch.difference()?.rust.is_empty();
            only_c.then_some("why")
        });
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("  MSR A  ") && lines[1].ends_with(" f"),
            "{text}"
        );
        assert_eq!(
            lines[2].trim_end(),
            format!("  {:ACCESS$}  {:FUNCTION$} <", "MRS B", "")
        );
        assert!(lines[3].trim_start().starts_with("> MRS D"), "{text}");
        assert_eq!(
            lines[7],
            "  f: only C: MRS B / only Rust: MRS D; MRS E: NOT ALLOWED"
        );
        assert_eq!(lines[8], "  g: only C: MSR C: allowed: why");
    }

    #[test]
    fn long_names_keep_their_ends() {
        assert_eq!(shorten("short"), "short");
        let long = format!("{}::restore", "a".repeat(60));
        let short = shorten(&long);
        assert_eq!(short.chars().count(), FUNCTION);
        assert!(short.starts_with("..a") && short.ends_with("::restore"));
    }
}
