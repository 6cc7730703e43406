// SPDX-License-Identifier: GPL-2.0
//! Errors that say what happened and what to do next.

use std::fmt;

/// An error with a second line that tells the user what to do about it.
#[derive(Debug)]
pub struct Hinted {
    what: String,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Hinted {}

/// Makes an error of what happened and what to do next.
pub fn hinted(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted {
        what: what.into(),
        hint: hint.into(),
    }
    .into()
}

/// What the user can do about `error`.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Hinted>())
        .map(|h| h.hint.as_str())
        .or_else(|| error.chain().find_map(hint_for_cause))
}

/// Prints `error` for the user: its causes on one line, then its hint.
pub fn print(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

/// What to do about a full disk.
pub const DISK_IS_FULL: &str =
    "the disk is full: make room, or point KVM_RUST_CACHE at a larger disk";

/// A hint for errors of the operating system that mean the same everywhere.
fn hint_for_cause(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let io = cause.downcast_ref::<std::io::Error>()?;
    match io.raw_os_error()? {
        libc::ENOSPC => Some(DISK_IS_FULL),
        libc::EACCES | libc::EPERM | libc::EROFS => {
            Some("point KVM_RUST_CACHE at a folder that you own and can write to")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn hint_survives_added_context() {
        let error = Err::<(), _>(hinted("no source", "set KDIR"))
            .context("while building")
            .unwrap_err();
        assert_eq!(hint(&error), Some("set KDIR"));
        assert_eq!(format!("{error:#}"), "while building: no source");
    }
}
