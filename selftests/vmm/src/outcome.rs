// SPDX-License-Identifier: GPL-2.0

//! How a run can end, and waiting for that.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use nix::sys::signal::{SigSet, Signal};

/// The event that ends a run.
pub enum Outcome {
    /// The guest asked for PSCI SYSTEM_OFF.
    PoweredOff,
    /// A vCPU cannot go on.
    Failed(anyhow::Error),
    /// Somebody asked this program to end.
    Interrupted(Signal),
}

/// Sends [`Outcome::Interrupted`] when SIGINT or SIGTERM arrives.
///
/// Must be called before any other thread is started: threads inherit the
/// mask, so that the signals reach only the thread that waits for them.
pub fn watch_signals(outcomes: Sender<Outcome>) -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals
        .thread_block()
        .context("cannot block SIGINT and SIGTERM")?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if let Ok(signal) = signals.wait() {
                // The receiver is gone only when the run has ended anyway.
                let _ = outcomes.send(Outcome::Interrupted(signal));
            }
        })
        .context("cannot start the thread that waits for signals")?;
    Ok(())
}

/// Waits until so many machines have powered off, or for the first other outcome,
/// for `timeout` seconds at most.
pub fn wait(outcomes: &Receiver<Outcome>, machines: usize, timeout: Option<u64>) -> Result<()> {
    let deadline = timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    for _ in 0..machines {
        let outcome = match deadline {
            Some(deadline) => {
                outcomes.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
            None => outcomes.recv().map_err(RecvTimeoutError::from),
        };
        match outcome {
            Ok(Outcome::PoweredOff) => {}
            Ok(Outcome::Failed(error)) => return Err(error),
            Ok(Outcome::Interrupted(signal)) => bail!("ended by {signal}"),
            Err(RecvTimeoutError::Timeout) => bail!(
                "the guest has not powered off within {} seconds (--timeout)",
                timeout.unwrap_or_default()
            ),
            Err(RecvTimeoutError::Disconnected) => bail!("all vCPU threads have ended"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn only_power_off_is_success() {
        let (sender, receiver) = mpsc::channel();
        sender.send(Outcome::PoweredOff).unwrap();
        assert!(wait(&receiver, 1, None).is_ok());
        sender.send(Outcome::PoweredOff).unwrap();
        sender.send(Outcome::PoweredOff).unwrap();
        assert!(wait(&receiver, 2, None).is_ok());
        sender.send(Outcome::PoweredOff).unwrap();
        assert!(wait(&receiver, 2, Some(1)).is_err(), "one of two");
        sender.send(Outcome::Interrupted(Signal::SIGTERM)).unwrap();
        assert!(wait(&receiver, 1, Some(1)).is_err());
        sender
            .send(Outcome::Failed(anyhow::anyhow!("broken")))
            .unwrap();
        assert!(wait(&receiver, 1, None).is_err());
        drop(sender);
        assert!(wait(&receiver, 1, None).is_err());
    }

    #[test]
    fn a_silent_guest_times_out() {
        let (_sender, receiver) = mpsc::channel();
        let message = wait(&receiver, 1, Some(1)).unwrap_err().to_string();
        assert!(message.contains("within 1 seconds"), "{message}");
    }
}
