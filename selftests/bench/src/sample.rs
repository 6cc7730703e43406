// SPDX-License-Identifier: GPL-2.0

//! What was measured in one round, and in all of them.

use serde::{Deserialize, Serialize};

/// What events came to, or why they were not counted.
pub type Counted = Result<u64, String>;

/// From the first mark of a guest to the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Ticks of the architected counter.
    pub ticks: u64,
    /// Cycles of the host.
    pub cycles: Counted,
    /// Instructions of the host.
    pub instructions: Counted,
}

/// The figures of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of these, if there are any.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        // One and the same where their number is odd.
        let upper = figures.len() / 2;
        let lower = (figures.len() - 1) / 2;
        let median = (figures.get(lower)? + figures.get(upper)?) / 2.0;
        Some(Self { median, min, max })
    }
}

/// What all rounds of an exit came to, for one exit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Nanoseconds.
    pub ns: Spread,
    /// Cycles of the host: the median.
    pub cycles: Option<f64>,
    /// Instructions of the host: the median.
    pub instructions: Option<f64>,
}

impl Figures {
    /// Of rounds with `count` exits each, on a host whose counter has `frequency` ticks in a
    /// second. Events that one of them lacks are left out.
    pub fn of(samples: &[Sample], count: u32, frequency: u64) -> Option<Self> {
        let each = |total: u64| total as f64 / f64::from(count);
        let ns = |sample: &Sample| each(sample.ticks) * 1e9 / frequency as f64;
        let median = |counted: fn(&Sample) -> &Counted| {
            let all = samples.iter().map(|sample| counted(sample).as_ref().ok());
            let all: Option<Vec<f64>> = all.map(|total| total.copied().map(each)).collect();
            Some(Spread::of(all?)?.median)
        };
        Some(Self {
            ns: Spread::of(samples.iter().map(ns).collect())?,
            cycles: median(|sample| &sample.cycles),
            instructions: median(|sample| &sample.instructions),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(figures: &[f64]) -> Option<(f64, f64, f64)> {
        Spread::of(figures.to_vec()).map(|s| (s.min, s.median, s.max))
    }

    fn sample(ticks: u64, cycles: Counted) -> Sample {
        Sample {
            ticks,
            cycles,
            instructions: Err("none".to_owned()),
        }
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some((1.0, 2.0, 9.0)));
        assert_eq!(spread(&[9.0, 1.0, 2.0, 4.0]), Some((1.0, 3.0, 9.0)));
    }

    #[test]
    fn figures_are_for_one_exit() {
        // 25 MHz: 40 ns for a tick.
        let samples = [1000, 3000, 2000].map(|ticks| sample(ticks, Ok(10 * ticks)));
        let figures = Figures::of(&samples, 100, 25_000_000).unwrap();
        assert_eq!(
            figures.ns,
            Spread {
                median: 800.0,
                min: 400.0,
                max: 1200.0
            }
        );
        assert_eq!(figures.cycles, Some(200.0));
        assert_eq!(figures.instructions, None);
        assert_eq!(Figures::of(&[], 100, 25_000_000), None);
    }

    #[test]
    fn events_that_one_round_lacks_are_left_out() {
        let samples = [sample(1, Ok(5)), sample(1, Err("shared".to_owned()))];
        assert_eq!(Figures::of(&samples, 1, 1).unwrap().cycles, None);
    }

    #[test]
    fn samples_survive_the_way_between_processes() {
        let sent = sample(7, Ok(8));
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), sent);
    }
}
