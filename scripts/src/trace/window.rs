// SPDX-License-Identifier: GPL-2.0
//! The most common window of an exit: what it counts, and its register trace.

use super::exit::Exit;
use super::image::{Image, USERSPACE};
use super::insn::{self, Memory, System};
use super::names::Names;
use super::recording::{Group, Recording};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers of executed instructions.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// How often it was entered at its first instruction.
    pub calls: u64,
    /// What was executed in it.
    #[serde(flatten)]
    pub counts: Counts,
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
    /// All instructions as they were executed.
    #[serde(skip)]
    pub words: Vec<u32>,
}

/// The windows that were recorded of an exit, the largest group first.
fn groups(recording: &Recording, exit: Exit) -> Result<&[Group]> {
    recording
        .sections
        .iter()
        .find(|s| s.marker == exit.marker())
        .map(|s| &*s.groups)
        .filter(|groups| !groups.is_empty())
        .context("no exit was recorded")
}

/// The length that half of the windows do not exceed.
fn median_length<'a>(groups: impl Iterator<Item = &'a Group>) -> usize {
    let mut lengths: Vec<(usize, u64)> = groups.map(|g| (g.length, g.windows)).collect();
    lengths.sort_unstable();
    let all: u64 = lengths.iter().map(|(_, windows)| windows).sum();
    let mut seen = 0;
    let median = lengths.iter().find(|(_, windows)| {
        seen += windows;
        2 * seen >= all
    });
    median.map_or(0, |(length, _)| *length)
}

impl Window {
    /// Takes it from what was recorded of `exit`: the largest group whose
    /// windows are its own.
    pub fn of(recording: &Recording, exit: Exit, image: &Image, names: &Names) -> Result<Self> {
        let groups = groups(recording, exit)?;
        let all = groups.iter().map(|g| g.windows).sum();
        for (rank, group) in groups.iter().enumerate() {
            // A small one has not been recorded in full.
            if rank > 0 && group.insns.is_empty() {
                continue;
            }
            let window = Self::of_group(recording, group, all, image, names)?;
            if exit.is_own(&window) {
                return Ok(window);
            }
        }
        anyhow::bail!("none of the common windows is that of the exit")
    }

    /// Takes the window of `exit` that has the median length. Where a guest
    /// causes exits of another kind, too, it is the median of the common ones.
    pub fn median(recording: &Recording, exit: Exit, image: &Image, names: &Names) -> Result<Self> {
        let groups = groups(recording, exit)?;
        let all = groups.iter().map(|g| g.windows).sum();
        let mut own = Vec::new();
        for group in groups.iter().filter(|g| !g.insns.is_empty()) {
            let window = Self::of_group(recording, group, all, image, names)?;
            if exit.is_own(&window) {
                own.push((group, window));
            }
        }
        let median = match exit.has_others() {
            true => median_length(own.iter().map(|(group, _)| *group)),
            false => median_length(groups.iter()),
        };
        own.into_iter()
            .find(|(group, _)| group.length == median)
            .map(|(_, window)| window)
            .context("none of the common windows is that of the exit")
    }

