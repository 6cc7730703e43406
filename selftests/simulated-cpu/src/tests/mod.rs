// SPDX-License-Identifier: GPL-2.0
//! Tests of the primitives, of what is built on them, and of the simulated CPU
//! that both run on.

mod aliases;
mod as_in_c;
mod capabilities;
mod disassembly;
mod emulator;
mod exploration;
mod functions;
mod guest_view;
mod host;
mod machine;
mod names;
mod per_cpu;
mod pkvm;
mod places;
mod pstate;
mod registers;
mod save_restore;
mod specification;
mod sve;
mod trace;
mod turns;
mod user_registers;
mod virtual_el2;
mod world_switch;
mod worlds;

use crate::Access;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// A runner whose cases are the same in every run.
fn runner() -> TestRunner {
    runner_of(Config::default().cases, 0)
}

/// As [`runner`], of another number of cases, and of other cases for each
/// `batch`: for those that take long.
fn runner_of(cases: u32, batch: u64) -> TestRunner {
    TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(0x4b_564d + batch),
        failure_persistence: None,
        ..Config::default()
    })
}

/// The message of the panic that `code` ends in.
fn panic_of<T>(code: impl FnOnce() -> T) -> String {
    or_panic(code).err().expect("a panic")
}

/// What `code` returns, or the message of the panic that it ends in.
fn or_panic<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code));
    done.map_err(|panic| match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
    })
}

/// Returns where in a trace a register is first written by `name`.
fn written(trace: &[Access], name: &str) -> Option<usize> {
    let writes = |access: &Access| matches!(access, Access::Write { name: n, .. } if *n == name);
    trace.iter().position(writes)
}
