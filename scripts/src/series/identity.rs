// SPDX-License-Identifier: GPL-2.0
//! Whose the patches are.

use crate::error::hinted;
use anyhow::Result;

/// Set by scripts/xtask: git's settings of the user are not seen by the tools.
pub const VARIABLE: &str = "KVM_RUST_IDENTITY";

/// A name and an address, as git has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub name: String,
    /// Where mail reaches them.
    pub email: String,
}

impl Identity {
    /// That of the user.
    pub fn of_user() -> Result<Self> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        Self::parse(&text).ok_or_else(|| {
            hinted(
                "git does not know whose the patches are",
                "git config --global user.name NAME, git config --global user.email ADDRESS",
            )
        })
    }

    /// That of nobody, for patches that are not kept.
    pub fn of_nobody() -> Self {
        Self {
            name: "Nobody".to_owned(),
            email: "nobody@localhost.invalid".to_owned(),
        }
    }

    /// Reads what `git var GIT_AUTHOR_IDENT` prints.
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(" <")?;
        let (email, _) = rest.split_once('>')?;
        let is_good = !name.trim().is_empty() && email.contains('@');
        is_good.then(|| Self {
            name: name.trim().to_owned(),
            email: email.to_owned(),
        })
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_read() {
        let found = Identity::parse("A. B. Cé <a@b.org> 1764185563 +0100").unwrap();
        assert_eq!(found.to_string(), "A. B. Cé <a@b.org>");
        for bad in ["", "A", " <a@b> 1 +0", "A <> 1 +0", "A <a"] {
            assert_eq!(Identity::parse(bad), None, "{bad}");
        }
    }
}
