// SPDX-License-Identifier: GPL-2.0

//! A signal that does nothing but interrupt: KVM_RUN returns to the VMM, which
//! enters the guest again.

use anyhow::{Context, Result};
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};

extern "C" fn nothing(_: i32) {}

/// Gives SIGUSR1, which would end this program otherwise, that meaning.
pub fn allow() -> Result<()> {
    // Other system calls than KVM_RUN go on by themselves.
    let action = SigAction::new(
        SigHandler::Handler(nothing),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: The handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.context("cannot handle SIGUSR1")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn the_signal_changes_nothing() {
        allow().unwrap();
        raise(Signal::SIGUSR1).unwrap();
    }
}
