// SPDX-License-Identifier: GPL-2.0

//! The first server: starts the guest, has it migrate, and looks after it.

use std::time::Duration;

use anyhow::{ensure, Context, Result};
use clap::Args;
use serde::Serialize;

use crate::guest::{Boot, Checks, Guest};
use crate::libvirt::Libvirt;
use crate::second::Second;
use crate::tasks::{Found, Tasks};

#[derive(Debug, Args)]
pub struct Options {
    /// Address of this server
    #[arg(long)]
    address: String,
    /// Address of the second server
    #[arg(long)]
    second: String,
    /// The guest's domain, as libvirt defines it
    #[arg(long)]
    domain: String,
    /// Its name
    #[arg(long)]
    name: String,
    /// Port that the guest's serial port is connected to
    #[arg(long, default_value_t = 7001)]
    console: u16,
    /// Journeys to the second server and back
    #[arg(long, default_value_t = 2)]
    journeys: u32,
    /// Rounds of checks that the guest makes at each place
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Seconds that the second server, the guest's boot, and its checks may each take
    #[arg(long, default_value_t = 1500)]
    limit: u64,
}

/// A stay of the guest on a server.
#[derive(Debug, Serialize)]
struct Stay {
    /// Where.
    address: String,
    /// How long the migration to there took, in milliseconds; 0 where the guest started.
    migration_ms: u64,
    /// What it found there, and on the way to there.
    #[serde(flatten)]
    checks: Checks,
}

/// What came out.
#[derive(Debug, Serialize)]
struct Outcome {
    guest: Boot,
    stays: Vec<Stay>,
    #[serde(flatten)]
    tasks: Found,
}

impl Outcome {
    /// Fails where registers were not as they should be, or nobody looked.
    fn judge(&self) -> Result<()> {
        for stay in &self.stays {
            let Checks {
                checks,
                corruptions,
            } = stay.checks;
            ensure!(checks > 0, "the guest checked nothing on {}", stay.address);
            ensure!(
                corruptions == 0,
                "{corruptions} corruptions on {}",
                stay.address
            );
        }
        let Found {
            host_checks,
            host_corruptions,
        } = self.tasks;
        ensure!(host_checks > 0, "the host tasks checked nothing");
        ensure!(
            host_corruptions == 0,
            "{host_corruptions} corruptions of host tasks"
        );
        Ok(())
    }
}

/// Moves the guest, and makes sure that it is where it should be.
fn migrate(options: &Options, from: &str, to: &str) -> Result<Duration> {
    let (source, destination) = (Libvirt::at(from), Libvirt::at(to));
    let took = source.migrate(&options.name, to)?;
    ensure!(destination.runs(&options.name)?, "the guest is not on {to}");
    ensure!(!source.runs(&options.name)?, "the guest is still on {from}");
    Ok(took)
}

fn journeys(options: &Options, guest: &Guest) -> Result<Vec<Stay>> {
    let (here, there) = (options.address.as_str(), options.second.as_str());
    let limit = Duration::from_secs(options.limit);
    let mut stays = vec![Stay {
        address: here.to_owned(),
        migration_ms: 0,
        checks: guest.watch(options.rounds, limit)?,
    }];
    for _ in 0..options.journeys {
        for (from, to) in [(here, there), (there, here)] {
            let took = migrate(options, from, to)?;
            stays.push(Stay {
                address: to.to_owned(),
                migration_ms: took.as_millis() as u64,
                checks: guest
                    .watch(options.rounds, limit)
                    .with_context(|| format!("after its migration to {to}"))?,
            });
        }
    }
    Ok(stays)
}

/// Does all of it.
pub fn run(options: &Options) -> Result<()> {
    let limit = Duration::from_secs(options.limit);
    let libvirt = Libvirt::at(&options.address);
    libvirt.wait(limit)?;
    let mut second = Second::wait(&options.second, limit)?;
    let guest = Guest::listen(&format!("{}:{}", options.address, options.console))?;
    libvirt.define(&options.domain)?;
    libvirt.start(&options.name)?;
    let boot = guest
        .wait_for_boot(limit)
        .with_context(|| libvirt.describe(&options.name))?;
    second.begin()?;
    let tasks = Tasks::start();
    let stays = journeys(options, &guest)?;
    libvirt.destroy(&options.name)?;
    let outcome = Outcome {
        guest: boot,
        stays,
        tasks: tasks.finish()?,
    };
    second.end()?;
    println!("result: {}", serde_json::to_string(&outcome)?);
    outcome.judge()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(guest: Checks, tasks: Found) -> Outcome {
        let stay = |checks| Stay {
            address: "10.0.0.1".into(),
            migration_ms: 7,
            checks,
        };
        let sound = Checks {
            checks: 1,
            corruptions: 0,
        };
        Outcome {
            guest: Boot {
                boot_ms: 1,
                kernel: "7.3.4".into(),
                sve_vl: 16,
            },
            stays: vec![stay(sound), stay(guest)],
            tasks,
        }
    }

    #[test]
    fn corruptions_and_idlers_fail() {
        let judged = |checks, corruptions, host_checks, host_corruptions| {
            let guest = Checks {
                checks,
                corruptions,
            };
            let tasks = Found {
                host_checks,
                host_corruptions,
            };
            outcome(guest, tasks).judge().is_ok()
        };
        assert!(judged(1, 0, 1, 0));
        assert!(!judged(1, 1, 1, 0));
        assert!(!judged(0, 0, 1, 0));
        assert!(!judged(1, 0, 1, 1));
        assert!(!judged(1, 0, 0, 0));
    }

    #[test]
    fn what_came_out_has_the_form_that_is_read() {
        let guest = Checks {
            checks: 5,
            corruptions: 0,
        };
        let text = serde_json::to_string(&outcome(guest, Found::default())).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"guest":{"boot_ms":1,"kernel":"7.3.4","sve_vl":16},"stays":["#,
                r#"{"address":"10.0.0.1","migration_ms":7,"checks":1,"corruptions":0},"#,
                r#"{"address":"10.0.0.1","migration_ms":7,"checks":5,"corruptions":0}],"#,
                r#""host_checks":0,"host_corruptions":0}"#
            )
        );
    }
}
