// SPDX-License-Identifier: GPL-2.0
//! Everything that must be built before hosts can boot.

use crate::boot::{self, Host};
use crate::context::Context;
use crate::host::{Cpu, Mode, VectorLengths};
use crate::image::{self, InUse, Programs};
use crate::kernel::{self, Kernel, Variant};
use crate::plan::Plan;
use crate::side_by_side::{both, side_by_side};
use crate::{programs, source, tree};
use anyhow::{bail, Context as _, Result};
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Kernels that are built at the same time.
const SIDE_BY_SIDE: usize = 2;
/// Time until a host is up; emulation on a busy machine is slow.
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// The sanitizers make it slower still.
const SANITIZER_BOOT_LIMIT: Duration = Duration::from_secs(400);

/// Which host to boot and what for.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its kernel.
    pub variant: Variant,
    /// How KVM runs.
    pub mode: Mode,
    /// On which CPU.
    pub cpu: Cpu,
    /// With which vector lengths.
    pub vector_lengths: VectorLengths,
    /// With addresses of 52 bits, where the CPU can have them.
    pub lpa2: bool,
    /// Further kernel parameters.
    pub parameters: String,
    /// What it is to do.
    pub plan: Plan,
}

impl Spec {
    /// Its name in tables, logs and test names.
    pub fn name(&self) -> String {
        format!(
            "{}-{}-{}{}",
            self.variant.name(),
            self.mode.name(),
            self.cpu.name(),
            self.vector_lengths.suffix()
        )
    }
}

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// The programs in the images.
    pub programs: Programs,
    kernels: BTreeMap<Variant, Kernel>,
    disks: BTreeMap<Variant, InUse>,
    kept: Vec<PathBuf>,
}

/// Whether what hosts of a variant need could be built.
pub type Prepared = (Variant, Result<()>);

/// Copies what hosts boot from, so that another run that builds meanwhile does
/// not change it below them.
fn keep(kept: &mut Vec<PathBuf>, from: &Path, to: PathBuf) -> Result<PathBuf> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    // A link is enough for a file that is only ever replaced; kernels are
    // written in place.
    let linked = from.extension().is_some() && fs::hard_link(from, &to).is_ok();
    if !linked {
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    kept.push(to.clone());
    Ok(to)
}

impl Drop for Built {
    fn drop(&mut self) {
        for path in &self.kept {
            // What stays goes with the logs of this run.
            let _ = fs::remove_file(path);
        }
    }
}

/// How many steps it takes to build what hosts of these variants need, as far
/// as that can be told before sources are compared.
pub fn steps_to_come(ctx: &Context, variants: &[Variant], with_tests: bool) -> usize {
    let kernels: BTreeSet<Variant> = variants.iter().flat_map(|&v| [v, guest_of(v)]).collect();
    let guests: BTreeSet<Variant> = variants.iter().map(|&v| guest_of(v)).collect();
    source::steps_to_come(ctx)
        + programs::steps_to_come(ctx, with_tests)
        + image::common_steps_to_come(ctx)
        + kernels
            .iter()
            .map(|&v| kernel::steps_to_come(ctx, v))
            .sum::<usize>()
        + guests
            .iter()
            .map(|&v| image::steps_to_come(ctx, v))
            .sum::<usize>()
}

/// Builds the programs, and their tests if asked.
fn programs(ctx: &Context, with_tests: bool) -> Result<Programs> {
    Ok(Programs {
        kernels: programs::build_kernels(ctx)?,
        ours: programs::build_ours(ctx)?,
        armhf: programs::build_armhf(ctx)?,
        tests: match with_tests {
            true => Some(programs::build_tests(ctx)?),
            false => None,
        },
    })
}

/// The kernel of the guests on hosts with the kernel `variant`: its own, but a
/// guest need not be slowed down by the sanitizers or have faults.
fn guest_of(variant: Variant) -> Variant {
    match variant {
        Variant::C => Variant::C,
        Variant::Rust | Variant::Sanitizer | Variant::Faults | Variant::Soak | Variant::Mutants => {
            Variant::Rust
        }
    }
}

impl Built {
    /// Builds the programs, kernels and images for hosts of these variants.
    pub fn new(ctx: &Context, variants: &[Variant], with_tests: bool) -> Result<Self> {
        let mut built = Self {
            kernels: BTreeMap::new(),
            programs: programs(ctx, with_tests)?,
            disks: BTreeMap::new(),
            kept: Vec::new(),
        };
        for &variant in variants {
            built.add(ctx, variant)?;
        }
        Ok(built)
    }

