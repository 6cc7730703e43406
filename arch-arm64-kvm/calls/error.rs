// SPDX-License-Identifier: GPL-2.0

//! What is wrong, where, and what to do about it.

use std::fmt;

/// Something wrong with an input, or something that an object must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    place: String,
    what: String,
    hint: String,
}

impl Error {
    /// Says that `what` is wrong at `place`, a file or a line of it, and what to do: `hint`.
    pub(crate) fn new(
        place: impl fmt::Display,
        what: impl fmt::Display,
        hint: impl fmt::Display,
    ) -> Self {
        Self {
            place: place.to_string(),
            what: what.to_string(),
            hint: hint.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}: {}", self.place, self.what)?;
        write!(f, "hint: {}", self.hint)
    }
}
