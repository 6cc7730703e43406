// SPDX-License-Identifier: GPL-2.0
//! `make server`: our kernel package on servers as people rent them.
//!
//! A Debian disk image; our package, installed there by apt; machines that boot it through
//! UEFI and ACPI; and on those a guest of libvirt, which migrates to a server with Debian's
//! own kernel and back while it checks its FP registers.

mod debian;
mod disk;
mod domain;
mod machine;
mod plans;
mod report;

use crate::boot::Outcome;
use crate::context::Context;
use crate::deb;
use crate::error::hinted;
use crate::host::Cpu;
use crate::image::{self, Manifest};
use crate::kernel::Variant;
use crate::lock::Lock;
use crate::plan::{Plan, Verdict};
use crate::progress::Step;
use crate::results::Results;
use crate::side_by_side::both;
use crate::stamp::Stamp;
use crate::{digest, files, programs, source, table};
use anyhow::{ensure, Context as _, Result};
use debian::Debian;
use machine::{Cable, End, Machine, Start};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Servers that people rent or buy: Graviton2 and Ampere Altra, Graviton3, and those with
/// Armv9.
pub const CPUS: [Cpu; 3] = [Cpu::NeoverseN1, Cpu::NeoverseV1, Cpu::NeoverseN2];
/// How the names of the tests begin.
const PREFIX: &str = "server/";
/// Programs on a server.
const PROGRAMS: [&str; 2] = ["contest", "server"];

/// What machines are made of.
struct Place<'a> {
    ctx: &'a Context,
    folder: PathBuf,
    debian: Debian,
    /// Ours.
    programs: PathBuf,
    _lock: Lock,
}

/// A disk with a system on it, and the kernel that it boots.
struct Installed {
    disk: PathBuf,
    kernel: Kernel,
}

/// What the machines of the tests have.
struct Servers {
    c: Installed,
    rust: Installed,
    /// The Debian of their guest.
    guest_disk: PathBuf,
}

/// Whose kernel a server boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// Debian's.
    C,
    /// Ours.
    Rust,
}

impl Kernel {
    fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Rust => "rust",
        }
    }

    /// What it says of its world switch: Debian's says nothing.
    fn world_switch(self) -> Option<&'static str> {
        match self {
            Self::C => None,
            Self::Rust => Some(Variant::Rust.world_switch()),
        }
    }
}

impl<'a> Place<'a> {
    fn new(ctx: &'a Context) -> Result<Self> {
        let folder = ctx.cache.join("build/server");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = Lock::take(&ctx.ui, &folder.join("lock"), "the servers")?;
        Ok(Self {
            ctx,
            debian: debian::unpack(ctx)?,
            programs: programs::build_ours(ctx)?,
            folder,
            _lock: lock,
        })
    }

    fn firmware(&self) -> Start {
        let (code, variables) = self.debian.firmware();
        Start::Firmware { code, variables }
    }

    /// A disk that is only read, with what a machine is to do.
    fn tools(&self, name: &str, manifest: &Manifest, step: &Step) -> Result<PathBuf> {
        let log = self.ctx.log(&format!("server-{name}"));
        let image = self.folder.join(format!("{name}.erofs"));
        // An interrupted run may have left one.
        let folder = files::beside(&image, "content");
        files::remove_all(&folder)?;
        manifest.copy_to(&folder)?;
        image::read_only(&folder, &image, &log, step)?;
        files::remove_all(&folder)?;
        Ok(image)
    }

    /// What a server does, with the programs for it.
    fn service(&self, plan: &Plan) -> Result<Manifest> {
        let mut manifest = Manifest::default();
        manifest.file("start", self.programs.join("host-init"))?;
        manifest.bytes("plan.json", serde_json::to_vec(plan)?);
        for program in PROGRAMS {
            manifest.file(format!("bin/{program}"), self.programs.join(program))?;
        }
        Ok(manifest)
    }

    /// The disk `name`, which `make` makes unless it is there and was made from what has this
    /// signature. `make` also says what came of it, for the step `title`.
    fn disk(
        &self,
        (name, title): (&str, &str),
        signature: &str,
        make: impl FnOnce(&Path, &Step) -> Result<String>,
    ) -> Result<PathBuf> {
        let disk = self.folder.join(name);
        let stamp = Stamp::of(&disk);
        let step = self.ctx.ui.step(title);
        if stamp.is(signature) && disk.exists() {
            step.end("as before");
            return Ok(disk);
        }
        stamp.remove()?;
        let outcome = make(&disk, &step)?;
        stamp.write(signature)?;
        step.end(&outcome);
        Ok(disk)
    }

