// SPDX-License-Identifier: GPL-2.0

//! All rounds of all exits, each in a process of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{anyhow, bail, ensure, Context, Result};

use crate::check::check;
use crate::cpu::Cpu;
use crate::exit::Exit;
use crate::head::Head;
use crate::options::Options;
use crate::report::{Outcome, Report};
use crate::sample::{Figures, Sample};
use crate::{counter, kvm, table};

/// Why vCPUs cannot run as they should.
const NOT_PERMITTED: &str = "SCHED_FIFO is not permitted: run as root, or with CAP_SYS_NICE";

/// Measures what the command line asks for, and prints it.
pub fn run(options: &Options) -> Result<()> {
    let has_sve = kvm::has_sve()?;
    let cpu = Cpu::choose(options.cpu)?;
    let rounds = Rounds {
        program: std::env::current_exe().context("cannot tell where this program is")?,
        cpu: cpu.number,
        count: options.rounds,
        realtime: realtime_is_permitted()?,
        counter_hz: counter::frequency(),
    };
    ensure!(
        rounds.counter_hz > 0,
        "the firmware does not say how fast the counter is (CNTFRQ_EL0 is 0)"
    );
    let mut report = Report::new(Head::of_this_host(cpu, rounds.counter_hz, rounds.count));
    for exit in options.exits() {
        let outcome = if exit.needs_sve() && !has_sve {
            Outcome::Skipped("guests cannot have SVE on this host".to_owned())
        } else if exit.needs_realtime() && !rounds.realtime {
            Outcome::Skipped(NOT_PERMITTED.to_owned())
        } else {
            rounds.measure(exit, &mut report)?
        };
        report.add(exit, outcome);
    }
    table::print(&table::text(&report));
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&report).context("cannot write JSON")?;
        fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    if options.check {
        check(&report)?;
    }
    Ok(())
}

/// True if a thread may have SCHED_FIFO, which one that ends at once tries.
fn realtime_is_permitted() -> Result<bool> {
    let tried = thread::Builder::new()
        .spawn(|| vmm::schedule(true))
        .context("cannot start a thread")?;
    let tried = tried.join().map_err(|_| anyhow!("a thread panicked"))?;
    Ok(tried.is_ok())
}

/// How rounds are done.
struct Rounds {
    program: PathBuf,
    cpu: usize,
    count: u32,
    realtime: bool,
    counter_hz: u64,
}

impl Rounds {
    /// Measures `exit` as often as it should be.
    fn measure(&self, exit: Exit, report: &mut Report) -> Result<Outcome> {
        let samples = (0..self.count)
            .map(|_| self.once(exit))
            .collect::<Result<Vec<_>>>()
            .context(exit.name())?;
        report.remark_missing(&samples);
        if exit.is_realtime() && !self.realtime {
            let name = exit.name();
            report.remark(format!(
                "{name}, as others may take the CPU: {NOT_PERMITTED}."
            ));
        }
        let figures = Figures::of(&samples, exit.count(), self.counter_hz);
        figures
            .map(Outcome::Measured)
            .context("nothing was measured")
    }

    fn once(&self, exit: Exit) -> Result<Sample> {
        let mut command = Command::new(&self.program);
        command
            .args(["--one-round", exit.name()])
            .args(["--cpu", &self.cpu.to_string()])
            .stdin(Stdio::null());
        if !self.realtime {
            command.arg("--not-realtime");
        }
        let output = command.output().context("cannot start this program")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            match said.lines().last() {
                Some(line) => bail!("{}", line.strip_prefix("bench: ").unwrap_or(line)),
                None => bail!("its round ended by {}", output.status),
            }
        }
        serde_json::from_slice(&output.stdout).context("its round says nothing that makes sense")
    }
}
