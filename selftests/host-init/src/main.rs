// SPDX-License-Identifier: GPL-2.0

//! First process of an emulated KVM host.
//!
//! Starts in the initramfs, makes the image on /dev/vda the root, runs the
//! steps of /plan.json, reports each on the virtio-serial port "report", and
//! powers off. Whatever goes wrong is said on the console, in one line, and
//! ends the host too: it never waits for anybody.

mod console;
mod kept_vm;
mod plan;
mod report;
mod root;
mod step;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sched::{sched_getaffinity, CpuSet};
use nix::sys::reboot::{reboot, RebootMode};
use nix::sys::utsname::uname;
use nix::unistd::Pid;

use console::Console;
use plan::{Plan, Step};
use report::{Event, Port};
use step::Progress;

fn main() {
    let result = run();
    if let Err(error) = &result {
        println!("host-init: {error:#}");
    }
    nix::unistd::sync();
    let error = reboot(RebootMode::RB_POWER_OFF);
    println!("host-init: cannot power off: {error:?}");
}

fn run() -> Result<()> {
    // The initramfs is out of sight once the image is the root.
    let plan = Plan::read(Path::new("/plan.json"))?;
    root::mount_early()?;
    root::enter_image()?;
    let port = Arc::new(Mutex::new(Port::open()?));
    let send = |event: &Event<'_>| send(&port, event);
    let _vm = kept_vm::create()?;

    let kernel = uname()
        .map(|u| u.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    send(&Event::Up {
        uptime_ms: uptime_ms()?,
        kernel: &kernel,
        cpus: cpus()?,
        world_switch: world_switch()?.as_deref(),
    })?;

    for step in &plan.steps {
        send(&Event::Start { name: &step.name })?;
        let done = step::run(step, progress_of(step, &port));
        send(&Event::End {
            name: &step.name,
            outcome: done.outcome,
            code: done.code,
            seconds: done.seconds,
            output_tail: &done.output.tail,
            output: &done.output.results,
        })?;
    }
    let tainted = fs::read_to_string("/proc/sys/kernel/tainted")
        .context("cannot tell whether the kernel is tainted")?;
    send(&Event::Done {
        tainted: tainted.trim().parse().context("bad taint value")?,
    })
}

fn send(port: &Mutex<Port>, event: &Event<'_>) -> Result<()> {
    // A line is written as a whole or not at all.
    let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
    port.send(event)
}

/// Reports what `step` says of how far it is.
fn progress_of(step: &Step, port: &Arc<Mutex<Port>>) -> Progress {
    let (name, port) = (step.name.clone(), Arc::clone(port));
    Arc::new(move |progress| {
        let event = Event::Progress {
            name: &name,
            progress: &progress,
        };
        if let Err(error) = send(&port, &event) {
            // Whoever waits for the report finds that there is none.
            Console::host().line(&format!("host-init: {error:#}"));
        }
    })
}

/// Milliseconds since boot.
fn uptime_ms() -> Result<u64> {
    let text = fs::read_to_string("/proc/uptime").context("cannot read /proc/uptime")?;
    let seconds: f64 = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .context("/proc/uptime does not begin with a number")?;
    Ok((seconds * 1000.0) as u64)
}

/// The language of the world switch, if KVM says it. Linux's own does not.
fn world_switch() -> Result<Option<String>> {
    const FILE: &str = "/sys/module/kvm/parameters/world_switch";
    match fs::read_to_string(FILE) {
        Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {FILE}")),
    }
}

/// CPUs that are online.
fn cpus() -> Result<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("cannot list the CPUs")?;
    Ok((0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .count())
}