    /// Builds what hosts of this variant need.
    pub fn add(&mut self, ctx: &Context, variant: Variant) -> Result<()> {
        let guest = guest_of(variant);
        for needed in [guest, variant] {
            if !self.kernels.contains_key(&needed) {
                self.take(ctx, kernel::build(ctx, needed)?)?;
            }
        }
        self.add_disk(ctx, guest)
    }

    /// Builds what hosts of these variants need, and says of each whether that
    /// succeeded. Kernels are built side by side, as there are times when a build
    /// has work for one CPU only. When those are there that share their objects, the
    /// others may be not: `meanwhile` gets what is there.
    pub fn add_all<T>(
        &mut self,
        ctx: &Context,
        variants: &[Variant],
        meanwhile: impl FnOnce(&Self) -> T,
    ) -> Result<(Vec<Prepared>, T)> {
        // Once, and not by each of them.
        if !ctx.no_build {
            drop(tree::prepare(ctx, &source::find(ctx)?)?);
        }
        let (alone, common): (Vec<_>, Vec<_>) = variants.iter().partition(|v| v.is_built_alone());
        let (first, copies) = common.split_at(common.len().min(1));
        let build = |variant: Variant| (variant, kernel::build(ctx, variant));
        let mut failed = BTreeMap::new();
        let mut take = |built: &mut Self, kernels: Vec<(Variant, Result<Kernel>)>| {
            for (variant, kernel) in kernels {
                if let Err(error) = kernel.and_then(|kernel| built.take(ctx, kernel)) {
                    failed.insert(variant, error);
                }
            }
        };
        let (alone, done) = both(
            || side_by_side(alone, SIDE_BY_SIDE, build),
            || {
                // The others begin as a copy of it.
                let mut kernels = side_by_side(first.to_vec(), SIDE_BY_SIDE, build);
                kernels.extend(side_by_side(copies.to_vec(), SIDE_BY_SIDE, build));
                take(self, kernels);
                meanwhile(self)
            },
        );
        take(self, alone);
        let broken: BTreeSet<Variant> = failed.keys().copied().collect();
        let mut result = |variant: Variant| {
            let guest = guest_of(variant);
            match failed.remove(&variant) {
                Some(error) => Err(error),
                None if broken.contains(&guest) => {
                    bail!("the kernel of its guests, {}, does not build", guest.name())
                }
                None => self.add(ctx, variant),
            }
        };
        Ok((variants.iter().map(|&v| (v, result(v))).collect(), done))
    }

    /// Keeps a kernel that was built.
    fn take(&mut self, ctx: &Context, mut kernel: Kernel) -> Result<()> {
        let copy = ctx.logs.join(format!("{}.Image", kernel.variant.name()));
        kernel.image = keep(&mut self.kept, &kernel.image, copy)?;
        kernel.check_is_there()?;
        self.kernels.insert(kernel.variant, kernel);
        Ok(())
    }

    /// Makes the disk for hosts with guests of this variant.
    fn add_disk(&mut self, ctx: &Context, guest: Variant) -> Result<()> {
        if let Entry::Vacant(place) = self.disks.entry(guest) {
            place.insert(image::disk_image(
                ctx,
                &self.kernels[&guest],
                &self.programs,
            )?);
        }
        Ok(())
    }

    /// The kernel `variant`.
    pub fn kernel(&self, variant: Variant) -> Result<&Kernel> {
        self.kernels
            .get(&variant)
            .with_context(|| format!("the kernel {} was not built", variant.name()))
    }

    /// The host that `spec` describes.
    pub fn host(&self, spec: &Spec) -> Result<Host> {
        let missing = || format!("the kernel {} was not built", spec.variant.name());
        Ok(Host {
            name: spec.name(),
            kernel: self.kernel(spec.variant)?.image.clone(),
            world_switch: Some(spec.variant.world_switch()),
            disk: self
                .disks
                .get(&guest_of(spec.variant))
                .with_context(missing)?
                .disk
                .clone(),
            mode: spec.mode,
            cpu: spec.cpu,
            vector_lengths: spec.vector_lengths,
            lpa2: spec.lpa2,
            parameters: spec.parameters.clone(),
            cpus: boot::CPUS,
            qemu_arguments: Vec::new(),
            boot_limit: match spec.variant {
                Variant::Sanitizer => SANITIZER_BOOT_LIMIT,
                _ => BOOT_LIMIT,
            },
            quiet: boot::QUIET,
            stops_at_failure: false,
            plan: spec.plan.clone(),
        })
    }
}
