// SPDX-License-Identifier: GPL-2.0

//! What is wrong with an input, and where.

use std::{
    fmt,
    rc::Rc, //
};

/// A line of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file, as the command line names it.
    pub(crate) file: Rc<str>,
    /// The line, from 1.
    pub(crate) line: usize,
}

impl Place {
    /// Says that `what` is wrong with this line.
    pub(crate) fn error(&self, what: impl fmt::Display) -> Error {
        Error {
            place: self.clone(),
            what: what.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something wrong with an input.
#[derive(Debug)]
pub(crate) struct Error {
    place: Place,
    what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// The lines of an input that are neither blank nor a comment, split at white space.
pub(crate) fn lines<'a>(
    file: &str,
    text: &'a str,
) -> impl Iterator<Item = (Place, Vec<&'a str>)> + 'a {
    let file: Rc<str> = file.into();
    text.lines().enumerate().filter_map(move |(index, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let text = words.first().is_some_and(|word| !word.starts_with('#'));
        let place = Place {
            file: file.clone(),
            line: index + 1,
        };
        text.then_some((place, words))
    })
}
