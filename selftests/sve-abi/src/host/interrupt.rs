// SPDX-License-Identifier: GPL-2.0

//! Signals that interrupt KVM_RUN, at times that nobody chooses.

use anyhow::{Context, Result};
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::sys::signal::{SigEvent, SigevNotify};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use std::time::Duration;

/// Signals come until it is dropped.
pub struct Interrupts(#[allow(dead_code)] Timer);

extern "C" fn nothing(_: i32) {}

impl Interrupts {
    /// Starts them. The process must have one thread.
    pub fn start() -> Result<Self> {
        let handler = SigAction::new(
            SigHandler::Handler(nothing),
            SaFlags::empty(),
            SigSet::empty(),
        );
        // SAFETY: The handler does nothing.
        unsafe { sigaction(Signal::SIGALRM, &handler) }.context("sigaction()")?;
        let event = SigEvent::new(SigevNotify::SigevSignal {
            signal: Signal::SIGALRM,
            si_value: 0,
        });
        let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event).context("timer_create()")?;
        let interval = TimeSpec::from_duration(Duration::from_micros(9973));
        timer
            .set(Expiration::Interval(interval), TimerSetTimeFlags::empty())
            .context("timer_settime()")?;
        Ok(Self(timer))
    }
}
