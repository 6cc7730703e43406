// SPDX-License-Identifier: GPL-2.0
//! Every state that the ownership of FP registers can get into.
//!
//! Two CPUs, two vCPUs, and the tasks that run them: whatever can happen next
//! happens, in each state, until there is no new one. What happens is not a model of
//! KVM's code but that code, on a simulated CPU, with the FP core of `fp_core/`. What
//! is known of a state is whose values are where, see `labels.rs`: it is made into
//! values, the code runs, and it is found out again. As the code does the same
//! whenever it finds the same, each step that it can take is taken once.
//!
//! Not among the steps: kernel-mode NEON of a task that is preempted within it,
//! SVE and SME traps of a task that is preempted before the kernel handles them,
//! and changes of vector lengths.

mod alike;
mod executor;
mod labels;
mod model;
mod properties;
mod state;
mod step;

use super::world_switch::MODES;
use crate::Mode;
use model::{Exploration, PROPERTY};
use state::Config;
use stateright::{Checker, Model};
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Instant;

/// Prints what an exploration came to, and adds it to the file that
/// `KVM_RUST_EXPLORED` names, if there is one.
fn report(line: &str) {
    println!("{line}");
    if let Some(path) = std::env::var_os("KVM_RUST_EXPLORED") {
        let mut file = OpenOptions::new();
        let file = file.append(true).create(true).open(path);
        // In one piece, as other tests write at the same time.
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .expect("KVM_RUST_EXPLORED can be written");
    }
}

/// Explores all states of a machine. Returns their number.
fn explore(config: Config) -> usize {
    let start = Instant::now();
    let check = |by_symmetry| {
        let mut model = Exploration::new(config);
        model.by_symmetry = by_symmetry;
        model.checker().threads(2).spawn_bfs().join()
    };
    let checker = check(true);
    let states = checker.unique_state_count();
    let violations = usize::from(checker.discovery(PROPERTY).is_some());
    report(&format!(
        "{{\"machine\":\"{config}\",\"states\":{states},\"depth\":{},\"steps\":{},\
         \"violations\":{violations},\"seconds\":{:.1}}}",
        checker.max_depth(),
        checker.model().steps(),
        start.elapsed().as_secs_f64()
    ));
    if checker.discovery(PROPERTY).is_some() {
        // Once more, so that each CPU keeps its name from action to action.
        let checker = check(false);
        let path = checker.discovery(PROPERTY).expect("it was found before");
        let end = path.last_state().violation.clone().unwrap_or_default();
        let actions: Vec<String> = path
            .into_actions()
            .iter()
            .map(|a| format!("{a:?}"))
            .collect();
        panic!("{end}, after:\n  {}", actions.join("\n  "));
    }
    checker.assert_properties();
    states
}

/// Explores machines of a mode, with these of SVE, SME and FPMR.
fn explore_with(mode: Mode, pkvm: bool, features: &[[bool; 3]]) {
    for [sve, sme, fpmr] in features.iter().copied() {
        let states = explore(Config {
            mode,
            pkvm,
            sve,
            sme,
            fpmr,
        });
        assert!(states > 400, "next to nothing can happen");
    }
}

/// Machines that take seconds: as in [`explore_with`].
const PLAIN: [bool; 3] = [false, false, false];
const WITH_SVE: [bool; 3] = [true, false, true];
const WITH_SME: [bool; 3] = [false, true, true];

/// A test for each machine, so that they take turns with others.
macro_rules! no_state_is_wrong {
    ($($name:ident: $mode:ident, $pkvm:literal, $features:ident;)*) => {
        $(
            #[test]
            fn $name() {
                explore_with(Mode::$mode, $pkvm, &[$features]);
            }
        )*
    };
}

no_state_is_wrong! {
    b01_b25_no_state_is_wrong_under_vhe_plain: Vhe, false, PLAIN;
    b01_b25_no_state_is_wrong_under_vhe_with_sve: Vhe, false, WITH_SVE;
    b01_b25_no_state_is_wrong_under_vhe_with_sme: Vhe, false, WITH_SME;
    b01_b25_no_state_is_wrong_under_nvhe_plain: Nvhe, false, PLAIN;
    b01_b25_no_state_is_wrong_under_nvhe_with_sve: Nvhe, false, WITH_SVE;
    b01_b25_no_state_is_wrong_under_nvhe_with_sme: Nvhe, false, WITH_SME;
    b01_b25_no_state_is_wrong_under_hvhe_plain: Hvhe, false, PLAIN;
    b01_b25_no_state_is_wrong_under_hvhe_with_sve: Hvhe, false, WITH_SVE;
    b01_b25_no_state_is_wrong_under_hvhe_with_sme: Hvhe, false, WITH_SME;
    b01_b22_no_state_is_wrong_under_pkvm_plain: Nvhe, true, PLAIN;
    b01_b22_no_state_is_wrong_under_pkvm_with_sve: Nvhe, true, WITH_SVE;
    b01_b22_no_state_is_wrong_under_pkvm_with_sme: Nvhe, true, WITH_SME;
    b01_b22_no_state_is_wrong_under_pkvm_with_hvhe_plain: Hvhe, true, PLAIN;
    b01_b22_no_state_is_wrong_under_pkvm_with_hvhe_and_sve: Hvhe, true, WITH_SVE;
    b01_b22_no_state_is_wrong_under_pkvm_with_hvhe_and_sme: Hvhe, true, WITH_SME;
}

#[test]
#[ignore = "minutes: make test-full"]
fn no_state_of_any_machine_is_wrong() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7].map(|bits| [0, 1, 2].map(|bit| bits & (1 << bit) != 0));
    for (mode, pkvm) in MODES {
        explore_with(mode, pkvm, &all);
    }
}
