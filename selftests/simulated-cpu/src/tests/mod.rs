// SPDX-License-Identifier: GPL-2.0
//! Tests of the primitives, and of the simulated CPU that they run on.

mod aliases;
mod capabilities;
mod disassembly;
mod names;
mod pstate;
mod registers;
mod save_restore;
mod trace;
mod worlds;

use proptest::test_runner::{Config, RngSeed, TestRunner};

/// A runner whose cases are the same in every run.
fn runner() -> TestRunner {
    TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(0x4b_564d),
        failure_persistence: None,
        ..Config::default()
    })
}

/// The message of the panic that `code` ends in.
fn panic_of<T>(code: impl FnOnce() -> T) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code))
        .err()
        .expect("a panic");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
    }
}
