// SPDX-License-Identifier: GPL-2.0

//! The CPU that the vCPUs run on.

use std::fs;

use anyhow::{Context, Result};
use nix::sched::{sched_getaffinity, CpuSet};
use nix::unistd::Pid;
use serde::Serialize;

/// A CPU of the host.
#[derive(Debug, Serialize)]
pub struct Cpu {
    pub number: usize,
    /// MIDR_EL1, in hexadecimal, where the kernel says it.
    pub midr: Option<String>,
    /// The core's name, if it is one that is known here.
    pub name: Option<&'static str>,
}

impl Cpu {
    /// The one that was asked for, or the first that this process may use.
    pub fn choose(wanted: Option<usize>) -> Result<Self> {
        let number = pick(&allowed()?, wanted)?;
        let path = format!("/sys/devices/system/cpu/cpu{number}/regs/identification/midr_el1");
        let midr = fs::read_to_string(path).ok().and_then(|text| parse(&text));
        Ok(Self {
            number,
            midr: midr.map(|midr| format!("{midr:#010x}")),
            name: midr.and_then(name),
        })
    }
}

/// The CPUs that this process may use.
fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("cannot tell which CPUs can be used")?;
    let is_set = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
    Ok((0..CpuSet::count()).filter(is_set).collect())
}

fn pick(allowed: &[usize], wanted: Option<usize>) -> Result<usize> {
    let Some(wanted) = wanted else {
        return allowed.first().copied().context("no CPU can be used");
    };
    let may = allowed.contains(&wanted).then_some(wanted);
    may.with_context(|| {
        let list: Vec<String> = allowed.iter().map(usize::to_string).collect();
        format!(
            "CPU {wanted} cannot be used (--cpu): use one of {}",
            list.join(",")
        )
    })
}

/// The number in a file of sysfs.
fn parse(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

/// Cores by implementer and part number, the rest of MIDR_EL1 being its revision.
const NAMES: [(u64, u64, &str); 14] = [
    (0x41, 0xd07, "Cortex-A57"),
    (0x41, 0xd08, "Cortex-A72"),
    (0x41, 0xd0c, "Neoverse N1"),
    (0x41, 0xd40, "Neoverse V1"),
    (0x41, 0xd49, "Neoverse N2"),
    (0x41, 0xd4f, "Neoverse V2"),
    (0x41, 0xd84, "Neoverse V3"),
    (0x41, 0xd8e, "Neoverse N3"),
    (0x43, 0x0af, "ThunderX2"),
    (0x46, 0x001, "A64FX"),
    (0x48, 0xd01, "TSV110"),
    (0x4e, 0x010, "Olympus"),
    (0xc0, 0xac3, "Ampere-1"),
    (0xc0, 0xac4, "Ampere-1A"),
];

fn name(midr: u64) -> Option<&'static str> {
    let is_it = |entry: &&(u64, u64, &str)| {
        (entry.0, entry.1) == ((midr >> 24) & 0xff, (midr >> 4) & 0xfff)
    };
    NAMES.iter().find(is_it).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_does_not_matter_for_the_name() {
        assert_eq!(parse("0x00000000413fd0c1\n"), Some(0x413f_d0c1));
        assert_eq!(name(0x413f_d0c1), Some("Neoverse N1"));
        assert_eq!(name(0x410f_d400), Some("Neoverse V1"));
        assert_eq!(name(0x000f_0510), None, "QEMU's max");
        assert_eq!(parse("413fd0c1"), None);
    }

    #[test]
    fn a_cpu_that_is_not_allowed_is_an_error() {
        assert_eq!(pick(&[2, 3], None).unwrap(), 2);
        assert_eq!(pick(&[2, 3], Some(3)).unwrap(), 3);
        let message = pick(&[2, 3], Some(7)).unwrap_err().to_string();
        assert!(
            message.contains("CPU 7") && message.contains("2,3"),
            "{message}"
        );
    }

    #[test]
    fn there_is_a_cpu() {
        assert!(!allowed().unwrap().is_empty());
    }
}
