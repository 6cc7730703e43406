// SPDX-License-Identifier: GPL-2.0

//! The ITS of the GIC, by which the interrupts of PCIe devices come on a server.

use std::fs;

use anyhow::{ensure, Context, Result};

/// Fails unless interrupts have come by way of it: those of the disk, at least.
pub fn check() -> Result<()> {
    let path = "/proc/interrupts";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    ensure!(
        count(&text) > 0,
        "no interrupt has come by the ITS:\n{text}"
    );
    Ok(())
}

/// How many of those in `text`, which is that of /proc/interrupts.
fn count(text: &str) -> u64 {
    let by_its = text.lines().filter(|line| line.contains(" ITS-"));
    by_its
        .flat_map(|line| {
            let counts = line.split_whitespace().skip(1);
            counts.map_while(|word| word.parse::<u64>().ok())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_interrupts_count() {
        let text = "\
           CPU0       CPU1
 11:       1000       2000     GICv3  27 Level     arch_timer
 21:          3          4  ITS-PCI-MSIX-0000:00:01.0   0 Edge      nvme0q0
 22:          0          9  ITS-MSI 16385 Edge      nvme0q1
IPI0:        50         60       Rescheduling interrupts
";
        assert_eq!(count(text), 16);
        assert_eq!(count(""), 0);
    }
}
