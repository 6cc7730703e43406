// SPDX-License-Identifier: GPL-2.0

//! The kernel's function tracer, on for KVM and the FP core while everything else goes on. Under
//! VHE some of these functions run with the hypervisor's vectors, where a tracer that faults ends
//! in a panic of the hypervisor: they must not be traced.

use std::fs;

use anyhow::{ensure, Context, Result};
use nix::errno::Errno;
use nix::mount::{mount, MsFlags};

const FOLDER: &str = "/sys/kernel/tracing";
/// The functions, as `set_ftrace_filter` takes them.
const FUNCTIONS: &str = "*kvm* *vcpu* *fpsimd* *sve*";

/// The tracer switched on, until this is dropped.
#[derive(Debug)]
pub struct FunctionTracer(());

fn write(name: &str, text: &str) -> Result<()> {
    let path = format!("{FOLDER}/{name}");
    fs::write(&path, text)
        .with_context(|| format!("cannot write {path}: it takes CONFIG_FUNCTION_TRACER"))
}

fn read(name: &str) -> Result<String> {
    let path = format!("{FOLDER}/{name}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// How many calls were recorded, by the head of what tracefs shows.
fn recorded(trace: &str) -> Option<u64> {
    let line = trace.lines().find_map(|line| {
        let (_, counts) = line.split_once("entries-in-buffer/entries-written: ")?;
        counts.split_whitespace().next()
    })?;
    line.split_once('/')?.1.parse().ok()
}

impl FunctionTracer {
    /// Begins to trace.
    pub fn start() -> Result<Self> {
        let kind = Some("tracefs");
        match mount(kind, FOLDER, kind, MsFlags::empty(), None::<&str>) {
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => return Err(error).context("cannot mount tracefs"),
        }
        write("set_ftrace_filter", FUNCTIONS)?;
        let functions = read("set_ftrace_filter")?.lines().count();
        ensure!(functions > 100, "only {functions} functions can be traced");
        write("trace", "")?;
        write("current_tracer", "function")?;
        write("tracing_on", "1")?;
        Ok(Self(()))
    }

    /// How many calls there were. The tracer is off from here on.
    pub fn stop(self) -> Result<u64> {
        write("tracing_on", "0")?;
        let trace = read("trace")?;
        recorded(&trace).context("the trace does not say how much it has")
    }
}

impl Drop for FunctionTracer {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = write("current_tracer", "nop");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_the_head_of_the_trace() {
        let head = "# tracer: function\n#\n\
            # entries-in-buffer/entries-written: 205/31234   #P:2\n#\n\
            vmm-71 [000] d..1. 12.3: kvm_arch_vcpu_load <-vcpu_load\n";
        assert_eq!(recorded(head), Some(31234));
        for bad in [
            "",
            "# tracer: function\n",
            "# entries-in-buffer/entries-written: x\n",
        ] {
            assert_eq!(recorded(bad), None, "{bad:?}");
        }
    }
}
