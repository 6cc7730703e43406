// SPDX-License-Identifier: GPL-2.0
//! Guests and the host take turns in a CPU, in whole runs: at each entry the
//! guest finds exactly its registers, and after each run the host its own.

mod game;
pub(in super::super) mod hosts;

use super::super::machine::{self, Cpus, Level};
use super::super::runner_of;
use crate::Mode;
use game::Game;
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;
use std::time::Instant;

/// What a guest does between two exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Changes the registers that it has.
    Change,
    /// Uses FP, or SVE, and changes those.
    Fp,
    Sve,
    /// Executes something that EL2 handles: a memory copy on another CPU.
    Mops,
}

/// What happens in one run.
#[derive(Clone, Debug)]
struct Run {
    /// What the guest does.
    actions: Vec<Action>,
    /// A softirq uses FP afterwards.
    softirq: bool,
}

/// A vCPU's time on the CPU.
#[derive(Clone, Debug)]
struct Turn {
    vcpu: usize,
    level: Level,
    runs: Vec<Run>,
}

fn turn(most_runs: usize) -> impl Strategy<Value = Turn> {
    let action = prop::sample::select(vec![Action::Change, Action::Fp, Action::Sve, Action::Mops]);
    let run = (vec(action, 0..4), any::<bool>());
    let run = run.prop_map(|(actions, softirq)| Run { actions, softirq });
    (
        0..2usize,
        prop::sample::select(Level::nested()),
        vec(run, 1..most_runs),
    )
        .prop_map(|(vcpu, level, runs)| Turn { vcpu, level, runs })
}

/// Has turns taken on machines in these modes, until guests have been run as often
/// as that. Prints how fast that was.
fn play(modes: &'static [Mode], pkvm: bool, runs: u64) {
    const TURNS: usize = 8;
    const RUNS: usize = 32;
    let games = (
        machine::cpus(modes),
        [machine::guest(), machine::guest()],
        vec(turn(RUNS), 1..TURNS),
    );
    let (played, start) = (Cell::new(0), Instant::now());
    let mut batch = 0;
    while played.get() < runs {
        let outcome = runner_of(64, batch).run(&games, |(cpus, guests, turns)| {
            let cpus = Cpus { pkvm, ..cpus };
            let guests = guests.map(|guest| machine::Guest {
                aarch32: guest.aarch32 && !(pkvm && guest.is_protected),
                ..guest
            });
            let mut game = Game::new(cpus, guests);
            for turn in &turns {
                game.play(turn);
                played.set(played.get() + turn.runs.len() as u64);
            }
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
        batch += 1;
    }
    let (played, seconds) = (played.get(), start.elapsed().as_secs_f64());
    let per_minute = played as f64 / seconds * 60.0;
    println!("{modes:?} {pkvm}: {played} runs, {per_minute:.0} a minute");
}

/// Runs in a test.
const RUNS: u64 = 40_000;

#[test]
fn b01_b17_each_finds_what_it_had_in_whole_runs_under_vhe() {
    play(&[Mode::Vhe], false, RUNS);
}

#[test]
fn b01_b17_each_finds_what_it_had_in_whole_runs_without_vhe() {
    play(&[Mode::Nvhe, Mode::Hvhe], false, RUNS);
}

#[test]
fn b17_b22_each_finds_what_it_had_in_whole_runs_with_pkvm() {
    play(&[Mode::Nvhe, Mode::Hvhe], true, RUNS);
}

#[test]
#[ignore = "minutes: make test-full"]
fn each_finds_what_it_had_in_ten_million_runs() {
    play(&[Mode::Vhe], false, 4_000_000);
    play(&[Mode::Nvhe, Mode::Hvhe], false, 4_000_000);
    play(&[Mode::Nvhe, Mode::Hvhe], true, 2_000_000);
}
