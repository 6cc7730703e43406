// SPDX-License-Identifier: GPL-2.0

//! The second server: has libvirt, which takes the guest and gives it back. What it does
//! for that is the first one's to say.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use clap::Args;

use crate::libvirt::Libvirt;
use crate::tasks::Tasks;

/// Port at which the second server waits for the first one.
const PORT: u16 = 7002;
/// What the first server says at the end.
const OVER: &str = "over";
/// Pause between two attempts to reach the second server.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub struct Options {
    /// Address of this server
    #[arg(long)]
    address: String,
    /// Seconds that libvirt may take until it answers
    #[arg(long, default_value_t = 300)]
    limit: u64,
}

/// The second server, as the first one sees it.
pub struct Second(TcpStream);

impl Second {
    /// Waits until the server with this address is ready.
    pub fn wait(address: &str, limit: Duration) -> Result<Self> {
        let end = Instant::now() + limit;
        loop {
            match TcpStream::connect((address, PORT)) {
                Ok(stream) => return Ok(Self(stream)),
                Err(error) if Instant::now() > end => {
                    return Err(error).with_context(|| format!("{address} is not ready"));
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Tells it that all is done.
    pub fn end(mut self) -> Result<()> {
        writeln!(self.0, "{OVER}").context("the second server is gone")
    }
}

/// Is ready until the first server says that all is done.
pub fn run(options: &Options) -> Result<()> {
    let libvirt = Libvirt::at(&options.address);
    libvirt.wait(Duration::from_secs(options.limit))?;
    let listener = TcpListener::bind((options.address.as_str(), PORT))
        .with_context(|| format!("cannot listen at {}", options.address))?;
    let (stream, _) = listener.accept().context("nobody came")?;
    let tasks = Tasks::start();
    let mut said = String::new();
    BufReader::new(stream).read_line(&mut said)?;
    let found = tasks.finish()?;
    println!("result: {}", serde_json::to_string(&found)?);
    ensure!(
        said.trim_end() == OVER,
        "the first server went before all was done"
    );
    ensure!(found.host_corruptions == 0, "corruptions on this server");
    Ok(())
}
