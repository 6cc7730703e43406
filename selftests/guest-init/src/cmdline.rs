// SPDX-License-Identifier: GPL-2.0

//! Settings from the kernel command line.

use std::fs;
use std::str::FromStr;

use guest_init::report::Error;

/// What to check, and how long.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// Duration of the check, 0 for none.
    pub seconds: u64,
    /// How often to check for that long, 0 for ever.
    pub rounds: u64,
    /// Threads for each CPU.
    pub threads: usize,
    /// Number of the first thread's pattern.
    pub seed: u16,
    /// Whether to have a guest meanwhile, which needs EL2.
    pub guest: bool,
}

impl Settings {
    /// Those of the running kernel.
    pub fn read() -> Result<Self, Error> {
        let path = "/proc/cmdline";
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Self::parse(&text)
    }

    /// Yields once for each time to check.
    pub fn rounds_to_come(&self) -> impl Iterator<Item = u64> {
        0..match (self.seconds, self.rounds) {
            (0, _) => 0,
            (_, 0) => u64::MAX,
            (_, rounds) => rounds,
        }
    }

    fn parse(cmdline: &str) -> Result<Self, Error> {
        let mut settings = Self {
            seconds: 0,
            rounds: 1,
            threads: 2,
            seed: 1,
            guest: false,
        };
        for word in cmdline.split_whitespace() {
            let Some((name, value)) = word.strip_prefix("fp.").and_then(|w| w.split_once('='))
            else {
                continue;
            };
            match name {
                "seconds" => settings.seconds = number(word, value)?,
                "rounds" => settings.rounds = number(word, value)?,
                "threads" => settings.threads = number(word, value)?,
                "seed" => settings.seed = number(word, value)?,
                "guest" => settings.guest = number::<u8>(word, value)? != 0,
                _ => {
                    let known = "seconds, rounds, threads, seed, guest";
                    return Err(format!("{word}: not a setting ({known})"));
                }
            }
        }
        if settings.threads == 0 {
            return Err("fp.threads must not be 0".into());
        }
        Ok(settings)
    }
}

fn number<T: FromStr>(word: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| format!("{word}: not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_ignored() {
        let settings = Settings::parse("console=ttyS0 fp.seconds=5 quiet fp.seed=300\n").unwrap();
        let expected = Settings {
            seconds: 5,
            rounds: 1,
            threads: 2,
            seed: 300,
            guest: false,
        };
        assert_eq!(settings, expected);
        let text = "fp.guest=1 fp.seconds=5 fp.rounds=0 fp.seed=300";
        let (guest, rounds) = (true, 0);
        let others = Settings {
            guest,
            rounds,
            ..expected
        };
        assert_eq!(Settings::parse(text).unwrap(), others);
    }

    #[test]
    fn checks_are_made_as_often_as_was_asked_for() {
        let rounds = |text| {
            Settings::parse(text)
                .unwrap()
                .rounds_to_come()
                .take(9)
                .count()
        };
        assert_eq!(rounds(""), 0);
        assert_eq!(rounds("fp.rounds=3"), 0);
        assert_eq!(rounds("fp.seconds=1"), 1);
        assert_eq!(rounds("fp.seconds=1 fp.rounds=3"), 3);
        assert_eq!(rounds("fp.seconds=1 fp.rounds=0"), 9);
    }

    #[test]
    fn mistakes_are_errors() {
        for wrong in ["fp.seconds=", "fp.threads=0", "fp.second=1", "fp.seed=-1"] {
            assert!(Settings::parse(wrong).is_err(), "{wrong}");
        }
    }
}
