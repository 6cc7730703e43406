// SPDX-License-Identifier: GPL-2.0
//! What C is replaced, and which later changes of it are carried:
//! scripts/carried.toml.

use crate::files;
use anyhow::{ensure, Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// Where the record is, in the checkout.
pub const PATH: &str = "scripts/carried.toml";

/// So many digits of a commit's name are needed at least.
const DIGITS: usize = 12;

/// The record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Files of C, and what replaces them.
    pub replaced: Vec<Replaced>,
    #[serde(default)]
    carried: Vec<Carried>,
}

/// A file of C that is not compiled, or only in part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// Its path in the kernel tree.
    pub c: String,
    /// Files and folders of this repository.
    pub rust: Vec<String>,
}

/// A commit to which there is nothing left to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Carried {
    commit: String,
    why: String,
}

impl Record {
    /// Reads the record of the checkout at `checkout`.
    pub fn read(checkout: &Path) -> Result<Self> {
        let path = checkout.join(PATH);
        let text = files::read_text(&path)?;
        let record = Self::parse(&text).with_context(|| format!("{PATH} is not a record"))?;
        for replaced in &record.replaced {
            for rust in &replaced.rust {
                ensure!(
                    checkout.join(rust).exists(),
                    "{PATH}: {}: there is no {rust}",
                    replaced.c
                );
            }
        }
        Ok(record)
    }

    /// Reads the text of one.
    pub fn parse(text: &str) -> Result<Self> {
        let record: Self = toml::from_str(text)?;
        for Carried { commit, why } in &record.carried {
            let is_name = commit.len() >= DIGITS && commit.chars().all(|c| c.is_ascii_hexdigit());
            ensure!(is_name, "{commit}: not {DIGITS} digits of a commit");
            ensure!(!why.trim().is_empty(), "{commit} has no reason");
        }
        Ok(record)
    }

    /// What was done about `commit`, if it was.
    pub fn carried(&self, commit: &str) -> Option<&str> {
        let mut all = self.carried.iter();
        all.find(|carried| commit.starts_with(&carried.commit))
            .map(|carried| carried.why.as_str())
    }

    /// What replaces `c`.
    pub fn rust(&self, c: &str) -> Vec<&str> {
        let of = self.replaced.iter().filter(|replaced| replaced.c == c);
        of.flat_map(|replaced| &replaced.rust)
            .map(String::as_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_this_repository_is_good() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let record = Record::read(checkout).unwrap();
        assert!(!record.rust("arch/arm64/kvm/fpsimd.c").is_empty());
    }

    /// C of arm64 that Rust is linked to for what it calls or uses by way of bindgen: a
    /// change of its interface breaks the build.
    const USED: [&str; 7] = [
        "arch/arm64/include/asm/cpucaps.h",
        "arch/arm64/include/asm/cpufeature.h",
        "arch/arm64/include/asm/neon.h",
        "arch/arm64/include/asm/percpu.h",
        "arch/arm64/include/asm/sysreg.h",
        "arch/arm64/include/asm/thread_info.h",
        "arch/arm64/tools/sysreg",
    ];

    /// The files of arm64 that links of the Rust name as what it was made from.
    fn linked(text: &str) -> impl Iterator<Item = &str> {
        let links = text.split("(srctree/").skip(1);
        let paths = links.filter_map(|rest| rest.split_once(')').map(|(path, _)| path));
        paths.filter(|path| path.starts_with("arch/arm64/") && !path.contains("/kvm/rust/"))
    }

    #[test]
    fn no_c_that_rust_has_its_own_of_is_left_out() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let record = Record::read(checkout).unwrap();
        let mut seen = 0;
        for folder in ["arch-arm64-kvm", "rust"] {
            for entry in walkdir::WalkDir::new(checkout.join(folder)) {
                let path = entry.unwrap().into_path();
                if path.extension().is_none_or(|ending| ending != "rs") {
                    continue;
                }
                let text = files::read_text(&path).unwrap();
                for c in linked(&text).filter(|c| !USED.contains(c)) {
                    seen += 1;
                    let place = path.display();
                    assert!(!record.rust(c).is_empty(), "{place}: {c} is not in {PATH}");
                }
            }
        }
        assert!(seen > 10);
    }

    #[test]
    fn what_is_carried_has_a_name_and_a_reason() {
        let text = |commit: &str, why: &str| {
            format!("replaced = []\n[[carried]]\ncommit = '{commit}'\nwhy = '{why}'\n")
        };
        let record = Record::parse(&text("0123456789ab", "in cptr.rs")).unwrap();
        assert_eq!(record.carried("0123456789abcdef"), Some("in cptr.rs"));
        assert_eq!(record.carried("1123456789abcdef"), None);
        for (commit, why) in [("0123", "w"), ("0123456789ag", "w"), ("0123456789ab", " ")] {
            assert!(Record::parse(&text(commit, why)).is_err(), "{commit}");
        }
    }
}
