// SPDX-License-Identifier: GPL-2.0
//! Lies that the host tells EL2 under pKVM, and that must not get it anywhere.
//! Their names are read from the sources that define them.

use crate::faults;
use crate::plan::Step;
use anyhow::Result;
use std::path::Path;

const SOURCE: &str = "arch-arm64-kvm/hostile_host.rs";
/// Start of the names of these steps.
pub const PREFIX: &str = "b36:hostile:";

/// Seconds for one lie: up to two guests that are told it, and two that are
/// not. Each takes seconds.
const TIMEOUT_S: u64 = 300;

/// The names of all lies.
pub fn names(checkout: &Path) -> Result<Vec<String>> {
    faults::names_in(&checkout.join(SOURCE))
}

/// A step that succeeds if EL2 copes with the lie.
pub fn step(name: &str) -> Step {
    Step::new(
        format!("{PREFIX}{name}"),
        &["/kvm-rust/bin/hostile-host", name],
        TIMEOUT_S,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_has_them() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let names = names(checkout).unwrap();
        assert!(names.len() >= 20, "{names:?}");
        assert!(names.iter().any(|name| name == "used_lrs_huge"));
    }
}
