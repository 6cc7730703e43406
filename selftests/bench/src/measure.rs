// SPDX-License-Identifier: GPL-2.0

//! One round: runs the guest once, and measures from its first mark to its second.

use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{anyhow, Context, Result};
use clap::Parser;
use vmm::marks::{Mark, Observer};

use crate::events::{self, Events, Readings};
use crate::exit::Exit;
use crate::guests::Guest;
use crate::options::Options;
use crate::sample::Sample;
use crate::{counter, table};

/// Seconds in which a guest is given up. It takes a few under emulation, and far less than one
/// on a CPU.
const TIMEOUT_S: u32 = 120;

/// What is known at a mark.
struct Point {
    ticks: u64,
    events: Vec<Readings>,
}

/// What the threads of vCPUs share.
#[derive(Default)]
struct Measured {
    /// Of each thread of a vCPU.
    threads: Vec<Events>,
    begin: Option<Point>,
    end: Option<Point>,
}

impl Measured {
    fn readings(&mut self) -> Vec<Readings> {
        self.threads.iter_mut().map(Events::read).collect()
    }
}

/// What is told of one machine.
struct Watch {
    measured: Arc<Mutex<Measured>>,
    /// The first machine's marks count. A twin that runs in turn with it makes the same ones.
    is_first: bool,
}

impl Watch {
    fn measured(&self) -> Result<MutexGuard<'_, Measured>> {
        lock(&self.measured)
    }
}

fn lock(measured: &Mutex<Measured>) -> Result<MutexGuard<'_, Measured>> {
    measured
        .lock()
        .map_err(|_| anyhow!("a vCPU thread panicked while it measured"))
}

impl Observer for Watch {
    fn vcpu_starts(&self) -> Result<()> {
        self.measured()?.threads.push(Events::of_this_thread());
        Ok(())
    }

    fn mark(&self, mark: Mark) -> Result<()> {
        if !self.is_first {
            return Ok(());
        }
        // The counter is what is read closest to the exits that are measured: last at the
        // beginning, and first at the end.
        match mark {
            Mark::Begin => {
                let mut measured = self.measured()?;
                let events = measured.readings();
                let ticks = counter::ticks();
                measured.begin = Some(Point { ticks, events });
            }
            Mark::End => {
                let ticks = counter::ticks();
                let mut measured = self.measured()?;
                let events = measured.readings();
                measured.end = Some(Point { ticks, events });
            }
        }
        Ok(())
    }
}

/// Measures `exit` once, and prints what came of it for the process that started this one.
pub fn print(exit: Exit, options: &Options) -> Result<()> {
    let sample = once(exit, options.cpu, !options.not_realtime)?;
    let json = serde_json::to_string(&sample).context("cannot say what was measured")?;
    table::print(&format!("{json}\n"));
    Ok(())
}

fn once(exit: Exit, cpu: Option<usize>, realtime: bool) -> Result<Sample> {
    let guest = Guest::new(exit)?;
    let options = vmm_options(exit, &guest, cpu, realtime)?;
    let measured = Arc::new(Mutex::new(Measured::default()));
    vmm::run(&options, |machine| {
        Arc::new(Watch {
            measured: Arc::clone(&measured),
            is_first: machine == 0,
        })
    })?;
    let mut measured = lock(&measured)?;
    let (begin, end) = (measured.begin.take())
        .zip(measured.end.take())
        .context("the guest did not say where it began and ended")?;
    let (cycles, instructions) = events::between(&begin.events, &end.events);
    Ok(Sample {
        ticks: end.ticks.saturating_sub(begin.ticks),
        cycles,
        instructions,
    })
}

/// What the command line of the VMM would say.
fn vmm_options(
    exit: Exit,
    guest: &Guest,
    cpu: Option<usize>,
    realtime: bool,
) -> Result<vmm::options::Options> {
    let mut arguments = vec!["vmm".to_owned()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--kernel", guest.path().display().to_string());
    add("--timeout", TIMEOUT_S.to_string());
    if let Some(cpu) = cpu {
        add("--pin", cpu.to_string());
    }
    let own = exit.vmm_options(realtime).into_iter().map(str::to_owned);
    arguments.extend(own);
    vmm::options::Options::try_parse_from(arguments).context("the VMM does not know an option")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vmm_knows_all_options() {
        for exit in Exit::ALL {
            let guest = Guest::new(exit).unwrap();
            let options = vmm_options(exit, &guest, Some(3), true).unwrap();
            assert_eq!(options.pin, [3]);
            assert_eq!(options.cpus, if exit == Exit::Ipi { 2 } else { 1 });
            assert_eq!(options.twin, exit == Exit::VcpuSwitch);
            assert_eq!(options.realtime, exit.is_realtime());
            let uses_fp = matches!(exit, Exit::RunFp | Exit::RunFpFpGuest);
            assert_eq!(options.use_fp, uses_fp);
        }
    }
}
