// SPDX-License-Identifier: GPL-2.0

//! Carries out a plan on an emulated KVM host.
//!
//! Runs the steps of the plan, reports each on the virtio-serial port "report", and
//! powers the host off. Whatever goes wrong is said on the console, in one line, and
//! ends the host too: it never waits for anybody.
//!
//! As first process it starts in the initramfs, with /plan.json there, and enters the
//! root that the plan names. On a host whose system has a first process of its own,
//! which is systemd, it is a service, and the path of the plan is its argument.

mod console;
mod kept;
mod plan;
mod report;
mod root;
mod step;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{ensure, Context, Result};
use nix::sched::{sched_getaffinity, CpuSet};
use nix::sys::reboot::{reboot, RebootMode};
use nix::sys::utsname::uname;
use nix::unistd::Pid;

use console::Console;
use kept::Kept;
use plan::{Plan, Step};
use report::{Event, Port};
use step::Progress;

fn main() -> ExitCode {
    let is_first = Pid::this() == Pid::from_raw(1);
    let argument = std::env::args_os().nth(1).map(PathBuf::from);
    let (result, end): (_, fn() -> Result<()>) = match argument {
        None if is_first => (as_first_process(), power_off),
        Some(plan) if !is_first => (Plan::read(&plan).and_then(|p| carry_out(&p)), shut_down),
        _ => {
            println!("usage: host-init PLAN, or as first process, without arguments");
            return ExitCode::FAILURE;
        }
    };
    let say = |result: &Result<()>| {
        if let Err(error) = result {
            println!("host-init: {error:#}");
        }
    };
    say(&result);
    // As first process it does not come back, unless it failed.
    let ended = end();
    say(&ended);
    match result.and(ended) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn as_first_process() -> Result<()> {
    // The initramfs is out of sight once the root is another.
    let plan = Plan::read(Path::new("/plan.json"))?;
    root::mount_early()?;
    root::enter(&plan.root)?;
    carry_out(&plan)?;
    root::leave(&plan.root)
}

fn power_off() -> Result<()> {
    nix::unistd::sync();
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(error) => Err(error).context("cannot power off"),
    }
}

/// Has systemd end everything and power off.
fn shut_down() -> Result<()> {
    let status = Command::new("systemctl")
        .args(["--no-block", "poweroff"])
        .status()
        .context("cannot start systemctl")?;
    ensure!(status.success(), "systemctl poweroff: {status}");
    Ok(())
}

/// Runs the steps of `plan` and reports.
fn carry_out(plan: &Plan) -> Result<()> {
    let port = Arc::new(Mutex::new(Port::open()?));
    let send = |event: &Event<'_>| send(&port, event);
    let _kept = Kept::create()?;

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
