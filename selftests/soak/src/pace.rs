// SPDX-License-Identifier: GPL-2.0

//! Numbers from the seed: what each subject decides, and how often it acts.

use std::ops::Range;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The numbers of one subject. Those of another do not change with what it does.
pub fn numbers(seed: u64, subject: usize) -> ChaCha8Rng {
    let mut numbers = ChaCha8Rng::seed_from_u64(seed);
    numbers.set_stream(subject as u64);
    numbers
}

/// How long a subject waits between two acts: times at random around a mean that
/// the seed has chosen.
#[derive(Debug, Clone)]
pub struct Pace {
    mean_ms: u64,
}

impl Pace {
    /// One with a mean out of `means_ms`, in milliseconds.
    pub fn choose(numbers: &mut ChaCha8Rng, means_ms: Range<u64>) -> Self {
        Self {
            mean_ms: numbers.random_range(means_ms),
        }
    }

    /// The next wait.
    pub fn next(&self, numbers: &mut ChaCha8Rng) -> Duration {
        Duration::from_millis(numbers.random_range(self.mean_ms / 4..=self.mean_ms * 7 / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_each_subject_its_own() {
        let first = |seed, subject| numbers(seed, subject).random::<u64>();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }

    #[test]
    fn waits_are_around_the_mean() {
        let mut numbers = numbers(1, 0);
        let pace = Pace::choose(&mut numbers, 100..101);
        let waits: Vec<u64> = (0..1000)
            .map(|_| pace.next(&mut numbers).as_millis() as u64)
            .collect();
        assert!(waits.iter().all(|wait| (25..=175).contains(wait)));
        let mean = waits.iter().sum::<u64>() / 1000;
        assert!((90..110).contains(&mean), "{mean}");
    }
}
