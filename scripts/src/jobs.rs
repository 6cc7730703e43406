// SPDX-License-Identifier: GPL-2.0
//! The CPUs that builds share. make and cargo have a job for each that they get from the job server
//! of this program (GNU make's protocol), so that builds that run side by side have no more
//! compilers at work than there are CPUs: those take the caches from each other. Two kernels that
//! were built side by side with two jobs each took a sixth longer.

use crate::context;
use crate::process;
use crate::progress::Step;
use anyhow::{Context as _, Result};
use jobserver::{Acquired, Client};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The job server, with a token for each CPU.
static SERVER: OnceLock<Client> = OnceLock::new();

fn server() -> Result<&'static Client> {
    if let Some(server) = SERVER.get() {
        return Ok(server);
    }
    let server = Client::new(context::cpus()).context("cannot make a job server")?;
    Ok(SERVER.get_or_init(|| server))
}

/// Waits for a CPU, which `command`, a make or a cargo, has until the returned token is dropped. It
/// takes further ones itself, as they become free.
fn take_part(command: &mut Command) -> Result<Acquired> {
    let server = server()?;
    server.configure_make(command);
    server.acquire().context("cannot get a job's token")
}

/// As [`process::run`], of a make or a cargo that builds.
pub fn run(command: &mut Command, log: &Path, step: &Step) -> Result<()> {
    step.at("waits for a CPU");
    let _token = take_part(command)?;
    process::run(command, log, step)
}

/// As [`process::output`], of a make or a cargo that builds.
pub fn output(command: &mut Command) -> Result<String> {
    let _token = take_part(command)?;
    process::output(command)
}

/// As [`process::try_output`], of a cargo that builds: a failure is only returned, not an error.
pub fn try_output(command: &mut Command) -> Result<Output> {
    let _token = take_part(command)?;
    process::try_output(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Ui;
    use crate::side_by_side::side_by_side;
    use std::fs;

    #[test]
    fn builds_side_by_side_have_no_more_jobs_than_cpus() {
        let dir = tempfile::tempdir().unwrap();
        // Each job writes when it begins and when it ends.
        let job = "echo + >>log; sleep 0.05; echo - >>log";
        let names: Vec<String> = (0..8).map(|n| format!("j{n}")).collect();
        let names = names.join(" ");
        let makefile = format!("all: {names}\n{names}:\n\t@{job}\n");
        fs::write(dir.path().join("Makefile"), makefile).unwrap();
        let ui = Ui::new();
        side_by_side(vec![(); 3], 3, |()| {
            let step = ui.step("make");
            let mut make = Command::new("make");
            make.current_dir(dir.path()).env_remove("MAKELEVEL");
            run(&mut make, &dir.path().join("output"), &step).unwrap();
            step.end("built");
        });
        let log = fs::read_to_string(dir.path().join("log")).unwrap();
        let running = log.lines().scan(0, |running: &mut usize, line| {
            match line {
                "+" => *running += 1,
                _ => *running -= 1,
            }
            Some(*running)
        });
        assert_eq!(
            running.max(),
            Some(context::cpus()),
            "all of them, and no more"
        );
        assert_eq!(log.lines().count(), 3 * 8 * 2);
    }
}