    /// Debian on a disk, configured on a machine with Debian's kernel.
    fn set_up(&self) -> Result<Installed> {
        let ctx = self.ctx;
        let plan = plans::set_up();
        let mut made_from = format!(
            "{} {} {}",
            self.debian.folder.display(),
            serde_json::to_string(&plan)?,
            disk::table()
        );
        for (place, file) in disk::files(ctx)? {
            made_from.push_str(&format!(" {} {}", place.display(), digest::of_file(&file)?));
        }
        let signature = digest::of_bytes(made_from.as_bytes());
        let what = ("debian.img", "Debian on a disk");
        let disk = self.disk(what, &signature, |disk, step| {
            disk::make(ctx, &self.debian, disk, &ctx.log("server-disk"), step)?;
            self.configure(disk, &plan, step)?;
            Ok("configured".to_owned())
        })?;
        Ok(Installed {
            disk,
            kernel: Kernel::C,
        })
    }

    /// Has a machine with Debian's kernel carry out `plan` on `disk`.
    fn configure(&self, disk: &Path, plan: &Plan, step: &Step) -> Result<()> {
        let ctx = self.ctx;
        let initramfs = ctx.logs.join("server-set-up.cpio");
        files::write_atomic(&initramfs, &image::host_initramfs(&self.programs, plan)?)?;
        let machine = Machine {
            name: "set-up".into(),
            cpu: CPUS[0],
            start: Start::Kernel {
                image: self.debian.kernel(),
                initramfs: initramfs.clone(),
                parameters: "console=ttyAMA0 panic=-1".into(),
            },
            disk: disk.to_owned(),
            keeps: true,
            virtio: Vec::new(),
            cable: None,
        };
        let outcome = machine.boot(ctx, (Kernel::C.world_switch(), plan), None, step)?;
        files::remove_all(&initramfs)?;
        outcome.check(plan).context("Debian cannot be configured")
    }

    /// The disk of a server where our package has been installed.
    fn install(&self, base: &Installed, package: &Path) -> Result<Installed> {
        let ctx = self.ctx;
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let release = release(&name)?;
        let plan = plans::install(&name, release);
        let signature = digest::of_bytes(
            format!(
                "{:?} {} {}",
                Stamp::of(&base.disk).signature(),
                digest::of_file(package)?,
                serde_json::to_string(&plan)?
            )
            .as_bytes(),
        );
        let what = ("kvm-rust.img", "our package on it");
        let disk = self.disk(what, &signature, |disk, step| {
            disk::copy(&base.disk, disk, &ctx.log("server-copy"), step)?;
            let mut manifest = self.service(&plan)?;
            manifest.file(name.as_ref(), package.to_owned())?;
            let machine = Machine {
                name: "install".into(),
                cpu: CPUS[0],
                start: self.firmware(),
                disk: disk.to_owned(),
                keeps: true,
                virtio: vec![("kvm-rust", self.tools("install", &manifest, step)?)],
                cable: None,
            };
            let outcome = machine.boot(ctx, (base.kernel.world_switch(), &plan), None, step)?;
            outcome
                .check(&plan)
                .context("our package cannot be installed")?;
            Ok(release.to_owned())
        })?;
        Ok(Installed {
            disk,
            kernel: Kernel::Rust,
        })
    }

    /// The guest's Debian, which is that of `base`.
    fn guest_disk(&self, base: &Installed) -> Result<PathBuf> {
        let signature = Stamp::of(&base.disk).signature().unwrap_or_default();
        let what = ("guest.img", "a guest's disk");
        self.disk(what, &signature, |disk, step| {
            let log = self.ctx.log("server-guest-disk");
            disk::copy_for_guests(&base.disk, disk, &log, step)?;
            Ok("copied".to_owned())
        })
    }

    /// The disk with what the guest does.
    fn guest(&self, step: &Step) -> Result<PathBuf> {
        let mut manifest = Manifest::default();
        manifest.file("start", self.programs.join("guest-init"))?;
        self.tools("guest", &manifest, step)
    }

    /// Boots two servers with `cpu`, and has a guest migrate from ours to Debian's and back.
    fn migrate(&self, cpu: Cpu, servers: &Servers, step: &Step) -> Result<[Outcome; 2]> {
        // Not in the cache folder, whose path may be longer than that of a socket can be.
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let guest = self.guest(step)?;
        let machine = |end, installed: &Installed| -> Result<(Machine, Plan)> {
            let plan = plans::migrate(end);
            let mut manifest = self.service(&plan)?;
            manifest.file("guest.erofs", guest.clone())?;
            let definition = domain::definition(&self.debian.release);
            manifest.bytes("guest.xml", definition.into_bytes());
            let name = format!("{}-{}", cpu.name(), installed.kernel.name());
            let machine = Machine {
                cpu,
                start: self.firmware(),
                disk: installed.disk.clone(),
                keeps: false,
                virtio: vec![
                    ("kvm-rust", self.tools(&name, &manifest, step)?),
                    // The same on both servers, as a guest's disk has to be.
                    ("debian", servers.guest_disk.clone()),
                ],
                cable: Some(Cable {
                    socket: folder.path().join("cable"),
                    end,
                }),
                name,
            };
            Ok((machine, plan))
        };
        let (first, second) = (&servers.rust, &servers.c);
        let machines = [machine(End::First, first)?, machine(End::Second, second)?];
        let in_vain = AtomicBool::new(false);
        let boot = |(machine, plan): &(Machine, Plan), installed: &Installed, step: &Step| {
            let wanted = (installed.kernel.world_switch(), plan);
            let outcome = machine.boot(self.ctx, wanted, Some(&in_vain), step);
            let failed = outcome.as_ref().map_or(true, |it| it.check(plan).is_err());
            // The other one would wait for it.
            in_vain.fetch_or(failed, Ordering::Relaxed);
            outcome
        };
        let beside = self
            .ctx
            .ui
            .step(&format!("{}: the other server", cpu.name()));
        let (one, other) = both(
            || boot(&machines[0], first, step),
            || boot(&machines[1], second, &beside),
        );
        beside.end("done");
        let outcomes = [one?, other?];
        let mut ended: Vec<_> = machines.iter().zip(&outcomes).collect();
        // What is wrong with a server that was stopped for the other's sake is with that one.
        ended.sort_by_key(|(_, outcome)| outcome.in_vain);
        for ((_, plan), outcome) in ended {
            outcome.check(plan)?;
        }
        Ok(outcomes)
    }
}

