// SPDX-License-Identifier: GPL-2.0

//! Runs a guest, and finds what was counted between its marks.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{anyhow, ensure, Context, Result};
use clap::Parser;
use nix::sys::resource::{getrusage, UsageWho};
use vmm::marks::{Mark, Observer};

use crate::case::Case;
use crate::counters::{Counted, Counters};
use crate::statistics;
use crate::trace::Trace;

/// Seconds in which a guest is given up. It takes a few under emulation.
const TIMEOUT_S: &str = "120";

/// Time between two softirqs that use FP.
const SOFTIRQ_PERIOD_US: &str = "500";
const SOFTIRQ_PERIOD: &str = "/sys/kernel/debug/neon_softirq/period_us";

/// What the vCPU's thread finds.
#[derive(Default)]
struct Found {
    trace: Option<Trace>,
    begin: Option<Counted>,
    counted: Option<Counted>,
    traced: Option<Counters>,
}

struct Watch {
    case: Case,
    traces: bool,
    found: Mutex<Found>,
}

impl Watch {
    fn found(&self) -> Result<MutexGuard<'_, Found>> {
        self.found
            .lock()
            .map_err(|_| anyhow!("the vCPU's thread panicked"))
    }
}

/// Times that the calling thread has lost the CPU.
fn switches() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).context("getrusage failed")?;
    let switches = usage.voluntary_context_switches() + usage.involuntary_context_switches();
    u64::try_from(switches).context("getrusage counts less than nothing")
}

fn let_softirqs_use_fp(period: &str) -> Result<()> {
    fs::write(SOFTIRQ_PERIOD, period).with_context(|| {
        format!("cannot write {SOFTIRQ_PERIOD}: it takes a kernel with CONFIG_NEON_SOFTIRQ_TEST")
    })
}

impl Observer for Watch {
    fn vcpu_starts(&self) -> Result<()> {
        if self.case == Case::SoftirqsUseFp {
            // On the CPU of who writes it, which is the vCPU's.
            let_softirqs_use_fp(SOFTIRQ_PERIOD_US)?;
        }
        Ok(())
    }

    fn mark(&self, mark: Mark) -> Result<()> {
        // The vCPU is put: nothing is counted before it runs again.
        let mut found = self.found()?;
        match mark {
            Mark::Begin => {
                let counters = statistics::read()?;
                if self.traces {
                    found.trace = Some(Trace::start()?);
                }
                // What was lost to reading is no loss of the vCPU's.
                let switches = switches()?;
                found.begin = Some(Counted { counters, switches });
            }
            Mark::End => {
                let switches = switches()?;
                let counters = statistics::read()?;
                found.traced = found.trace.take().map(Trace::end).transpose()?;
                let begin = found.begin.context("the guest ends before it begins")?;
                let end = Counted { counters, switches };
                found.counted = Some(end.since(begin).context("a counter went backwards")?);
            }
        }
        Ok(())
    }
}

/// Runs the guest of `case`, and returns what was counted. If `traces`, the trace event must
/// tell the same.
pub fn run(case: Case, traces: bool) -> Result<Counted> {
    let mut arguments = vec!["vmm", "--kernel", case.guest(), "--timeout", TIMEOUT_S];
    arguments.extend(["--pin", "0", "--realtime"]);
    if case == Case::VmmUsesFp {
        arguments.push("--use-fp");
    }
    let options = vmm::options::Options::try_parse_from(arguments)
        .context("the VMM does not know an option")?;
    let watch = Arc::new(Watch {
        case,
        traces,
        found: Mutex::default(),
    });
    let ended = vmm::run(&options, |_| Arc::clone(&watch) as Arc<dyn Observer>);
    if case == Case::SoftirqsUseFp {
        let_softirqs_use_fp("0")?;
    }
    ended?;
    let found = watch.found()?;
    let counted = found.counted.context("the guest did not come to its end")?;
    if traces {
        let traced = found.traced.context("nothing was traced")?;
        let expected = Counters {
            exits: 0,
            ..counted.counters
        };
        ensure!(
            traced == expected,
            "what was counted is not what was traced:\n  {expected}\n  {traced}"
        );
    }
    Ok(counted)
}
