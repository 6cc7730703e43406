// SPDX-License-Identifier: GPL-2.0

//! Threads that hold patterns in the FP registers while everything happens
//! that could take them away: preemption by each other, system calls, changes
//! of the vector length, interrupts, and exits to the VMM.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fp::{Checker, Mismatch, Mode, Tally};
use guest_init::report::{self, Error, Event};

use crate::cmdline::Settings;
use crate::system;

/// Corruptions that are reported one by one. A broken kernel makes thousands.
const REPORTED: u32 = 8;

/// Shortest and longest time that a thread stays with a mode.
const SLICE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Pause between two accesses to the console's device.
const DEVICE_PAUSE: Duration = Duration::from_millis(2);

/// What came out.
pub struct Outcome {
    /// Checks and corruptions of all threads.
    pub tally: Tally,
    /// Number of threads that checked.
    pub threads: usize,
    /// Accesses to the console's device.
    pub device_reads: u64,
    /// SVE vector lengths that were used, in bytes.
    pub lengths: BTreeSet<usize>,
}

/// Checks for `duration` with `settings.threads` threads on each of `cpus`.
pub fn run(
    duration: Duration,
    settings: &Settings,
    cpus: &[usize],
    lengths: &[usize],
) -> Result<Outcome, Error> {
    let modes = modes(lengths);
    let reported = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    let device_reads = AtomicU64::new(0);
    let threads = cpus.len() * settings.threads;
    // Long enough to be preempted, short enough to see all modes.
    let slice = (duration / modes.len() as u32).clamp(SLICE.0, SLICE.1);
    let end = Instant::now() + duration;

    thread::scope(|scope| {
        let mut checkers = Vec::new();
        for index in 0..threads {
            let cpu = cpus[index % cpus.len()];
            let seed = settings.seed.wrapping_add(index as u16);
            let mut modes = modes.clone();
            let start = index * modes.len() / threads;
            modes.rotate_left(start);
            let reported = &reported;
            checkers.push(scope.spawn(move || {
                system::pin(cpu)?;
                check_until(end, slice, seed, &modes, reported)
            }));
        }
        let disturbers: Vec<_> = cpus
            .iter()
            .map(|cpu| {
                let (over, device_reads) = (&over, &device_reads);
                scope.spawn(move || disturb(*cpu, over, device_reads))
            })
            .collect();

        let results: Vec<_> = checkers.into_iter().map(|c| c.join()).collect();
        over.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        let mut lengths = BTreeSet::new();
        for result in results {
            let (one, used) = result.map_err(|_| "a checking thread panicked")??;
            tally += one;
            lengths.extend(used);
        }
        for result in disturbers {
            result
                .join()
                .map_err(|_| "a disturbing thread panicked")??;
        }
        Ok(Outcome {
            tally,
            threads,
            device_reads: device_reads.load(Ordering::Relaxed),
            lengths,
        })
    })
}

/// All ways to hold registers that exist here.
fn modes(lengths: &[usize]) -> Vec<Mode> {
    let mut modes = vec![
        Mode::Fpsimd { syscalls: true },
        Mode::Fpsimd { syscalls: false },
    ];
    // Longest first: a short check should at least see that one.
    modes.extend(lengths.iter().rev().map(|vl| Mode::Sve { vl: *vl }));
    modes
}

/// Goes through `modes` until `end`, with `slice` for each, and checks once at
/// least. Also returns the SVE vector lengths that were used.
fn check_until(
    end: Instant,
    slice: Duration,
    seed: u16,
    modes: &[Mode],
    reported: &AtomicU32,
) -> Result<(Tally, BTreeSet<usize>), Error> {
    let mut lengths = BTreeSet::new();
    let tally = in_turn(end, slice, modes, |mode, duration| {
        let mut checker = Checker::new(seed, mode).map_err(|error| format!("{mode:?}: {error}"))?;
        if checker.check_wrongly().is_ok() {
            return Err(format!("{mode:?}: a wrong register was not noticed"));
        }
        if let Mode::Sve { vl } = mode {
            lengths.insert(vl);
        }
        Ok(checker.run_for(duration, |mismatch| {
            if reported.fetch_add(1, Ordering::Relaxed) < REPORTED {
                report::send(&corruption(seed, mismatch));
            }
        }))
    })?;
    Ok((tally, lengths))
}

/// Has one of `modes` after the other checked until `end`, for `slice` at most. The
/// first one is checked whatever the time is: on a machine with much to do, it may be
/// over before this thread comes to run.
fn in_turn(
    end: Instant,
    slice: Duration,
    modes: &[Mode],
    mut check: impl FnMut(Mode, Duration) -> Result<Tally, Error>,
) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for mode in modes.iter().cycle() {
        let left = end.saturating_duration_since(Instant::now());
        tally += check(*mode, left.min(slice))?;
        if Instant::now() >= end {
            break;
        }
    }
    Ok(tally)
}

fn corruption(thread: u16, mismatch: &Mismatch) -> Event {
    Event::Corruption {
        thread,
        register: mismatch.register.to_string(),
        expected: mismatch.expected_hex(),
        found: mismatch.found_hex(),
        owner: mismatch.owner().map(|owner| {
            format!(
                "register {} of thread {}, round {}",
                owner.register, owner.seed, owner.round
            )
        }),
    }
}

/// Wakes up again and again, which preempts a checking thread, and then reads
/// the modem lines: the driver reads a register of the UART, and the vCPU exits
/// to the VMM with the checking thread's values still in its registers.
fn disturb(cpu: usize, over: &AtomicBool, device_reads: &AtomicU64) -> Result<(), Error> {
    system::pin(cpu)?;
    system::take_precedence()?;
    while !over.load(Ordering::Relaxed) {
        let mut lines: libc::c_int = 0;
        // SAFETY: TIOCMGET writes an int, which `lines` is.
        let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCMGET, &mut lines) };
        if result != 0 {
            return Err(format!(
                "cannot read the console's modem lines: {}",
                io::Error::last_os_error()
            ));
        }
        device_reads.fetch_add(1, Ordering::Relaxed);
        thread::sleep(DEVICE_PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Tally = Tally {
        checks: 1,
        corruptions: 0,
    };

    #[test]
    fn a_thread_that_runs_late_checks_once() {
        let mut checked = Vec::new();
        let tally = in_turn(Instant::now(), SLICE.1, &modes(&[16, 32]), |mode, left| {
            checked.push((mode, left));
            Ok(ONE)
        });
        let first = Mode::Fpsimd { syscalls: true };
        assert_eq!(checked, [(first, Duration::ZERO)]);
        assert_eq!(tally, Ok(ONE));
    }

    #[test]
    fn all_modes_have_their_turn() {
        let all = modes(&[16, 32]);
        let mut checked = Vec::new();
        let end = Instant::now() + Duration::from_millis(20);
        in_turn(end, Duration::from_millis(2), &all, |mode, left| {
            assert!(left <= Duration::from_millis(2));
            thread::sleep(Duration::from_millis(1));
            checked.push(mode);
            Ok(ONE)
        })
        .unwrap();
        assert!(Instant::now() >= end);
        let turns = checked.iter().zip(all.iter().cycle());
        assert!(turns.clone().count() > 1);
        for (checked, mode) in turns {
            assert_eq!(checked, mode);
        }
    }
}
