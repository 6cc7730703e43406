// SPDX-License-Identifier: GPL-2.0

//! A guest of libvirt that migrates from one server to another and back, as an
//! administrator would have it do, while it checks its FP registers and host tasks on
//! both servers check theirs.
//!
//! The guest's serial port is a connection to the first server, from whichever of the two
//! it runs on: what it reports comes to one place. Another connection between the servers
//! says when the second one may shut down.

mod first;
mod guest;
mod its;
mod libvirt;
mod second;
mod tasks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "server",
    about = "One of two servers that have a guest in common"
)]
struct Options {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Start the guest, migrate it to the second server and back
    First(first::Options),
    /// Take the guest, and be done when the first server is
    Second(second::Options),
}

fn main() -> ExitCode {
    let role = Options::parse().role;
    let result = its::check().and_then(|()| match role {
        Role::First(options) => first::run(&options),
        Role::Second(options) => second::run(&options),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
