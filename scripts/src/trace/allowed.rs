// SPDX-License-Identifier: GPL-2.0
//! The differences between C and Rust that are wanted, each with its reason:
//! scripts/trace-differences.toml.

use super::compare::{Difference, Stretch};
use super::exit::Exit;
use crate::files;
use crate::host::{Cpu, Mode};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The list.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Registers of which only reads may differ.
    #[serde(default)]
    pub address: Vec<Address>,
    /// What else may differ.
    #[serde(default)]
    pub difference: Vec<Entry>,
}

/// A register that says where something is, and that reading changes nothing
/// with: how often it is read is the compiler's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Its name.
    pub register: String,
    /// What it leads to.
    pub reason: String,
}

/// A difference, wherever it may occur.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Modes that have it.
    pub mode: Vec<Mode>,
    /// Exits that have it.
    pub exit: Vec<Exit>,
    /// CPUs that have it, if not all.
    pub cpu: Option<Vec<Cpu>>,
    /// The function that the first access is in.
    pub function: String,
    /// Accesses of C only.
    #[serde(default)]
    pub c: Vec<String>,
    /// Accesses of Rust only.
    #[serde(default)]
    pub rust: Vec<String>,
    /// Why it is right.
    pub reason: String,
}

/// Whose traces are compared.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// How KVM runs.
    pub mode: Mode,
    /// On which CPU.
    pub cpu: Cpu,
    /// What is compared.
    pub exit: Exit,
}

impl Entry {
    fn is(&self, difference: &Difference) -> bool {
        (&self.function, &self.c, &self.rust)
            == (&difference.function, &difference.c, &difference.rust)
    }

    fn is_for(&self, place: Place) -> bool {
        self.mode.contains(&place.mode)
            && self.exit.contains(&place.exit)
            && self
                .cpu
                .as_ref()
                .is_none_or(|cpus| cpus.contains(&place.cpu))
    }
}

