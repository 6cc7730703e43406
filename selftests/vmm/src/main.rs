// SPDX-License-Identifier: GPL-2.0

//! Boots an arm64 Linux guest under KVM and ends when the guest powers off.
//!
//! Exit status 0 means that the guest asked for PSCI SYSTEM_OFF. Everything
//! else gives one line on stderr and status 1 (2 for a wrong command line), so
//! that a test needs no knowledge of the guest's output to see that it failed.
//! SIGUSR1 interrupts what it does, KVM_RUN above all, and changes nothing.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use vmm::marks::Nobody;
use vmm::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = vmm::interruption::allow().and_then(|()| vmm::run(&options, |_| Arc::new(Nobody)));
    // A last line of the guest may lack its newline. There is nothing left to
    // be told if stdout is closed.
    let _ = std::io::stdout().flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vmm: {error:#}");
            ExitCode::FAILURE
        }
    }
    // The vCPU threads still run here where the guest did not power off by
    // itself. The end of the process takes them out of KVM_RUN.
}
