// SPDX-License-Identifier: GPL-2.0

//! A guest that is saved on one host, in the middle of its work, and continues
//! on another.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::guest::Guest;
use super::saved::Saved;
use super::{lengths, skip_without_sve};

#[derive(Debug, Args)]
pub struct Options {
    /// What the other host saved; a guest at its beginning without
    #[arg(long)]
    saved: Option<String>,
}

/// Rounds that the guest is to have gone on by.
const ROUNDS: u64 = 256;

/// Goes on with a guest, interrupts it and saves it.
pub fn run(options: &Options) -> Result<()> {
    let host = lengths::host()?;
    skip_without_sve(&host)?;
    let mut guest = match &options.saved {
        None => Guest::new(&host, host.longest)?,
        Some(saved) => {
            let saved: Saved = serde_json::from_str(saved).context("cannot read --saved")?;
            Guest::load(&saved)?
        }
    };
    let begin = guest.round()?;
    guest.work(ROUNDS)?;
    guest.interrupt()?;
    let round = guest.round()?;
    println!("result: {}", json!({ "saved": guest.save()? }));
    println!("went on from round {begin} to {round}");
    Ok(())
}