impl Allowed {
    /// Reads the list at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        Self::parse(&text)
            .with_context(|| format!("{} is not a list of differences", path.display()))
    }

    /// Reads the list in `text`.
    pub fn parse(text: &str) -> Result<Self> {
        let allowed: Self = toml::from_str(text)?;
        for address in &allowed.address {
            anyhow::ensure!(
                !address.reason.trim().is_empty(),
                "an address has no reason"
            );
        }
        for entry in &allowed.difference {
            anyhow::ensure!(!entry.reason.trim().is_empty(), "an entry has no reason");
            anyhow::ensure!(
                !entry.c.is_empty() || !entry.rust.is_empty(),
                "an entry is no difference: {}",
                entry.reason
            );
        }
        Ok(allowed)
    }

    fn address(&self, access: &str) -> Option<&Address> {
        let register = access.strip_prefix("MRS ")?;
        self.address.iter().find(|a| a.register == register)
    }

    /// What `stretch` differs in, but for reads of addresses.
    pub fn difference(&self, stretch: &Stretch<'_>) -> Option<Difference> {
        stretch.difference_but_for(|access| self.address(access).is_some())
    }

    /// Why what `stretch` differs in is allowed at `place`, if it is.
    pub fn reason(&self, place: Place, stretch: &Stretch<'_>) -> Option<&str> {
        let Some(difference) = self.difference(stretch) else {
            let all = stretch.difference()?;
            let first = all.c.iter().chain(&all.rust).next()?;
            return Some(&self.address(first)?.reason);
        };
        self.difference
            .iter()
            .find(|e| e.is_for(place) && e.is(&difference))
            .map(|e| e.reason.as_str())
    }

    /// Entries for `place` that are none of the differences `found` there.
    pub fn stale(&self, place: Place, found: &[Difference]) -> Vec<Difference> {
        self.difference
            .iter()
            .filter(|e| e.is_for(place) && !found.iter().any(|d| e.is(d)))
            .map(|e| Difference {
                function: e.function.clone(),
                c: e.c.clone(),
                rust: e.rust.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::window::Access;

    const LIST: &str = r#"
        [[address]]
        register = "B"
        reason = "says where"

        [[difference]]
        mode = ["vhe", "nested"]
        cpu = ["max"]
        exit = ["hypercall"]
        function = "f"
        c = ["MRS A"]
        reason = "read once"

        [[difference]]
        mode = ["vhe"]
        exit = ["hypercall", "timer"]
        function = "f"
        rust = ["ISB"]
        reason = "needed"
    "#;

    fn place(mode: Mode, cpu: Cpu, exit: Exit) -> Place {
        Place { mode, cpu, exit }
    }

    fn difference(c: &[&str], rust: &[&str]) -> Difference {
        let texts = |s: &[&str]| s.iter().map(|s| (*s).to_owned()).collect();
        Difference {
            function: "f".to_owned(),
            c: texts(c),
            rust: texts(rust),
        }
    }

    fn accesses(texts: &[&str], function: &str) -> Vec<Access> {
        let access = |text: &&str| Access {
            what: (*text).to_owned(),
            function: function.to_owned(),
        };
        texts.iter().map(access).collect()
    }

    #[test]
    fn only_what_is_listed_for_this_place_is_allowed() {
        let allowed = Allowed::parse(LIST).unwrap();
        let a = accesses(&["MRS A"], "f");
        let only_c = Stretch::Differs(&a, &[]);
        let reason = |mode, cpu, exit| allowed.reason(place(mode, cpu, exit), &only_c);
        assert_eq!(
            reason(Mode::Vhe, Cpu::Max, Exit::Hypercall),
            Some("read once")
        );
        assert_eq!(reason(Mode::Nvhe, Cpu::Max, Exit::Hypercall), None);
        assert_eq!(reason(Mode::Vhe, Cpu::Max, Exit::Timer), None);
        assert_eq!(reason(Mode::Vhe, Cpu::NeoverseN1, Exit::Hypercall), None);
        let here = place(Mode::Vhe, Cpu::Max, Exit::Hypercall);
        let more = accesses(&["MRS A", "MRS A"], "f");
        assert_eq!(allowed.reason(here, &Stretch::Differs(&more, &[])), None);
        let elsewhere = accesses(&["MRS A"], "g");
        assert_eq!(
            allowed.reason(here, &Stretch::Differs(&elsewhere, &[])),
            None
        );
    }

    #[test]
    fn reads_of_addresses_are_allowed_and_hide_nothing() {
        let allowed = Allowed::parse(LIST).unwrap();
        let here = place(Mode::Vhe, Cpu::Max, Exit::Hypercall);
        let reads = accesses(&["MRS B", "MRS B"], "g");
        let only = Stretch::Differs(&reads, &[]);
        assert_eq!(allowed.reason(here, &only), Some("says where"));
        assert_eq!(allowed.difference(&only), None);

        let write = accesses(&["MRS B", "MSR B"], "g");
        let with_write = Stretch::Differs(&[], &write);
        assert_eq!(allowed.reason(here, &with_write), None);
        assert_eq!(
            allowed.difference(&with_write).unwrap().rust,
            ["MSR B".to_owned()]
        );

        // The entry is for what is left.
        let listed = accesses(&["MRS B", "MRS A"], "f");
        let both = Stretch::Differs(&listed, &reads);
        assert_eq!(allowed.reason(here, &both), Some("read once"));
    }

    #[test]
    fn an_entry_that_does_not_occur_is_stale() {
        let allowed = Allowed::parse(LIST).unwrap();
        let hypercall = place(Mode::Vhe, Cpu::Max, Exit::Hypercall);
        let timer = place(Mode::Vhe, Cpu::Max, Exit::Timer);
        let isb = difference(&[], &["ISB"]);
        let mrs = difference(&["MRS A"], &[]);
        let found = [isb.clone()];
        assert_eq!(allowed.stale(hypercall, &found), [mrs.clone()]);
        assert!(allowed.stale(hypercall, &[mrs, isb.clone()]).is_empty());
        assert_eq!(allowed.stale(timer, &[]), [isb.clone()]);
        let n1 = place(Mode::Vhe, Cpu::NeoverseN1, Exit::Hypercall);
        assert_eq!(allowed.stale(n1, &[]), [isb]);
        let elsewhere = place(Mode::Nvhe, Cpu::Max, Exit::Timer);
        assert!(allowed.stale(elsewhere, &[]).is_empty());
    }

    #[test]
    fn entries_must_say_what_and_why() {
        for wrong in [
            "[[difference]]\nmode=[\"vhe\"]\nexit=[\"timer\"]\nfunction=\"f\"\nc=[\"ISB\"]\nreason=\" \"",
            "[[difference]]\nmode=[\"vhe\"]\nexit=[\"timer\"]\nfunction=\"f\"\nreason=\"x\"",
            "[[difference]]\nmode=[\"vhe2\"]\nexit=[\"timer\"]\nfunction=\"f\"\nc=[\"ISB\"]\nreason=\"x\"",
            "[[address]]\nregister=\"A\"\nreason=\" \"",
            "[[diff]]\n",
        ] {
            assert!(Allowed::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Allowed::parse("").is_ok());
    }
}
