// SPDX-License-Identifier: GPL-2.0

//! Runs a guest that executes all instructions that can trap, one by one, at
//! EL1 and at EL0, and reports what the guest saw of each: a value, or an
//! exception with its syndrome.
//!
//! There is no telling here what is right. `make test` compares it with what
//! the same guest saw on the same host with the C kernel.
//!
//! The guest is in `guest/`.

mod lor;
mod report;

use std::process::{Command, ExitCode, Stdio};

use anyhow::{ensure, Context, Result};
use clap::Parser;

use crate::report::Report;

const VMM: &str = "/kvm-rust/bin/vmm";
const GUEST: &str = "/kvm-rust/guest/syndromes-guest";

/// More than the guest takes, which is seconds.
const ENOUGH_S: &str = "120";

/// Lines of the report in one object, which is one line of the output.
const LINES: usize = 100;

/// Runs a guest through all instructions that can trap, and says what it saw.
#[derive(Debug, Parser)]
#[command(name = "syndromes")]
struct Options {
    /// Make it a protected guest (the host needs kvm-arm.mode=protected)
    #[arg(long)]
    protected: bool,
    /// Take LORegions from the guest: their registers must be undefined to it
    #[arg(long, conflicts_with = "protected")]
    no_lor: bool,
    /// Print what the guest saw as text, and not for machines
    #[arg(long)]
    dump: bool,
}

/// Runs the guest to its end.
fn run(options: &Options) -> Result<Report> {
    let mut vmm = Command::new(VMM);
    // 32 MiB are taken from the host and given back faster than 256.
    vmm.args(["--kernel", GUEST, "--memory", "32", "--timeout", ENOUGH_S]);
    if options.protected {
        vmm.arg("--protected");
    }
    if options.no_lor {
        vmm.arg("--no-lor");
    }
    let output = vmm
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {VMM}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the guest was lost; the last thing that it said: {}",
        text.lines().last().unwrap_or_default()
    );
    let report = Report::read(&text)?;
    if options.no_lor {
        lor::check_that_there_is_none(&report)?;
    }
    Ok(report)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let report = match run(&options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("syndromes: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    if options.dump {
        for line in &report.lines {
            println!("{line}");
        }
    } else {
        for lines in report.lines.chunks(LINES) {
            println!("result: {}", serde_json::json!({ "same_as_c": lines }));
        }
    }
    print!("{}", report.classes());
    println!(
        "{} instructions, {:016x}",
        report.instructions(),
        report.digest()
    );
    ExitCode::SUCCESS
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
