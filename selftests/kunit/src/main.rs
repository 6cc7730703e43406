// SPDX-License-Identifier: GPL-2.0

//! Runs a KUnit suite of the booted kernel through debugfs and reports its results.
//!
//! With `--fault NAME` one of the defects that CONFIG_KVM_ARM64_RUST_FAULTS compiles in is switched
//! on while the suite runs. The suite ought to fail then, so that is what exit status 0 means.

mod ktap;

use anyhow::{bail, Context, Result};
use clap::Parser;
use std::{fs, path::Path, process::ExitCode};

use ktap::Results;

const FAULT: &str = "/sys/kernel/debug/kvm_arm64_rust/fault";

#[derive(Parser)]
#[command(about = "Runs a KUnit suite of the booted kernel")]
struct Options {
    /// Name of the suite
    #[arg(default_value = "kvm_arm64_fp")]
    suite: String,
    /// Defect to switch on while the suite runs; succeed only if the suite fails
    #[arg(long)]
    fault: Option<String>,
}

/// Switches the defect off again, whatever happens.
struct FaultOn;

impl FaultOn {
    fn new(name: &str) -> Result<Self> {
        fs::write(FAULT, name).with_context(|| {
            format!(
                "cannot switch on the fault {name} ({FAULT}): it takes a kernel with \
                 CONFIG_KVM_ARM64_RUST_FAULTS (scripts/xtask boot --variant faults)"
            )
        })?;
        Ok(Self)
    }
}

impl Drop for FaultOn {
    fn drop(&mut self) {
        if let Err(error) = fs::write(FAULT, "none") {
            eprintln!("kunit: cannot switch the fault off: {error}");
        }
    }
}

fn run_suite(suite: &str) -> Result<Results> {
    let dir = Path::new("/sys/kernel/debug/kunit").join(suite);
    let run = dir.join("run");
    fs::write(&run, "run").with_context(|| {
        format!(
            "cannot run {}; is the suite built in, and kunit.enable=1 given?",
            run.display()
        )
    })?;
    let ktap = fs::read_to_string(dir.join("results")).context("cannot read the results")?;
    print!("{ktap}");
    Ok(Results::parse(&ktap))
}

fn run(options: &Options) -> Result<()> {
    let results = {
        let _fault = options.fault.as_deref().map(FaultOn::new).transpose()?;
        run_suite(&options.suite)?
    };
    println!(
        "result: {}",
        serde_json::json!({
            "suite": options.suite,
            "fault": options.fault,
            "passed": results.passed,
            "failed": results.failed,
            "skipped": results.skipped,
        })
    );
    match &options.fault {
        None if !results.is_success() => bail!("{} of the tests failed", results.failed.len()),
        Some(fault) if results.failed.is_empty() => bail!("no test noticed the fault {fault}"),
        _ => Ok(()),
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kunit: {error:#}");
            ExitCode::FAILURE
        }
    }
}
