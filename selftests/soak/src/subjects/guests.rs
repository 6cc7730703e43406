// SPDX-License-Identifier: GPL-2.0

//! Guests that come and go: Linux with more vCPUs than the host has CPUs, with SVE of
//! some vector length or without, bare-metal guests, those in AArch32 state, and those
//! that pKVM protects.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rand::seq::IndexedRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::counters::{Counter, Counters};
use crate::end::Meaning;
use crate::pace::Pace;
use crate::soak::Soak;
use crate::vmm::{Counts, Start, LIMIT};

const VMM: &str = "/kvm-rust/bin/vmm";
const AARCH32: &str = "/kvm-rust/bin/aarch32";
const SVE_ABI: &str = "/kvm-rust/bin/sve-abi";
const KERNEL: &str = "/kvm-rust/guest/Image";
const INITRAMFS: &str = "/kvm-rust/guest/initramfs.cpio";

/// Time that those may take that go from one VM to another, with one vector length after the
/// other.
const MOVING_LIMIT: Duration = Duration::from_secs(1200);

/// Most vCPUs that a guest can have.
const MOST_VCPUS: usize = 8;

/// Bare-metal guests. The one that checks registers comes most often.
const BARE_METAL: [&str; 8] = [
    "registers",
    "registers",
    "registers",
    "exit-hypercall",
    "exit-vgic-mmio",
    "exit-vmm-mmio",
    "exit-timer",
    "exit-first-fp",
];

/// SVE of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sve {
    /// None.
    Withheld,
    /// All vector lengths.
    All,
    /// Those up to this, in bytes.
    AtMost(usize),
}

impl Sve {
    fn choose(numbers: &mut ChaCha8Rng, lengths: &[usize]) -> Self {
        match numbers.random_range(0..4) {
            0 => Self::Withheld,
            1 => Self::All,
            _ => lengths
                .choose(numbers)
                .map_or(Self::All, |&length| Self::AtMost(length)),
        }
    }

    fn argument(self) -> String {
        match self {
            Self::Withheld => "off".to_owned(),
            Self::All => "max".to_owned(),
            Self::AtMost(length) => length.to_string(),
        }
    }
}

/// A guest of our VMM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guest {
    /// A bare-metal guest, or Linux.
    bare_metal: Option<&'static str>,
    vcpus: usize,
    sve: Sve,
    protected: bool,
    faulty: bool,
    /// How long Linux checks.
    seconds: u64,
    /// Number of Linux's patterns.
    patterns: u16,
}

impl Guest {
    fn choose(
        numbers: &mut ChaCha8Rng,
        bare_metal: Option<&'static str>,
        soak: &Soak,
        lengths: &[usize],
    ) -> Self {
        let protected = soak.options.protected && numbers.random_ratio(1, 3);
        let most = (2 * soak.cpus).min(MOST_VCPUS);
        let sve = match Sve::choose(numbers, lengths) {
            // pKVM offers it none.
            _ if protected => Sve::All,
            sve => sve,
        };
        Self {
            bare_metal,
            vcpus: numbers.random_range(1..=most),
            sve,
            protected,
            faulty: numbers.random_ratio(1, 2),
            seconds: numbers.random_range(2..=6),
            patterns: numbers.random_range(1..u16::MAX - 64),
        }
    }

    fn start(&self) -> Start {
        let mut command = Command::new(VMM);
        match self.bare_metal {
            Some(name) => {
                let kernel = format!("/kvm-rust/guest/{name}");
                command.args(["--kernel", &kernel, "--memory", "32"]);
            }
            None => {
                let cmdline = format!(
                    "console=ttyS0 quiet panic=-1 fp.seconds={} fp.seed={}",
                    self.seconds, self.patterns
                );
                command
                    .args(["--kernel", KERNEL, "--initrd", INITRAMFS])
                    .args(["--memory", "128", "--cmdline", &cmdline]);
            }
        }
        command
            .args(["--cpus", &self.vcpus.to_string()])
            .args(["--sve-vl", &self.sve.argument()]);
        if self.protected {
            command.arg("--protected");
        }
        Start {
            what: format!("{self:?}"),
            command,
            faulty: self.faulty,
            interruptible: true,
            counts: match self.bare_metal {
                Some(_) => Counts::PowerOff,
                None => Counts::Reports,
            },
            limit: LIMIT,
        }
    }

    /// Counts it, as it came to its end and all was right.
    fn count(&self, counters: &Counters, has_sve: bool) {
        counters.guests.add(1);
        match self.bare_metal {
            Some(_) => counters.bare_guests.add(1),
            None => counters.linux_guests.add(1),
        }
        if self.protected {
            counters.protected_guests.add(1);
        } else if has_sve && self.sve != Sve::Withheld {
            counters.sve_guests.add(1);
        } else {
            counters.guests_without_sve.add(1);
        }
    }
}

/// One after the other, of those that `choose` gives.
fn one_after_the_other(
    soak: &Soak,
    mut numbers: ChaCha8Rng,
    choose: impl Fn(&mut ChaCha8Rng) -> Option<&'static str>,
) -> Result<()> {
    let lengths = fp::sve_lengths();
    let pace = Pace::choose(&mut numbers, 50..1000);
    while soak.over.wait(pace.next(&mut numbers)) {
        let bare_metal = choose(&mut numbers);
        let guest = Guest::choose(&mut numbers, bare_metal, soak, &lengths);
        if let Some(Meaning::Passed) = guest.start().run(soak)? {
            guest.count(&soak.counters, !lengths.is_empty());
        }
    }
    Ok(())
}

/// Linux guests.
pub fn linux(soak: &Soak, numbers: ChaCha8Rng) -> Result<()> {
    one_after_the_other(soak, numbers, |_| None)
}

