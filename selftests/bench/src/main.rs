// SPDX-License-Identifier: GPL-2.0

//! Measures what exits take on any arm64 host with /dev/kvm: by the architected counter, and by
//! perf events where there are some.
//!
//! One static program, with its VMM and its guests in it (selftests/vmm, selftests/exits). Each
//! guest runs `--rounds` times, each time in a process of its own: threads of vCPUs that wait for
//! ever, as the second one of `ipi` does in the end, go with the process.
//!
//! The guest says where what is measured begins and ends by a write to a device register. These
//! two writes are exits, and a part of them is measured, too. As there are 4096 exits between
//! them, that does not matter, and nothing is subtracted.
//!
//! Exit status 0 means that all could be measured that this host has. Otherwise one line on
//! stderr says why not.

// What needs vCPUs is for arm64 only; the tests of the rest run anywhere.
#![cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]

mod check;
#[cfg(target_arch = "aarch64")]
mod counter;
mod cpu;
mod events;
mod exit;
#[cfg(target_arch = "aarch64")]
mod guests;
mod head;
mod kind;
#[cfg(target_arch = "aarch64")]
mod kvm;
#[cfg(target_arch = "aarch64")]
mod measure;
mod options;
mod report;
#[cfg(target_arch = "aarch64")]
mod rounds;
mod sample;
mod table;

#[cfg(target_arch = "aarch64")]
fn main() -> std::process::ExitCode {
    use clap::Parser;
    use std::process::ExitCode;

    let options = options::Options::parse();
    let result = match options.one_round {
        Some(exit) => measure::print(exit, &options),
        None if options.list => {
            table::print(&exit::list());
            Ok(())
        }
        None => rounds::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn main() -> std::process::ExitCode {
    eprintln!("bench: this program is for arm64 hosts");
    std::process::ExitCode::FAILURE
}
