// SPDX-License-Identifier: GPL-2.0

//! The trace event kvm:kvm_fp.

use anyhow::{bail, Context, Result};

use crate::counters::Counters;

/// What was traced, of the text that tracefs shows: `vcpu: 0, host kept`, behind what all events
/// have.
pub fn counted(text: &str) -> Result<Counters> {
    let mut counters = Counters::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let event = line.split_once(" kvm_fp: vcpu: 0, ");
        let (_, event) = event.with_context(|| format!("not an event of the vCPU: {line:?}"))?;
        let counter = match event {
            "host kept" => &mut counters.host_kept,
            "host saved" => &mut counters.host_saved,
            "guest loaded" => &mut counters.guest_loaded,
            "guest taken" => &mut counters.guest_taken,
            "guest put" => &mut counters.guest_put,
            _ => bail!("an unknown event: {line:?}"),
        };
        *counter += 1;
    }
    Ok(counters)
}

#[cfg(target_arch = "aarch64")]
pub use tracefs::Trace;

#[cfg(target_arch = "aarch64")]
mod tracefs {
    use std::fs;

    use anyhow::{Context, Result};
    use nix::errno::Errno;
    use nix::mount::{mount, MsFlags};

    use super::counted;
    use crate::counters::Counters;

    const FOLDER: &str = "/sys/kernel/tracing";
    /// For each CPU: more than all events between two marks take.
    const BUFFER_KIB: &str = "4096";

    /// The event switched on, until this is dropped.
    pub struct Trace(());

    fn write(name: &str, text: &str) -> Result<()> {
        let path = format!("{FOLDER}/{name}");
        fs::write(&path, text).with_context(|| {
            format!("cannot write {path}: it takes a kernel with CONFIG_TRACING and the event")
        })
    }

    impl Trace {
        /// Begins to record, with nothing recorded.
        pub fn start() -> Result<Self> {
            let kind = Some("tracefs");
            match mount(kind, FOLDER, kind, MsFlags::empty(), None::<&str>) {
                Ok(()) | Err(Errno::EBUSY) => {}
                Err(error) => return Err(error).context("cannot mount tracefs"),
            }
            write("tracing_on", "0")?;
            write("buffer_size_kb", BUFFER_KIB)?;
            write("trace", "")?;
            write("events/kvm/kvm_fp/enable", "1")?;
            write("tracing_on", "1")?;
            Ok(Self(()))
        }

        /// What was recorded, which ends here.
        pub fn end(self) -> Result<Counters> {
            write("tracing_on", "0")?;
            let path = format!("{FOLDER}/trace");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            counted(&text)
        }
    }

    impl Drop for Trace {
        fn drop(&mut self) {
            // There is nobody left to tell.
            let _ = write("events/kvm/kvm_fp/enable", "0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_what_they_tell_of() {
        let text = "# tracer: nop\n#\n\
            vmm-vcpu-71 [000] d..1.  12.3: kvm_fp: vcpu: 0, host saved\n\
            vmm-vcpu-71 [000] d..1.  12.4: kvm_fp: vcpu: 0, guest loaded\n\
            vmm-vcpu-71 [000] d..1.  12.5: kvm_fp: vcpu: 0, guest taken\n\
            vmm-vcpu-71 [000] d..1.  12.6: kvm_fp: vcpu: 0, guest loaded\n\
            vmm-vcpu-71 [000] d..1.  12.7: kvm_fp: vcpu: 0, guest put\n\
            vmm-vcpu-71 [000] d..1.  12.8: kvm_fp: vcpu: 0, host kept\n";
        let expected = Counters {
            host_kept: 1,
            host_saved: 1,
            guest_loaded: 2,
            guest_taken: 1,
            guest_put: 1,
            exits: 0,
        };
        assert_eq!(counted(text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_such_an_event_is_noticed() {
        for line in [
            "vmm-71 [000] d..1. 12.3: kvm_fp: vcpu: 0, something else",
            "vmm-71 [000] d..1. 12.3: kvm_fp: vcpu: 1, host kept",
            "CPU:0 [LOST 5 EVENTS]",
        ] {
            assert!(counted(line).is_err(), "{line}");
        }
    }
}