/// The release of the kernel in a package with this name.
fn release(package: &str) -> Result<&str> {
    let rest = package.strip_prefix("linux-image-");
    let release = rest.and_then(|rest| rest.split_once('_'));
    let (release, _) = release.with_context(|| format!("{package} is no kernel"))?;
    ensure!(!release.is_empty(), "{package} has no release");
    Ok(release)
}

/// Reads a CPU of the user, which must be one of [`CPUS`].
pub fn parse_cpu(value: &str) -> Result<Cpu> {
    let known = CPUS.map(Cpu::name);
    let cpu = CPUS.into_iter().find(|cpu| cpu.name() == value);
    cpu.ok_or_else(|| {
        hinted(
            format!("CPU={value} is not that of a server"),
            format!("CPU is one of: {}", known.join(" ")),
        )
    })
}

/// Steps that it takes.
pub fn steps_to_come(ctx: &Context, cpus: usize) -> usize {
    // Debian's packages, the programs, three disks, and two machines for each CPU.
    source::steps_to_come(ctx) + deb::STEPS + 5 + 2 * cpus
}

/// Tests the package on machines with these CPUs, and prints what was booted.
pub fn add(ctx: &Context, cpus: &[Cpu], results: &mut Results) {
    let rows: Vec<_> = match prepare(ctx) {
        Ok((place, servers)) => cpus
            .iter()
            .map(|&cpu| test(&place, cpu, &servers, results))
            .collect(),
        Err(error) => {
            let (verdict, detail) = Verdict::failed(&error);
            results.add(&ctx.ui, format!("{PREFIX}installed"), verdict, &detail);
            return;
        }
    };
    results.add(&ctx.ui, format!("{PREFIX}installed"), Verdict::Passed, "");
    print!("\n{}", table::render(&report::HEAD, &rows));
}

fn prepare(ctx: &Context) -> Result<(Place<'_>, Servers)> {
    let package = deb::kernel_package(ctx)?;
    let place = Place::new(ctx)?;
    let c = place.set_up()?;
    let rust = place.install(&c, &package)?;
    let guest_disk = place.guest_disk(&c)?;
    let servers = Servers {
        c,
        rust,
        guest_disk,
    };
    Ok((place, servers))
}

/// A guest that migrates from ours to Debian's and back. Returns a row of the table.
fn test(place: &Place, cpu: Cpu, servers: &Servers, results: &mut Results) -> Vec<String> {
    let ui = &place.ctx.ui;
    let name = format!("{PREFIX}{}", cpu.name());
    let step = ui.step(&name);
    let outcomes = place.migrate(cpu, servers, &step);
    let row = report::row(cpu, outcomes.as_ref().ok());
    let (verdict, detail) = Verdict::of(outcomes.map(drop));
    step.end(verdict.word());
    results.add(ui, name, verdict, &detail);
    row
}

/// Does all of it. True if all held.
pub fn run(ctx: &Context, cpus: &[Cpu]) -> Result<bool> {
    ctx.ui.expect(steps_to_come(ctx, cpus.len()));
    let mut results = Results::default();
    add(ctx, cpus, &mut results);
    println!("logs: {}", ctx.logs.display());
    println!("{}", results.summary());
    Ok(results.held())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_in_the_name_of_the_package() {
        let name = "linux-image-7.3.4-kvm-rust_7.3.4-1_arm64.deb";
        assert_eq!(release(name).unwrap(), "7.3.4-kvm-rust");
        assert!(release("linux-libc-dev_7.3.4-1_arm64.deb").is_err());
        assert!(release("linux-image-_7.3.4-1_arm64.deb").is_err());
    }

    #[test]
    fn another_cpu_than_a_servers_lists_those_there_are() {
        assert_eq!(parse_cpu("neoverse-v1").unwrap(), Cpu::NeoverseV1);
        let error = parse_cpu("max").unwrap_err();
        let hint = crate::error::hint(&error).unwrap();
        assert_eq!(hint, "CPU is one of: neoverse-n1 neoverse-v1 neoverse-n2");
    }
}
