// SPDX-License-Identifier: GPL-2.0

//! Checks what KVM counts of the FP registers (B26), on a booted host: guests run whose use of FP
//! is known, and the vCPU's binary statistics, the VM's files in debugfs and, if asked for, the
//! trace event kvm:kvm_fp must tell of it.
//!
//! Each guest runs in a process of its own, which has one VM.

// What needs vCPUs is for arm64 only; the tests of the rest run anywhere.
#![cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]

mod case;
mod counters;
#[cfg(target_arch = "aarch64")]
mod run;
#[cfg(target_arch = "aarch64")]
mod statistics;
mod trace;

use std::process::{Command, ExitCode};

use anyhow::{bail, Context, Result};
use clap::Parser;

use crate::case::Case;
use crate::counters::Counted;

/// Checks what KVM counts and traces of the FP registers against what guests do.
#[derive(Debug, Parser)]
#[command(name = "fp-counters")]
struct Options {
    /// The host runs pKVM, and does not get to know what guests do
    #[arg(long)]
    pkvm: bool,
    /// Compare with what the event kvm:kvm_fp tells (the kernel needs CONFIG_TRACING)
    #[arg(long)]
    trace: bool,
    /// Run this guest, and print what was counted
    #[arg(long, hide = true)]
    one: Option<Case>,
}

#[cfg(target_arch = "aarch64")]
fn one(case: Case, trace: bool) -> Result<()> {
    let counted = run::run(case, trace)?;
    println!("{}", serde_json::to_string(&counted)?);
    Ok(())
}

#[cfg(not(target_arch = "aarch64"))]
fn one(_: Case, _: bool) -> Result<()> {
    bail!("this program is for arm64 hosts")
}

/// Runs the guest of `case` in a process of its own.
fn counted(case: Case, trace: bool) -> Result<Counted> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(program);
    command.args(["--one", case.name()]);
    if trace {
        command.arg("--trace");
    }
    let output = command.output().context("cannot start this program")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.trim_end().trim_start_matches("fp-counters: "));
    }
    serde_json::from_slice(&output.stdout).context("it says nothing that makes sense")
}

fn execute(options: &Options) -> Result<()> {
    if let Some(case) = options.one {
        return one(case, options.trace);
    }
    for case in Case::ALL {
        let counted = counted(case, options.trace).context(case.name())?;
        println!("{:16} {counted}", case.name());
        case.check(counted, options.pkvm).context(case.name())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match execute(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fp-counters: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
