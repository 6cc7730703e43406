// SPDX-License-Identifier: GPL-2.0
//! The simulated CPU against the emulator.
//!
//! What the other tests stand on is the simulated CPU: what E2H redirects, what
//! traps, what a vector length is and what becomes of vectors. Here it is held
//! against QEMU, whose CPUs were written by others, from the architecture. Sequences
//! are drawn at random: MRS and MSR by all names, ISB, changes of `HCR_EL2.E2H`, of
//! the traps and of vector lengths, streaming mode and ZA, the primitives that move
//! the FP registers, and instructions of a guest at EL1. Each runs on the simulated
//! CPU, and on the emulator at EL2, as the instructions that it consists of. Each
//! value that is read, each exception and its class, each register that is stored, and
//! all registers at the end must be the same.
//!
//! `simulation.rs` asks the simulated CPU what becomes of an instruction. Where that
//! is not determined before a context synchronisation event, an ISB comes first: the
//! emulator, which synchronises after each instruction, cannot be asked. `machine.rs`
//! and `facts.rs` have the registers that QEMU lacks, or that keep less than is
//! written, each with its reason.
//!
//! A sequence that gives different results is printed as short as it can be.

mod boot;
mod compare;
mod deviations;
mod facts;
mod given;
mod image;
mod machine;
mod operation;
mod simulation;
mod step;

use compare::{Bench, Compared};
use machine::{Machine, MACHINES};
use simulation::Fault;
use std::time::Instant;

/// Where random numbers start.
const SEED: u64 = 0x4b_564d;

/// Compares as many sequences as that on a machine, `batch` in one boot, and prints
/// what was compared.
fn compare(machine: &Machine, seed: u64, batch: u64, batches: u64) {
    let start = Instant::now();
    let bench = Bench::new(machine);
    let mut total = Compared::default();
    for number in 0..batches {
        let numbers = number * batch..(number + 1) * batch;
        match bench.compare(seed, numbers) {
            Ok(compared) => total += compared,
            Err(number) => panic!(
                "{machine}: sequence {number} of seed {seed:#x} gives different results:\n{}",
                bench.explain(seed, number)
            ),
        }
    }
    println!(
        "{machine}: {} sequences, {} steps, {} exceptions, {} bits of registers, {:.1} s",
        total.sequences,
        total.steps,
        total.exceptions,
        bench.facts.bits(),
        start.elapsed().as_secs_f64()
    );
    // Some of each: otherwise nothing was compared.
    assert!(total.exceptions > total.sequences);
    assert!(total.steps - total.exceptions > 10 * total.sequences);
}

#[test]
fn sequences_give_the_same_results_on_the_emulator() {
    for machine in &MACHINES {
        compare(machine, SEED, 300, 1);
    }
}

#[test]
#[ignore = "minutes: make test-full"]
fn many_sequences_give_the_same_results_on_the_emulator() {
    for machine in &MACHINES {
        compare(machine, SEED + 1, 2000, 20);
    }
}

/// Breaks a rule of the simulated CPU. Returns the number of the first sequence in
/// which that shows.
fn broken(bench: &mut Bench, fault: Fault) -> u64 {
    bench.fault = Some(fault);
    let different = bench.compare(SEED, 0..300).err();
    different.unwrap_or_else(|| panic!("{fault:?} does not show"))
}

/// Has such a sequence made as short as it can be.
fn explain(bench: &mut Bench, fault: Fault) {
    let number = broken(bench, fault);
    let difference = bench.explain(SEED, number);
    println!("{fault:?}:\n{difference}");
    // The first six bring all registers into a known state, the last three look at
    // them.
    assert!(difference.steps.len() < 6 + 6 + 3, "{fault:?}");
}

#[test]
fn each_rule_that_is_broken_shows() {
    let mut bench = Bench::new(&MACHINES[1]);
    for fault in Fault::ALL {
        broken(&mut bench, fault);
    }
}

#[test]
fn a_rule_that_is_broken_shows_in_a_short_sequence() {
    explain(&mut Bench::new(&MACHINES[1]), Fault::NoRedirection);
}

#[test]
#[ignore = "minutes: make test-full"]
fn each_rule_that_is_broken_shows_in_a_short_sequence() {
    let mut bench = Bench::new(&MACHINES[1]);
    for fault in Fault::ALL {
        explain(&mut bench, fault);
    }
}
