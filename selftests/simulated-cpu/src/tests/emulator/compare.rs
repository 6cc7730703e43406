// SPDX-License-Identifier: GPL-2.0
//! Runs sequences on both, and makes one that gives different results as short as
//! it can be.

use super::boot::{self, Folder};
use super::facts::Facts;
use super::given::Given;
use super::image::Image;
use super::machine::Machine;
use super::operation::{sequence, Sequence};
use super::simulation::{Fault, Simulation};
use super::step::Step;
use std::fmt;
use std::ops::{AddAssign, Range};

/// A machine on which sequences can be run.
pub(super) struct Bench {
    folder: Folder,
    pub(super) facts: Facts,
    image: Image,
    given: Given,
    /// A rule that the simulated CPU breaks.
    pub(super) fault: Option<Fault>,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    pub(super) sequences: u64,
    pub(super) steps: u64,
    /// Steps that took an exception.
    pub(super) exceptions: u64,
}

impl AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        self.sequences += other.sequences;
        self.steps += other.steps;
        self.exceptions += other.exceptions;
    }
}

/// A sequence that gives different results.
pub(super) struct Difference {
    /// The steps up to the one that differs, and that.
    pub(super) steps: Vec<String>,
    what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        write!(f, "    simulated {}", self.what)
    }
}

impl Bench {
    /// Finds out what a machine is like.
    pub(super) fn new(machine: &Machine) -> Self {
        let folder = Folder::new();
        let facts = Facts::of(&folder, machine);
        let image = Image::assemble(&folder.0, &facts.writable(), facts.own_names());
        Self {
            given: Given::new(&facts, &image),
            folder,
            facts,
            image,
            fault: None,
        }
    }

    /// Runs sequences, all in one boot. Returns for each how it differs, if it does.
    fn run(&self, sequences: &[Sequence]) -> (Vec<Option<Difference>>, Compared) {
        let simulated: Vec<Vec<Step>> = sequences
            .iter()
            .map(|sequence| {
                Simulation::run(&self.facts, &self.image, &self.given, self.fault, sequence)
            })
            .collect();
        let steps = simulated.iter().flatten();
        let list: Vec<_> = steps.map(|step| step.entry).collect();
        let machine = &self.facts.machine;
        let results = boot::run(&self.folder, machine, &self.image, &self.given.data, &list);
        let mut compared = Compared::default();
        let mut at = 0;
        let mut differences = Vec::with_capacity(sequences.len());
        for steps in &simulated {
            compared.sequences += 1;
            compared.steps += steps.len() as u64;
            let mut difference = None;
            for (number, step) in steps.iter().enumerate() {
                let found = results.next(&mut at, step.entry.room);
                compared.exceptions += u64::from(found.exception.is_some());
                if difference.is_some() {
                    continue;
                }
                difference = step.difference(found).map(|what| Difference {
                    steps: steps[..=number].iter().map(Step::to_string).collect(),
                    what,
                });
            }
            differences.push(difference);
        }
        (differences, compared)
    }

    /// Runs sequences of a seed by their numbers. Returns the number of the first that
    /// gives different results.
    pub(super) fn compare(&self, seed: u64, numbers: Range<u64>) -> Result<Compared, u64> {
        let first = numbers.start;
        let sequences: Vec<Sequence> = numbers
            .map(|number| sequence(&self.facts, seed, number))
            .collect();
        let (differences, compared) = self.run(&sequences);
        match differences.iter().position(Option::is_some) {
            Some(different) => Err(first + different as u64),
            None => Ok(compared),
        }
    }

    /// How a sequence that gives different results does so, when it is as short as it
    /// can be.
    pub(super) fn explain(&self, seed: u64, number: u64) -> Difference {
        self.shorten(sequence(&self.facts, seed, number))
    }

    /// Leaves out operations of a sequence, as many as can be for the results to
    /// differ still.
    fn shorten(&self, mut sequence: Sequence) -> Difference {
        let mut part = sequence.operations.len();
        let (mut differences, _) = self.run(std::slice::from_ref(&sequence));
        let mut difference = differences.remove(0).expect("it differs each time");
        while part != 0 {
            let starts = (0..sequence.operations.len()).step_by(part);
            let shorter: Vec<Sequence> = starts
                .map(|start| {
                    let mut shorter = sequence.clone();
                    let end = (start + part).min(shorter.operations.len());
                    shorter.operations.drain(start..end);
                    shorter
                })
                .collect();
            let (differences, _) = self.run(&shorter);
            let mut differing = shorter
                .into_iter()
                .zip(differences)
                .filter_map(|(shorter, difference)| Some((shorter, difference?)));
            match differing.next() {
                Some(shorter) => (sequence, difference) = shorter,
                None => part /= 2,
            }
            part = part.min(sequence.operations.len());
        }
        difference
    }
}
