// SPDX-License-Identifier: GPL-2.0
//! Estimates of cycles, by llvm-mca: how long a core takes for the instructions of
//! a window, if each branch is predicted and all memory is in the first cache.

use super::assembly::Texts;
use crate::host::Mode;
use crate::process;
use crate::trace::{Exit, Windows};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What belongs to each of these figures.
pub const NOTE: &str = "\
These are estimates by llvm-mca, not measured: of the instructions recorded, with no cache
miss and no branch mispredicted. It takes MSR, MRS, ISB, DSB and ERET for instructions of a
cycle or two, which on a CPU stall or empty the pipeline: what is saved in them does not
show here. Compare C with Rust, and nothing else.";

/// A core that LLVM has a model of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// Armv8.2.
    #[serde(rename = "neoverse-n1")]
    NeoverseN1,
    /// Armv8.4.
    #[serde(rename = "neoverse-v1")]
    NeoverseV1,
    /// Armv9.0.
    #[serde(rename = "neoverse-v2")]
    NeoverseV2,
}

impl Core {
    /// Those that there are estimates for.
    pub const ALL: [Self; 3] = [Self::NeoverseN1, Self::NeoverseV1, Self::NeoverseV2];

    /// Its name in LLVM.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeoverseN1 => "neoverse-n1",
            Self::NeoverseV1 => "neoverse-v1",
            Self::NeoverseV2 => "neoverse-v2",
        }
    }
}

/// The exits that there are estimates for: what hosts do most.
const HOT: [Exit; 5] = [
    Exit::Hypercall,
    Exit::VgicMmio,
    Exit::VmmMmio,
    Exit::Timer,
    Exit::FirstFp,
];

/// Cycles of an exit in one mode on one core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// How KVM ran.
    pub mode: Mode,
    /// The exit.
    pub exit: Exit,
    /// On which core.
    pub core: Core,
    /// With C.
    pub c: u64,
    /// With Rust.
    pub rust: u64,
    /// Instructions of C and of Rust that the core does not have, and that are
    /// not in the estimate.
    pub left_out: [u64; 2],
}

/// Estimates for the hot ones among the exits of one mode; `workplace` is for
/// files that LLVM reads.
pub fn estimate(mode: Mode, both: &[Windows; 2], workplace: &Path) -> Result<Vec<Estimate>> {
    let all = both.iter().flat_map(Windows::values);
    let texts = Texts::of(all.flat_map(|w| w.words.iter().copied()), workplace)?;
    let mut estimates = Vec::new();
    for exit in HOT {
        let [Some(c), Some(rust)] = [&both[0], &both[1]].map(|windows| windows.get(&exit)) else {
            continue;
        };
        for core in Core::ALL {
            let [c, rust] =
                [&c.words, &rust.words].map(|words| cycles(&texts, words, core, workplace));
            let (c, rust) = (c?, rust?);
            estimates.push(Estimate {
                mode,
                exit,
                core,
                c: c.0,
                rust: rust.0,
                left_out: [c.1, rust.1],
            });
        }
    }
    Ok(estimates)
}

/// Cycles of `words`, and how many of them are left out.
fn cycles(texts: &Texts, words: &[u32], core: Core, workplace: &Path) -> Result<(u64, u64)> {
    let (program, _) = texts.program(words);
    let input = workplace.join("window.s");
    fs::write(&input, program).with_context(|| format!("cannot write {}", input.display()))?;
    let mut command = Command::new("llvm-mca");
    command
        .args(["-mtriple=aarch64", "-mattr=+all", "-iterations=1", "-json"])
        .arg(format!("-mcpu={}", core.name()))
        .args(["-instruction-info=0", "-resource-pressure=0"])
        // SVE on a core without it, for instance.
        .arg("-skip-unsupported-instructions=any")
        .arg(&input);
    let summary = Summary::parse(&process::output(&mut command)?)
        .with_context(|| format!("llvm-mca for {}", core.name()))?;
    let left_out = (words.len() as u64).saturating_sub(summary.instructions);
    Ok((summary.cycles, left_out))
}

/// What llvm-mca says of a program.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Summary {
    #[serde(rename = "Instructions")]
    instructions: u64,
    #[serde(rename = "TotalCycles")]
    cycles: u64,
}

#[derive(Deserialize)]
struct Region {
    #[serde(rename = "SummaryView")]
    summary: Summary,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "CodeRegions")]
    regions: Vec<Region>,
}

impl Summary {
    /// Reads it from JSON.
    fn parse(text: &str) -> Result<Self> {
        let output: Output =
            serde_json::from_str(text).context("it wrote something else than was expected")?;
        let region = output.regions.into_iter().next();
        Ok(region.context("it saw no program")?.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What llvm-mca 19 writes of a store, an MRS, an ISB and a RET, but for the list
    /// of the core's units.
    const SAMPLE: &str = r#"{
  "CodeRegions": [
    {
      "Instructions": [
        "stp\tq0, q1, [x0, #32]",
        "mrs\tx0, ESR_EL2",
        "isb",
        "ret"
      ],
      "Name": "",
      "SummaryView": {
        "BlockRThroughput": 1,
        "DispatchWidth": 16,
        "IPC": 0.80000000000000004,
        "Instructions": 4,
        "Iterations": 1,
        "TotalCycles": 5,
        "TotaluOps": 6,
        "uOpsPerCycle": 1.2
      }
    }
  ],
  "SimulationParameters": {
    "-march": "aarch64",
    "-mcpu": "neoverse-v2",
    "-mtriple": "aarch64"
  },
  "TargetInfo": {
    "CPUName": "neoverse-v2",
    "Resources": [
      "V2UnitB.\u0000",
      "V2UnitB.\u0001"
    ]
  }
}"#;

    #[test]
    fn the_summary_is_read() {
        assert_eq!(
            Summary::parse(SAMPLE).unwrap(),
            Summary {
                instructions: 4,
                cycles: 5
            }
        );
        for wrong in ["", "{}", r#"{"CodeRegions": []}"#] {
            assert!(Summary::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn llvm_mca_estimates_words() {
        let folder = tempfile::tempdir().unwrap();
        // ldr x0, [x0], four times: each waits for the one before; mov z0.d, #0
        let chain = [0xf940_0000; 4];
        let with_sve = [chain[0], 0x25f8_c000];
        let texts = Texts::of(chain.into_iter().chain(with_sve), folder.path()).unwrap();
        let of = |words: &[u32], core| cycles(&texts, words, core, folder.path()).unwrap();
        for core in Core::ALL {
            let (long, short) = (of(&chain, core), of(&chain[..1], core));
            assert!(long.0 >= short.0 + 3 * 4, "{long:?} {short:?}");
            assert_eq!((long.1, short.1), (0, 0));
        }
        assert_eq!(of(&with_sve, Core::NeoverseV2).1, 0);
        assert_eq!(of(&with_sve, Core::NeoverseN1).1, 1, "N1 has no SVE");
    }

    #[test]
    fn names_are_those_in_files() {
        for core in Core::ALL {
            let json = serde_json::to_string(&core).unwrap();
            assert_eq!(json, format!("\"{}\"", core.name()));
        }
    }
}
