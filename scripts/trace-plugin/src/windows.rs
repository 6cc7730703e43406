// SPDX-License-Identifier: GPL-2.0
//! Windows and their groups.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// An instruction as it stands in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Insn {
    /// Its address in vmlinux if it is part of the host kernel's image,
    /// wherever that is mapped; otherwise its virtual address.
    pub address: u64,
    /// Its word.
    pub word: u32,
}

/// Groups with fewer windows are only counted: none of them is what is common
/// to the exits of one kind. A guest may cause exits of more than one.
const ONE_IN: u64 = 10;

/// In the number of a section's marker: its windows are rounds. All that the
/// host executes for guests between two marks with this number alone is one.
const ROUNDS: u16 = 0x8000;

/// Windows with the same instructions.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// How many windows.
    pub windows: u64,
    /// How many instructions each of them has.
    pub length: usize,
    /// The instructions, in the order of their execution, as indices into
    /// [`Recording::insns`]. The first group of a section has them, the one with
    /// the median of all lengths, and those that have at least one of [`ONE_IN`]
    /// of its windows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insns: Vec<usize>,
}

/// The windows between two markers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Number of the marker at its beginning.
    pub marker: u16,
    /// Its groups, the largest first. Of two with the same size, the one whose
    /// windows are shorter.
    pub groups: Vec<Group>,
}

/// All that was recorded.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// Instructions that the groups refer to.
    pub insns: Vec<Insn>,
    /// The sections by their markers.
    pub sections: Vec<Section>,
}

/// Number of an instruction that has been seen.
pub type Id = u32;

/// A window's instructions, and how often such a window was seen.
type Counts = HashMap<Box<[Id]>, u64>;

/// Takes instructions and groups them.
#[derive(Debug, Default)]
pub struct Recorder {
    insns: Vec<Insn>,
    ids: HashMap<Insn, Id>,
    /// The marker passed last; 0 ends a section.
    marker: u16,
    /// The windows that are open, by vCPU.
    open: HashMap<u32, Vec<Id>>,
    sections: BTreeMap<u16, Counts>,
}

impl Recorder {
    /// The number of `insn`.
    pub fn id(&mut self, insn: Insn) -> Id {
        *self.ids.entry(insn).or_insert_with(|| {
            self.insns.push(insn);
            (self.insns.len() - 1) as Id
        })
    }

    /// `vcpu` passed a marker. What is open where a section begins or ends
    /// belongs to none as a whole and is dropped.
    pub fn mark(&mut self, vcpu: u32, marker: u16) {
        if marker == ROUNDS {
            self.end_round(vcpu);
            return;
        }
        self.marker = marker;
        self.open.clear();
    }

    /// True if the windows of the current section are rounds.
    fn has_rounds(&self) -> bool {
        self.marker & ROUNDS != 0
    }

    /// A round ends, and the next one begins.
    fn end_round(&mut self, vcpu: u32) {
        if self.has_rounds() {
            if let Some(round) = self.open.remove(&vcpu) {
                self.count(round);
            }
        }
    }

    fn count(&mut self, window: Vec<Id>) {
        let counts = self.sections.entry(self.marker).or_default();
        *counts.entry(window.into_boxed_slice()).or_default() += 1;
    }

    /// The first instruction of a window was executed. False if nothing is to
    /// be recorded now.
    pub fn begin(&mut self, vcpu: u32, insn: Id) -> bool {
        if self.marker == 0 {
            return false;
        }
        let has_rounds = self.has_rounds();
        let window = self.open.entry(vcpu).or_default();
        // An exit without an entry after it: the vCPU did not go on.
        if !has_rounds {
            window.clear();
        }
        window.push(insn);
        true
    }

    /// Another instruction was executed.
    pub fn step(&mut self, vcpu: u32, insn: Id) {
        if let Some(window) = self.open.get_mut(&vcpu) {
            window.push(insn);
        }
    }

    /// The last instruction of a window was executed. A round goes on.
    pub fn end(&mut self, vcpu: u32, insn: Id) {
        self.step(vcpu, insn);
        if !self.has_rounds() {
            if let Some(window) = self.open.remove(&vcpu) {
                self.count(window);
            }
        }
    }

