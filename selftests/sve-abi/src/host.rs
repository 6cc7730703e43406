// SPDX-License-Identifier: GPL-2.0

//! The tests that need a host.

mod behaviours;
mod faults;
mod fuzz;
mod guest;
mod interrupt;
mod lengths;
mod memory;
mod relay;
#[path = "../../vmm/src/retry.rs"]
mod retry;
mod saved;
mod vcpu;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// SVE of vCPUs through KVM's ABI.
#[derive(Debug, Parser)]
#[command(name = "sve-abi")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What each call must come to, by the behaviour
    Behaviours {
        /// On C, which leaves a register half written where memory ends within it
        #[arg(long)]
        as_c: bool,
    },
    /// Guests of each vector length, whose registers go through the ABI while they work
    Lengths,
    /// A guest that was saved on another host goes on, and is saved
    Relay(relay::Options),
    /// Calls at random, held against a model
    Fuzz(fuzz::Options),
}

pub fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Behaviours { as_c } => behaviours::run(as_c),
        Command::Lengths => guest::run(),
        Command::Relay(options) => relay::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sve-abi: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The exit status of a program that found nothing to test.
const SKIP: i32 = 4;

/// Ends the program where the host has no SVE.
fn skip_without_sve(host: &sve_abi::model::Host) -> Result<()> {
    if !host.has_sve() {
        println!("SKIP: this host has no SVE");
        std::process::exit(SKIP);
    }
    Ok(())
}
