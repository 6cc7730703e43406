// SPDX-License-Identifier: GPL-2.0

//! What a vCPU's thread does beside running it, for measurements.

use std::hint::black_box;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use nix::sched::sched_yield;

use crate::options::Options;

/// What is done between two KVM_RUNs.
pub struct Between {
    fp: Option<f64>,
    gives_way: bool,
}

impl Between {
    /// What the options ask for.
    pub fn new(options: &Options) -> Self {
        Self {
            fp: options.use_fp.then_some(0.0),
            gives_way: options.twin,
        }
    }

    /// Does it.
    pub fn act(&mut self) -> Result<()> {
        if let Some(value) = &mut self.fp {
            *value = next(black_box(*value));
        }
        if self.gives_way {
            sched_yield().context("cannot give the CPU up")?;
        }
        Ok(())
    }
}

/// The next number of a sequence that goes to 2.
fn next(value: f64) -> f64 {
    value * 0.5 + 1.0
}

/// The lowest priority of SCHED_FIFO: the host has nothing else to do.
const PRIORITY: i32 = 1;

/// Schedules this thread as asked.
pub fn schedule(realtime: bool) -> Result<()> {
    if !realtime {
        return Ok(());
    }
    let parameter = libc::sched_param {
        sched_priority: PRIORITY,
    };
    // SAFETY: The kernel reads the parameter during the call, and writes nothing.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter) };
    Errno::result(result).context("cannot run with SCHED_FIFO (--realtime)")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn between(arguments: &[&str]) -> Between {
        let own = ["vmm", "--kernel", "k"];
        Between::new(&Options::parse_from(own.iter().chain(arguments)))
    }

    #[test]
    fn fp_is_used_where_it_is_asked_for() {
        let mut idle = between(&[]);
        idle.act().unwrap();
        assert_eq!(idle.fp, None);
        let mut fp = between(&["--use-fp"]);
        fp.act().unwrap();
        fp.act().unwrap();
        assert_eq!(fp.fp, Some(1.5));
    }

    #[test]
    fn only_twins_give_way() {
        assert!(between(&["--twin"]).gives_way);
        assert!(!between(&["--realtime"]).gives_way);
    }
}
