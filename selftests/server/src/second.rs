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
/// What the first server says when the guest is up, and at the end.
const UP: &str = "up";
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

    /// Tells it that the guest is up: its host tasks begin.
    pub fn begin(&mut self) -> Result<()> {
        self.say(UP)
    }

    /// Tells it that all is done.
    pub fn end(mut self) -> Result<()> {
        self.say(OVER)
    }

    fn say(&mut self, word: &str) -> Result<()> {
        writeln!(self.0, "{word}").context("the second server is gone")
    }
}

/// The next word of the first server, which must be `word`.
fn hear(first: &mut impl BufRead, word: &str) -> Result<()> {
    let mut said = String::new();
    first.read_line(&mut said)?;
    ensure!(
        said.trim_end() == word,
        "the first server said {:?} and not {word:?}: it went before all was done",
        said.trim_end()
    );
    Ok(())
}

/// Is ready until the first server says that all is done.
pub fn run(options: &Options) -> Result<()> {
    let libvirt = Libvirt::at(&options.address);
    libvirt.wait(Duration::from_secs(options.limit))?;
    let listener = TcpListener::bind((options.address.as_str(), PORT))
        .with_context(|| format!("cannot listen at {}", options.address))?;
    let (stream, _) = listener.accept().context("nobody came")?;
    let mut first = BufReader::new(stream);
    // Until then, the guest has the CPUs that both servers are emulated on for its boot.
    hear(&mut first, UP)?;
    let tasks = Tasks::start();
    let end = hear(&mut first, OVER);
    let found = tasks.finish()?;
    println!("result: {}", serde_json::to_string(&found)?);
    end?;
    ensure!(found.host_corruptions == 0, "corruptions on this server");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_server_that_goes_early_is_noticed() {
        let mut words = "up\nover\n".as_bytes();
        hear(&mut words, UP).unwrap();
        hear(&mut words, OVER).unwrap();
        let mut gone = "up\n".as_bytes();
        hear(&mut gone, UP).unwrap();
        let error = hear(&mut gone, OVER).unwrap_err().to_string();
        assert!(error.contains("went before all was done"), "{error}");
    }
}
