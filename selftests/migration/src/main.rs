// SPDX-License-Identifier: GPL-2.0

//! Live migration of a guest by QEMU, to and fro between two hosts, while the
//! guest works on all registers of SVE and looks whether they are as it left them.
//!
//! The hosts have a virtio-serial port in common, one end each: what one writes
//! the other reads. QEMU migrates to a socket, and the other QEMU from one;
//! between the two sockets, the stream goes through the port.

mod frame;
mod guest;
mod port;
mod qemu;
mod qmp;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use clap::Parser;

use crate::frame::Frame;
use crate::port::Port;
use crate::qemu::Qemu;

/// Migrates a guest that works on SVE registers between this host and another.
#[derive(Debug, Parser)]
#[command(name = "migration")]
struct Options {
    /// The guest starts here; without, on the other host
    #[arg(long)]
    first: bool,
    /// Migrations, to and fro
    #[arg(long, default_value_t = 20)]
    count: u32,
    /// Name of the virtio-serial port
    #[arg(long, default_value = "migration")]
    port: String,
}

/// Sends the guest to the other host.
fn send(mut qemu: Qemu, port: &mut Port) -> Result<()> {
    let round = qemu.check_guest()?;
    qemu.migrate_to(port)?;
    drop(qemu);
    match port.receive()? {
        Frame::Arrived(arrived) => {
            ensure!(
                arrived > round,
                "the guest left in round {round} and does not go on in {arrived}"
            );
            Ok(())
        }
        other => bail!("the other host says {other:?}"),
    }
}

/// Takes the guest from the other host.
fn receive(port: &mut Port) -> Result<Qemu> {
    let mut qemu = Qemu::start(true)?;
    // The other host waits until QEMU is there, by which its guest goes on.
    port.send(&Frame::Ready)?;
    qemu.migrate_from(port)?;
    let round = qemu.check_guest()?;
    port.send(&Frame::Arrived(round))?;
    Ok(qemu)
}

fn run(options: &Options) -> Result<()> {
    let mut port = Port::open(&options.port)?;
    let mut here = match options.first {
        true => Some(Qemu::start(false)?),
        false => None,
    };
    for number in 1..=options.count {
        let start = Instant::now();
        let context = || format!("migration {number}");
        let what = match here.take() {
            Some(qemu) => {
                match port.receive().with_context(context)? {
                    Frame::Ready => (),
                    other => bail!("the other host says {other:?}"),
                }
                send(qemu, &mut port).with_context(context)?;
                "sent"
            }
            None => {
                here = Some(receive(&mut port).with_context(context)?);
                "received"
            }
        };
        println!(
            "migration {number} of {}: {what}, {:.1} s",
            options.count,
            start.elapsed().as_secs_f64()
        );
    }
    if let Some(mut qemu) = here {
        let round = qemu.check_guest()?;
        println!("the guest is in round {round}");
    }
    println!("{} migrations, 0 mismatches", options.count);
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("migration: {error:#}");
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