    fn of_group(
        recording: &Recording,
        group: &Group,
        all: u64,
        image: &Image,
        names: &Names,
    ) -> Result<Self> {
        anyhow::ensure!(
            !group.insns.is_empty() && group.insns.len() == group.length,
            "the recording is not whole"
        );
        let mut window = Self {
            same: group.windows,
            all,
            counts: Counts::default(),
            functions: BTreeMap::new(),
            trace: Vec::new(),
            words: Vec::with_capacity(group.length),
        };
        for &index in &group.insns {
            let insn = recording
                .insns
                .get(index)
                .context("the recording refers to an instruction that it does not have")?;
            let (name, begins) = image.function(insn.address);
            window.counts.add(insn.word);
            window.words.push(insn.word);
            let function = window.functions.entry(name.to_owned()).or_default();
            function.counts.add(insn.word);
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

    /// True if userspace ran in it.
    pub fn has_userspace(&self) -> bool {
        self.functions.contains_key(USERSPACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::recording::{Insn, Section};

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
        let window = Window::of(&recording(), Exit::VmmMmio, &image, &Names::default()).unwrap();
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
        let function = |name: &str| {
            let Function { calls, counts } = &window.functions[name];
            (*calls, counts.instructions, counts.mrs, counts.isb)
        };
        assert_eq!(function("f"), (2, 4, 2, 0));
        assert_eq!(function("g"), (1, 2, 0, 1));
        assert_eq!(window.words.len(), 6);
        assert_eq!(window.words[..2], WORDS[..2]);
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
        let of =
            |recording: &Recording, exit| Window::of(recording, exit, &image, &Names::default());
        assert!(of(&recording(), Exit::Hypercall).is_err(), "no such marker");
        let mut short = recording();
        short.sections[0].groups[0].insns.pop();
        assert!(of(&short, Exit::VmmMmio).is_err());
        let mut lost = recording();
        lost.insns.pop();
        assert!(of(&lost, Exit::VmmMmio).is_err());
    }

    /// The second and the third group are those of first-fp, if they have one
    /// ERET, move vector registers, and do not go to userspace.
    fn with_two_kinds(second: &[usize], third: &[usize]) -> Recording {
        // ldp q0, q1, [x0]; eret; nop; and one of userspace.
        let insn = |address, word| Insn { address, word };
        let insns = vec![
            insn(0xffff_0000_0000_1000, 0xad40_0400),
            insn(0xffff_0000_0000_1004, insn::ERET),
            insn(0xffff_0000_0000_1008, 0xd503_201f),
            insn(0x1000, 0xd503_201f),
        ];
        let group = |windows, insns: &[usize]| Group {
            windows,
            length: insns.len(),
            insns: insns.to_vec(),
        };
        let rare = Group {
            windows: 1,
            length: 2,
            insns: Vec::new(),
        };
        Recording {
            insns,
            sections: vec![Section {
                marker: Exit::FirstFp.marker(),
                // To the host and to the guest.
                groups: vec![
                    group(9, &[0, 1, 0, 1]),
                    group(7, second),
                    group(6, third),
                    rare,
                ],
            }],
        }
    }

    #[test]
    fn an_exit_has_the_largest_group_that_is_its_own() {
        let image = Image::with_functions(&[]);
        let first_fp = |second: &[usize], third: &[usize]| {
            let recording = with_two_kinds(second, third);
            Window::of(&recording, Exit::FirstFp, &image, &Names::default())
        };
        let (fp, other) = ([2, 0, 1], [2, 1]);
        let window = first_fp(&fp, &other).unwrap();
        assert_eq!((window.same, window.all), (7, 23));
        assert_eq!(window.counts.instructions, 3);
        assert_eq!(first_fp(&other, &fp).unwrap().same, 6);
        assert_eq!(first_fp(&[3, 0, 1], &fp).unwrap().same, 6, "userspace");
        assert_eq!(first_fp(&[0, 2], &fp).unwrap().same, 6, "no entry");
        let error = first_fp(&other, &other).unwrap_err().to_string();
        assert_eq!(error, "none of the common windows is that of the exit");
    }

    #[test]
    fn only_first_fp_is_particular() {
        let image = Image::with_functions(&[]);
        let mut recording = with_two_kinds(&[2], &[2]);
        recording.sections[0].marker = Exit::VmmMmio.marker();
        let window = Window::of(&recording, Exit::VmmMmio, &image, &Names::default());
        assert_eq!(window.unwrap().same, 9);
    }

    /// Groups of 3, 3 and 4 windows; those without instructions have none.
    fn of_lengths(groups: [(u64, &[usize], usize); 3]) -> Recording {
        let mut recording = recording();
        recording.sections[0].groups = groups
            .map(|(windows, insns, length)| Group {
                windows,
                length,
                insns: insns.to_vec(),
            })
            .into();
        recording
    }

    #[test]
    fn the_median_is_that_of_all_windows() {
        let image = Image::with_functions(&[]);
        let median = |groups| {
            let recording = of_lengths(groups);
            let window = Window::median(&recording, Exit::VmmMmio, &image, &Names::default());
            window.map(|w| w.counts.instructions)
        };
        let (short, long): (&[usize], &[usize]) = (&[0, 3], &[0, 1, 2, 3]);
        assert_eq!(
            median([(4, short, 2), (3, long, 4), (3, &[], 9)]).unwrap(),
            4
        );
        assert_eq!(
            median([(5, short, 2), (3, long, 4), (2, &[], 9)]).unwrap(),
            2
        );
        // The plugin keeps the instructions of the median.
        assert!(median([(4, short, 2), (3, long, 4), (3, &[], 3)]).is_err());
    }

    #[test]
    fn the_median_of_an_exit_among_others_is_that_of_its_own() {
        let image = Image::with_functions(&[]);
        let recording = with_two_kinds(&[2, 0, 1], &[2, 2, 0, 1]);
        let median = |recording: &Recording| {
            Window::median(recording, Exit::FirstFp, &image, &Names::default())
        };
        let window = median(&recording).unwrap();
        assert_eq!((window.same, window.counts.instructions), (7, 3));
        assert!(median(&with_two_kinds(&[2, 1], &[2, 1])).is_err());
    }
}
