// SPDX-License-Identifier: GPL-2.0
//! The most common window of an exit: what it counts, and its register trace.

use super::image::Image;
use super::insn::{self, Memory, System};
use super::names::Names;
use super::recording::{Recording, Section};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// Numbers of executed instructions.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub instructions: u64,
    /// MSR, of a register or an immediate.
    pub msr: u64,
    /// MRS.
    pub mrs: u64,
    /// ISB.
    pub isb: u64,
    /// DSB.
    pub dsb: u64,
    /// ERET.
    pub eret: u64,
    /// Loads and stores of registers of 128 bits or more; a pair is one.
    pub vector_moves: u64,
    /// Instructions that load.
    pub loads: u64,
    /// Instructions that store.
    pub stores: u64,
}

impl Counts {
    /// Names and numbers, in the order of a table.
    pub fn rows(&self) -> [(&'static str, u64); 9] {
        [
            ("instructions", self.instructions),
            ("MSR", self.msr),
            ("MRS", self.mrs),
            ("ISB", self.isb),
            ("DSB", self.dsb),
            ("ERET", self.eret),
            ("vector moves", self.vector_moves),
            ("loads", self.loads),
            ("stores", self.stores),
        ]
    }

    fn add(&mut self, word: u32) {
        self.instructions += 1;
        match System::of(word) {
            Some(System::Msr(_) | System::MsrImmediate(..)) => self.msr += 1,
            Some(System::Mrs(_)) => self.mrs += 1,
            Some(System::Isb) => self.isb += 1,
            Some(System::Dsb(_)) => self.dsb += 1,
            Some(System::Sys(_)) | None => {}
        }
        self.eret += u64::from(word == insn::ERET);
        let memory = Memory::of(word);
        self.vector_moves += u64::from(memory.vector);
        self.loads += u64::from(memory.load);
        self.stores += u64::from(memory.store);
    }
}

/// What a function contributes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// How often it was entered at its first instruction.
    pub calls: u64,
    /// How many instructions were executed in it.
    pub instructions: u64,
}

/// A step of a register trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Instruction and operand.
    pub what: String,
    /// The function it is in.
    pub function: String,
}

/// The most common window of an exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Window {
    /// How many windows were the same.
    pub same: u64,
    /// How many windows there were.
    pub all: u64,
    /// What it counts.
    pub counts: Counts,
    /// What each function contributes.
    pub functions: BTreeMap<String, Function>,
    /// Accesses to system registers, barriers and system instructions.
    pub trace: Vec<Access>,
}

impl Window {
    /// Takes it from what was recorded behind `marker`.
    pub fn of(recording: &Recording, marker: u16, image: &Image, names: &Names) -> Result<Self> {
        let section: &Section = recording
            .sections
            .iter()
            .find(|s| s.marker == marker)
            .context("no exit was recorded")?;
        let group = section.groups.first().context("no exit was recorded")?;
        anyhow::ensure!(
            !group.insns.is_empty() && group.insns.len() == group.length,
            "the recording is not whole"
        );
        let mut window = Self {
            same: group.windows,
            all: section.groups.iter().map(|g| g.windows).sum(),
            counts: Counts::default(),
            functions: BTreeMap::new(),
            trace: Vec::new(),
        };
        for &index in &group.insns {
            let insn = recording
                .insns
                .get(index)
                .context("the recording refers to an instruction that it does not have")?;
            let (name, begins) = image.function(insn.address);
            window.counts.add(insn.word);
            let function = window.functions.entry(name.to_owned()).or_default();
            function.instructions += 1;
            function.calls += u64::from(begins);
            if let Some(system) = System::of(insn.word) {
                window.trace.push(Access {
                    what: names.text(system),
                    function: name.to_owned(),
                });
            }
        }
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::recording::{Group, Insn};

    /// stp q0, q1, [x0, #32]; mrs x0, esr_el2; isb; ret
    const WORDS: [u32; 4] = [0xad01_0400, 0xd53c_5200, 0xd503_3fdf, 0xd65f_03c0];

    fn recording() -> Recording {
        let insn = |(index, &word): (usize, &u32)| Insn {
            address: 0x1000 + 4 * index as u64,
            word,
        };
        Recording {
            insns: WORDS.iter().enumerate().map(insn).collect(),
            sections: vec![Section {
                marker: 3,
                groups: vec![
                    Group {
                        windows: 5,
                        length: 6,
                        insns: vec![0, 1, 2, 0, 1, 3],
                    },
                    Group {
                        windows: 2,
                        length: 9,
                        insns: Vec::new(),
                    },
                ],
            }],
        }
    }

    #[test]
    fn numbers_and_trace_are_those_of_the_largest_group() {
        let image = Image::with_functions(&[(0x1000, "f"), (0x1008, "g"), (0x1010, "")]);
        let window = Window::of(&recording(), 3, &image, &Names::default()).unwrap();
        assert_eq!((window.same, window.all), (5, 7));
        assert_eq!(
            window.counts,
            Counts {
                instructions: 6,
                mrs: 2,
                isb: 1,
                vector_moves: 2,
                stores: 2,
                ..Counts::default()
            }
        );
        let function = |calls, instructions| Function {
            calls,
            instructions,
        };
        assert_eq!(window.functions["f"], function(2, 4));
        assert_eq!(window.functions["g"], function(1, 2));
        let trace: Vec<_> = window
            .trace
            .iter()
            .map(|a| (a.what.as_str(), a.function.as_str()))
            .collect();
        assert_eq!(
            trace,
            [
                ("MRS S3_4_C5_C2_0", "f"),
                ("ISB", "g"),
                ("MRS S3_4_C5_C2_0", "f")
            ]
        );
    }

    #[test]
    fn a_recording_that_is_not_whole_is_refused() {
        let image = Image::with_functions(&[]);
        let of = |recording: &Recording, marker| {
            Window::of(recording, marker, &image, &Names::default())
        };
        assert!(of(&recording(), 1).is_err(), "no such marker");
        let mut short = recording();
        short.sections[0].groups[0].insns.pop();
        assert!(of(&short, 3).is_err());
        let mut lost = recording();
        lost.insns.pop();
        assert!(of(&lost, 3).is_err());
    }
}