    /// What was recorded so far.
    pub fn recording(&self) -> Recording {
        let mut insns = Vec::new();
        let mut places = HashMap::new();
        let mut place = |id: Id| {
            *places.entry(id).or_insert_with(|| {
                insns.push(self.insns[id as usize]);
                insns.len() - 1
            })
        };
        let mut sections = Vec::new();
        for (&marker, counts) in &self.sections {
            let mut sorted: Vec<(&[Id], u64)> = counts.iter().map(|(w, &n)| (&**w, n)).collect();
            let all: u64 = counts.values().sum();
            sorted.sort_by_key(|&(window, count)| (std::cmp::Reverse(count), window.len(), window));
            let median = median_rank(&sorted);
            let groups = sorted
                .iter()
                .enumerate()
                .map(|(rank, &(window, windows))| Group {
                    windows,
                    length: window.len(),
                    insns: if rank == 0 || rank == median || windows * ONE_IN >= all {
                        window.iter().map(|&id| place(id)).collect()
                    } else {
                        Vec::new()
                    },
                });
            sections.push(Section {
                marker,
                groups: groups.collect(),
            });
        }
        Recording { insns, sections }
    }
}

/// The first group whose windows have the median length: so many windows are at
/// most as long as are longer.
fn median_rank(groups: &[(&[Id], u64)]) -> usize {
    let mut lengths: Vec<(usize, u64)> = groups.iter().map(|&(w, n)| (w.len(), n)).collect();
    lengths.sort_unstable();
    let all: u64 = lengths.iter().map(|(_, windows)| windows).sum();
    let mut seen = 0;
    let median = lengths.iter().find(|(_, windows)| {
        seen += windows;
        2 * seen >= all
    });
    let is_median = |(window, _): &(&[Id], u64)| median.is_some_and(|m| m.0 == window.len());
    groups.iter().position(is_median).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(address: u64) -> Insn {
        Insn {
            address,
            word: 0xd503_201f,
        }
    }

    fn window(recorder: &mut Recorder, vcpu: u32, addresses: &[u64]) {
        let ids: Vec<Id> = addresses.iter().map(|&a| recorder.id(insn(a))).collect();
        let (first, rest) = ids.split_first().unwrap();
        let (last, middle) = rest.split_last().unwrap();
        recorder.begin(vcpu, *first);
        for id in middle {
            recorder.step(vcpu, *id);
        }
        recorder.end(vcpu, *last);
    }

    #[test]
    fn the_most_common_window_comes_first_and_has_its_instructions() {
        let mut recorder = Recorder::default();
        recorder.mark(0, 1);
        window(&mut recorder, 0, &[0, 4, 8, 12]);
        for _ in 0..10 {
            window(&mut recorder, 0, &[0, 100, 12]);
        }
        let recording = recorder.recording();
        let groups = &recording.sections[0].groups;
        assert_eq!((groups[0].windows, groups[0].length), (10, 3));
        assert_eq!((groups[1].windows, groups[1].length), (1, 4));
        assert!(groups[1].insns.is_empty());
        let addresses: Vec<u64> = groups[0]
            .insns
            .iter()
            .map(|&i| recording.insns[i].address)
            .collect();
        assert_eq!(addresses, [0, 100, 12]);
        assert_eq!(recording.insns.len(), 3, "only those that are referred to");
    }

    #[test]
    fn each_common_window_has_its_instructions() {
        let mut recorder = Recorder::default();
        recorder.mark(0, 1);
        for _ in 0..9 {
            window(&mut recorder, 0, &[0, 4, 8]);
        }
        for _ in 0..9 {
            window(&mut recorder, 0, &[0, 8]);
        }
        window(&mut recorder, 0, &[0, 12]);
        window(&mut recorder, 0, &[0, 16]);
        let with_insns = |recorder: &Recorder| -> Vec<(u64, usize)> {
            recorder.recording().sections[0]
                .groups
                .iter()
                .map(|group| (group.windows, group.insns.len()))
                .collect()
        };
        assert_eq!(with_insns(&recorder), [(9, 2), (9, 3), (1, 0), (1, 0)]);
        // Rare ones only, and yet there is something to show: the shortest, and
        // the one that is longer than half of the others.
        recorder = Recorder::default();
        recorder.mark(0, 1);
        for length in 2..13 {
            let addresses: Vec<u64> = (0..length).collect();
            window(&mut recorder, 0, &addresses);
        }
        let groups = with_insns(&recorder);
        assert_eq!(groups[0], (1, 2));
        assert_eq!(groups[5], (1, 7));
        let others = (1..11).filter(|&rank| rank != 5);
        assert!(others.clone().count() == 9 && others.clone().all(|rank| groups[rank] == (1, 0)));
    }

    #[test]
    fn the_same_address_with_another_word_is_another_instruction() {
        let mut recorder = Recorder::default();
        let old = recorder.id(insn(0));
        let patched = recorder.id(Insn { word: 0, ..insn(0) });
        assert_ne!(old, patched);
        assert_eq!(recorder.id(insn(0)), old);
    }

    #[test]
    fn nothing_is_recorded_outside_sections() {
        let mut recorder = Recorder::default();
        window(&mut recorder, 0, &[0, 4]);
        recorder.mark(0, 2);
        window(&mut recorder, 0, &[0, 4]);
        recorder.mark(0, 0);
        window(&mut recorder, 0, &[0, 4]);
        let sections = recorder.recording().sections;
        assert_eq!(sections.len(), 1);
        assert_eq!((sections[0].marker, sections[0].groups[0].windows), (2, 1));
    }

    #[test]
    fn an_exit_without_an_entry_is_dropped() {
        let mut recorder = Recorder::default();
        recorder.mark(0, 1);
        let id = recorder.id(insn(0));
        assert!(recorder.begin(0, id));
        recorder.step(0, id);
        window(&mut recorder, 0, &[0, 4]);
        assert!(recorder.begin(0, id));
        recorder.mark(0, 1);
        recorder.end(0, id);
        let sections = recorder.recording().sections;
        assert_eq!(sections[0].groups.len(), 1);
        assert_eq!(sections[0].groups[0].length, 2);
    }

    #[test]
    fn a_round_is_all_between_two_marks() {
        let mut recorder = Recorder::default();
        let round = |recorder: &mut Recorder, exits: &[u64]| {
            recorder.mark(0, ROUNDS);
            for &address in exits {
                window(recorder, 0, &[0, address]);
            }
        };
        // Warming up: there is no section yet.
        round(&mut recorder, &[4]);
        recorder.mark(0, ROUNDS | 1);
        round(&mut recorder, &[4, 8]);
        round(&mut recorder, &[4, 8]);
        // Another vCPU that does not mark any has no rounds.
        window(&mut recorder, 1, &[0, 12]);
        round(&mut recorder, &[4, 4, 4]);
        round(&mut recorder, &[4, 8]);
        // The last one has no end.
        recorder.mark(0, 0);
        let sections = recorder.recording().sections;
        assert_eq!(sections.len(), 1);
        assert_eq!(sections[0].marker, ROUNDS | 1);
        let groups: Vec<_> = sections[0]
            .groups
            .iter()
            .map(|g| (g.windows, g.length))
            .collect();
        assert_eq!(groups, [(2, 4), (1, 6)]);
    }

    #[test]
    fn marks_of_rounds_are_nothing_to_other_sections() {
        let mut recorder = Recorder::default();
        recorder.mark(0, 1);
        let id = recorder.id(insn(0));
        recorder.begin(0, id);
        recorder.mark(0, ROUNDS);
        recorder.end(0, id);
        assert_eq!(recorder.recording().sections[0].groups[0].length, 2);
    }

    #[test]
    fn vcpus_have_windows_of_their_own() {
        let mut recorder = Recorder::default();
        recorder.mark(0, 1);
        let ids: Vec<Id> = (0..4).map(|a| recorder.id(insn(4 * a))).collect();
        recorder.begin(0, ids[0]);
        recorder.begin(1, ids[0]);
        recorder.step(0, ids[1]);
        recorder.end(1, ids[3]);
        recorder.step(1, ids[2]);
        recorder.end(0, ids[3]);
        let lengths: Vec<usize> = recorder.recording().sections[0]
            .groups
            .iter()
            .map(|g| g.length)
            .collect();
        assert_eq!(lengths, [2, 3]);
    }

    #[test]
    fn the_recording_is_what_xtask_reads() {
        let mut recorder = Recorder::default();
        recorder.mark(0, 1);
        for _ in 0..10 {
            window(&mut recorder, 0, &[0, 4]);
        }
        window(&mut recorder, 0, &[0, 8, 4]);
        assert_eq!(
            serde_json::to_string(&recorder.recording()).unwrap(),
            r#"{"insns":[{"address":0,"word":3573751839},{"address":4,"word":3573751839}],"sections":[{"marker":1,"groups":[{"windows":10,"length":2,"insns":[0,1]},{"windows":1,"length":3}]}]}"#
        );
    }
}