/// Bare-metal guests.
pub fn bare_metal(soak: &Soak, numbers: ChaCha8Rng) -> Result<()> {
    one_after_the_other(soak, numbers, |numbers| BARE_METAL.choose(numbers).copied())
}

/// A program with guests of its own.
fn program(path: &str, arguments: &[String], counts: Counts, limit: Duration) -> Start {
    let mut command = Command::new(path);
    command.args(arguments);
    Start {
        what: format!("{path} {}", arguments.join(" ")),
        command,
        faulty: false,
        interruptible: false,
        counts,
        limit,
    }
}

/// What an AArch32 guest is told.
fn aarch32_arguments(numbers: &mut ChaCha8Rng) -> [String; 7] {
    [
        "--seconds".to_owned(),
        numbers.random_range(2..=6).to_string(),
        "--vcpus".to_owned(),
        numbers.random_range(1..=MOST_VCPUS).to_string(),
        "--alter".to_owned(),
        "none".to_owned(),
        // Everything else takes the CPU away from its vCPUs for as long as it likes.
        "--busy-host".to_owned(),
    ]
}

/// Programs that `start` gives, one after the other, until one says that this host can have no
/// such guests.
fn programs(
    soak: &Soak,
    mut numbers: ChaCha8Rng,
    start: impl Fn(&mut ChaCha8Rng) -> Start,
    kinds: [&Counter; 2],
) -> Result<()> {
    let pace = Pace::choose(&mut numbers, 4000..15000);
    while soak.over.wait(pace.next(&mut numbers)) {
        match start(&mut numbers).run(soak)? {
            Some(Meaning::Passed) => {
                soak.counters.guests.add(1);
                kinds.iter().for_each(|kind| kind.add(1));
            }
            Some(Meaning::Skipped) => break,
            _ => {}
        }
    }
    Ok(())
}

/// AArch32 guests, where the CPU can have any.
pub fn aarch32(soak: &Soak, numbers: ChaCha8Rng) -> Result<()> {
    let start = |numbers: &mut ChaCha8Rng| {
        let arguments = aarch32_arguments(numbers);
        program(AARCH32, &arguments, Counts::Result, LIMIT)
    };
    let counters = &soak.counters;
    let kinds = [&counters.aarch32_guests, &counters.guests_without_sve];
    programs(soak, numbers, start, kinds)
}

/// Guests that go from one VM to another with all their SVE registers. Each takes minutes,
/// so nobody has to wait for them.
pub fn moving(soak: &Soak, numbers: ChaCha8Rng) -> Result<()> {
    let arguments = ["lengths".to_owned()];
    let start = |_: &mut ChaCha8Rng| program(SVE_ABI, &arguments, Counts::PowerOff, MOVING_LIMIT);
    let counters = &soak.counters;
    let kinds = [&counters.bare_guests, &counters.sve_guests];
    programs(soak, numbers, start, kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::pace::numbers;
    use clap::Parser;

    fn chosen(arguments: &[&str], cpus: usize) -> Vec<Guest> {
        let options = Options::parse_from([&["soak"], arguments].concat());
        let soak = Soak::new(options, cpus);
        let mut numbers = numbers(1, 0);
        (0..200)
            .map(|_| Guest::choose(&mut numbers, None, &soak, &[16, 32, 48]))
            .collect()
    }

    #[test]
    fn guests_are_mixed_and_have_more_vcpus_than_the_host_has_cpus() {
        let guests = chosen(&[], 3);
        assert!(guests.iter().any(|guest| guest.vcpus > 3));
        assert!(guests.iter().all(|guest| (1..=6).contains(&guest.vcpus)));
        for sve in [Sve::Withheld, Sve::All, Sve::AtMost(16), Sve::AtMost(48)] {
            assert!(guests.iter().any(|guest| guest.sve == sve), "{sve:?}");
        }
        let faulty = guests.iter().filter(|guest| guest.faulty).count();
        assert!((50..150).contains(&faulty), "{faulty}");
        assert!(guests.iter().all(|guest| !guest.protected));
        assert!(chosen(&[], 100)
            .iter()
            .all(|guest| guest.vcpus <= MOST_VCPUS));
    }

    #[test]
    fn protected_guests_are_not_asked_to_have_sve_of_some_length() {
        let guests = chosen(&["--protected"], 3);
        let protected: Vec<_> = guests.iter().filter(|guest| guest.protected).collect();
        assert!(!protected.is_empty() && protected.len() < guests.len());
        assert!(protected.iter().all(|guest| guest.sve == Sve::All));
    }

    #[test]
    fn no_preemptions_are_demanded_of_aarch32_guests() {
        let mut numbers = numbers(1, 0);
        for _ in 0..20 {
            let arguments = aarch32_arguments(&mut numbers);
            assert!(arguments.iter().any(|argument| argument == "--busy-host"));
        }
    }

    #[test]
    fn each_guest_is_counted_as_what_it_is() {
        let counters = Counters::default();
        let guest = chosen(&[], 3).remove(0);
        let with = |bare_metal, sve, protected| Guest {
            bare_metal,
            sve,
            protected,
            ..guest.clone()
        };
        with(None, Sve::All, false).count(&counters, true);
        with(None, Sve::All, false).count(&counters, false);
        with(Some("registers"), Sve::Withheld, false).count(&counters, true);
        with(None, Sve::All, true).count(&counters, true);
        let totals = counters.totals();
        assert_eq!((totals.guests, totals.linux_guests), (4, 3));
        assert_eq!((totals.bare_guests, totals.protected_guests), (1, 1));
        assert_eq!((totals.sve_guests, totals.guests_without_sve), (1, 2));
    }
}
