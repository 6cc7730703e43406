// SPDX-License-Identifier: GPL-2.0
//! Live migration by QEMU between a host with C and one with Rust, which run at
//! the same time.

use super::spec;
use crate::boot;
use crate::context::Context;
use crate::host::{Mode, VectorLengths};
use crate::kernel::Variant;
use crate::plan::Step;
use crate::prepare::{Built, Spec};
use crate::progress;
use crate::side_by_side::side_by_side;
use anyhow::{Context as _, Result};
use std::path::Path;

/// A migration takes seconds, most of it the start of QEMU on a host that is
/// emulated next to another.
const LIMIT_S: u64 = 1800;

/// QEMU 10.0 leaves the rest of longer registers behind: Documentation/testing.rst.
const LENGTHS: VectorLengths = VectorLengths::UpTo(8);

/// The hosts; the guest starts on the first.
const HOSTS: [Variant; 2] = [Variant::C, Variant::Rust];

/// What connects the hosts: a virtio-serial port on each, by a socket.
fn port(variant: Variant, socket: &Path) -> [String; 4] {
    let end = match variant {
        Variant::C => "server=on,wait=off",
        // The other may not be there yet.
        _ => "reconnect-ms=100",
    };
    [
        "-chardev".to_owned(),
        format!("socket,id=migration,path={},{end}", socket.display()),
        "-device".to_owned(),
        "virtserialport,chardev=migration,name=migration".to_owned(),
    ]
}

/// Migrates a guest `count` times.
pub fn run(
    ctx: &Context,
    built: &Built,
    mode: Mode,
    count: u32,
    step: &progress::Step,
) -> Result<()> {
    // Not with the logs: the path of a socket must not be long.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let socket = folder.path().join("port");
    let count = count.to_string();
    let mut hosts = Vec::new();
    for variant in HOSTS {
        let mut argv = vec!["/kvm-rust/bin/migration", "--count", &count];
        if variant == HOSTS[0] {
            argv.push("--first");
        }
        let spec = Spec {
            vector_lengths: LENGTHS,
            ..spec(variant, mode, Step::new("migration", &argv, LIMIT_S))
        };
        let mut host = built.host(&spec)?;
        host.name = format!("migration-{}", host.name);
        host.qemu_arguments = port(variant, &socket).map(Into::into).into();
        hosts.push(host);
    }
    let boot = |host: boot::Host| {
        let name = host.name.clone();
        boot::boot(ctx, &host, &built.programs, step)
            .and_then(|outcome| outcome.check(&host.plan))
            .with_context(|| format!("host {name}"))
    };
    // The first error is the one to show, and both hosts have ended.
    let workers = hosts.len();
    side_by_side(hosts, workers, boot).into_iter().collect()
}
