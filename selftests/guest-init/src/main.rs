// SPDX-License-Identifier: GPL-2.0

//! First process of a test guest, or a service in one.
//!
//! Reports what the guest is (`boot`), checks its FP registers if the kernel
//! command line asks for it (`fp`), says `done` and, as first process, powers off.
//! Each report is a console line that starts with "guest: " and goes on with a JSON
//! object. When something fails the guest resets instead, so that a VMM can tell the
//! two ends apart.
//!
//! Kernel command line:
//!
//! - `fp.seconds=N`: how long to check, 0 (the default) for not at all
//! - `fp.rounds=N`: how often, with a report each time, default 1, and 0 for ever
//! - `fp.threads=N`: checking threads for each CPU, default 2
//! - `fp.seed=N`: number of the first thread's pattern, default 1; guests with
//!   different ones can tell a value of another guest by its pattern
//! - `fp.guest=1`: be a hypervisor, with a guest that checks at the same time and
//!   whose reports are passed on

mod check;
mod cmdline;
mod guest;
mod system;

use std::process::ExitCode;
use std::time::Duration;

use guest_init::report::{self, Error, Event};
use nix::unistd::Pid;

use crate::cmdline::Settings;

fn main() -> ExitCode {
    let is_first = Pid::this() == Pid::from_raw(1);
    let (end, code) = match run(is_first) {
        Ok(()) => {
            report::send(&Event::Done);
            (system::End::PowerOff, ExitCode::SUCCESS)
        }
        Err(message) => {
            report::send(&Event::Error { message });
            (system::End::Reset, ExitCode::FAILURE)
        }
    };
    if is_first {
        system::end(end);
    }
    code
}

fn run(is_first: bool) -> Result<(), Error> {
    if is_first {
        system::mount_all()?;
    }
    system::quieten_kernel();
    system::stop_deadline_servers()?;
    system::allow_slow_cpus()?;
    let cpus = system::cpus()?;
    let lengths = fp::sve_lengths();
    let settings = Settings::read()?;
    // Whoever waits for this guest waits for its guest, too.
    let guest = match settings.guest {
        true => Some(guest::Guest::start(&settings)?),
        false => None,
    };
    report::send(&Event::Boot {
        uptime_ms: system::uptime()?.as_millis() as u64,
        cpus: cpus.len(),
        sve_vl: lengths.last().copied().unwrap_or(0),
        mte: system::has_mte(),
        pauth: system::has_pauth(),
        machine: system::machine()?,
        kernel: system::kernel_release()?,
    });

    for _ in settings.rounds_to_come() {
        let duration = Duration::from_secs(settings.seconds);
        let result = check::run(duration, &settings, &cpus, &lengths)?;
        report::send(&Event::Fp {
            seconds: settings.seconds,
            threads: result.threads,
            checks: result.tally.checks,
            corruptions: result.tally.corruptions,
            device_reads: result.device_reads,
            sve_lengths: result.lengths,
        });
    }
    guest.map_or(Ok(()), guest::Guest::finish)
}
