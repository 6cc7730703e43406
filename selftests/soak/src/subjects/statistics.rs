// SPDX-License-Identifier: GPL-2.0

//! How often guests were entered, by KVM's statistics: those of a VM are there for as
//! long as it is, so they are looked at often.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rand_chacha::ChaCha8Rng;

use crate::soak::Soak;

const FOLDER: &str = "/sys/kernel/debug/kvm";
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(300);

/// The exits of each VM that there is. The names of the folders are those of process
/// and file descriptor.
fn look() -> Result<BTreeMap<String, u64>> {
    let mut exits = BTreeMap::new();
    let folders = fs::read_dir(FOLDER).with_context(|| format!("cannot read {FOLDER}"))?;
    for folder in folders.flatten() {
        // A VM may be gone by now.
        if let Ok(text) = fs::read_to_string(folder.path().join("exits")) {
            if let Ok(count) = text.trim().parse() {
                let name = folder.file_name().to_string_lossy().into_owned();
                exits.insert(name, count);
            }
        }
    }
    Ok(exits)
}

/// What came in addition from one look to the next. A VM with fewer exits than before
/// is another one, of the same name.
fn difference(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> u64 {
    let fresh = |(name, count): (&String, &u64)| {
        let before = before.get(name).copied().unwrap_or(0);
        count.checked_sub(before).unwrap_or(*count)
    };
    now.iter().map(fresh).sum()
}

/// Looks again and again.
pub fn run(soak: &Soak, _: ChaCha8Rng) -> Result<()> {
    let mut before = look()?;
    while soak.over.wait(INTERVAL) {
        let now = look()?;
        soak.counters.vcpu_runs.add(difference(&before, &now));
        before = now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_added_up_over_vms_that_come_and_go() {
        let look = |vms: &[(&str, u64)]| {
            vms.iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect::<BTreeMap<_, _>>()
        };
        let first = look(&[("10-4", 100), ("11-4", 5)]);
        assert_eq!(difference(&look(&[]), &first), 105);
        assert_eq!(difference(&first, &look(&[("10-4", 150)])), 50);
        // Another VM of the same name.
        assert_eq!(difference(&first, &look(&[("10-4", 30)])), 30);
    }
}
