// SPDX-License-Identifier: GPL-2.0
//! A guest that goes from a host with C to one with Rust and back, by its
//! registers and its data.

use super::spec;
use crate::boot;
use crate::context::Context;
use crate::host::Mode;
use crate::kernel::Variant;
use crate::plan::{End, Step};
use crate::prepare::Built;
use crate::progress;
use anyhow::{ensure, Context as _, Result};

/// The hosts, in turn.
const HOSTS: [Variant; 3] = [Variant::C, Variant::Rust, Variant::C];

/// Has a guest go from host to host.
pub fn run(ctx: &Context, built: &Built, mode: Mode, step: &progress::Step) -> Result<()> {
    let mut saved: Option<String> = None;
    for (number, variant) in HOSTS.into_iter().enumerate() {
        let mut argv = vec!["/kvm-rust/bin/sve-abi", "relay"];
        if let Some(saved) = &saved {
            argv.extend(["--saved", saved]);
        }
        let spec = spec(variant, mode, Step::new("relay", &argv, 120));
        let mut host = built.host(&spec)?;
        host.name = format!("relay-{number}-{}", host.name);
        step.at(&format!("on {}", host.name));
        let outcome = boot::boot(ctx, &host, &built.programs, step)?;
        let context = || format!("host {}", host.name);
        outcome.check(&host.plan).with_context(context)?;
        saved = Some(saved_by(&outcome.ends).with_context(context)?);
    }
    Ok(())
}

/// What the guest was when the host was done with it.
fn saved_by(ends: &[End]) -> Result<String> {
    let mut output = ends.iter().flat_map(|end| &end.output);
    let saved = output.find_map(|line| line.get("saved"));
    let saved = saved.context("the guest was not saved")?.to_string();
    // Linux takes no longer argument.
    ensure!(saved.len() < 128 << 10, "{} bytes were saved", saved.len());
    Ok(saved)
}
