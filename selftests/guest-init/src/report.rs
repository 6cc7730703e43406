// SPDX-License-Identifier: GPL-2.0

//! Reports for whoever reads the console, one a line.

use std::collections::BTreeSet;
use std::io::{self, Write};

use nix::sys::termios::tcdrain;
use serde::{Deserialize, Serialize};

/// What went wrong, for the report.
pub type Error = String;

/// How lines with a report begin.
const PREFIX: &str = "guest: ";

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The guest has reached userspace.
    Boot {
        /// Time since the kernel's start.
        uptime_ms: u64,
        /// CPUs that are online.
        cpus: usize,
        /// Longest SVE vector in bytes, 0 without SVE.
        sve_vl: usize,
        /// Memory tagging is there.
        mte: bool,
        /// Address authentication is there.
        pauth: bool,
        /// What the kernel calls the CPU's state: "aarch64", or in AArch32 "armv7l".
        machine: String,
        /// Release of the kernel.
        kernel: String,
    },
    /// A register did not keep its value.
    Corruption {
        /// Number of the thread that found it.
        thread: u16,
        /// The register.
        register: String,
        /// What was loaded, lowest byte first.
        expected: String,
        /// What was found, lowest byte first.
        found: String,
        /// Whose value was found, where that can be told.
        owner: Option<String>,
    },
    /// The check of the FP registers is over.
    Fp {
        /// How long it was.
        seconds: u64,
        /// Number of threads that checked.
        threads: usize,
        /// Comparisons of all registers.
        checks: u64,
        /// Comparisons that found a difference.
        corruptions: u64,
        /// Accesses to the console's device meanwhile, each an exit to the VMM.
        device_reads: u64,
        /// SVE vector lengths that were used, in bytes.
        sve_lengths: BTreeSet<usize>,
    },
    /// The guest cannot go on.
    Error {
        /// Why.
        message: Error,
    },
    /// All is done, the guest powers off.
    Done,
}

/// Writes a report and waits until it is out, so that what the kernel prints
/// next comes behind and not into it.
pub fn send(event: &Event) {
    let object = serde_json::to_string(event)
        .unwrap_or_else(|error| format!(r#"{{"event":"error","message":"{error}"}}"#));
    send_line(&format!("{PREFIX}{object}"));
}

/// As [`send`], of a line that has been made elsewhere.
pub fn send_line(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody is left to be told when the console does not work.
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
    let _ = tcdrain(&out);
}

/// The report in a line of a console, if that is one.
pub fn of_line(line: &str) -> Option<Event> {
    serde_json::from_str(line.strip_prefix(PREFIX)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_have_their_documented_form() {
        let text = serde_json::to_string(&Event::Done).unwrap();
        assert_eq!(text, r#"{"event":"done"}"#);
        let boot = Event::Boot {
            uptime_ms: 7,
            cpus: 2,
            sve_vl: 0,
            mte: false,
            pauth: true,
            machine: "aarch64".into(),
            kernel: "7.3.4".into(),
        };
        assert_eq!(
            serde_json::to_string(&boot).unwrap(),
            concat!(
                r#"{"event":"boot","uptime_ms":7,"cpus":2,"sve_vl":0,"#,
                r#""mte":false,"pauth":true,"machine":"aarch64","kernel":"7.3.4"}"#
            )
        );
    }

    #[test]
    fn reports_are_told_from_other_lines() {
        let fp = Event::Fp {
            seconds: 1,
            threads: 2,
            checks: 7,
            corruptions: 1,
            device_reads: 3,
            sve_lengths: [16, 32].into(),
        };
        let corruption = Event::Corruption {
            thread: 1,
            register: "V0".into(),
            expected: "00".into(),
            found: "01".into(),
            owner: None,
        };
        for event in [fp, corruption, Event::Done] {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(of_line(&format!("guest: {text}")), Some(event));
            assert_eq!(of_line(&text), None);
        }
        assert_eq!(of_line("[    0.1] guest: x"), None);
        assert_eq!(of_line("guest: x"), None);
    }
}
