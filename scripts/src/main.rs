// SPDX-License-Identifier: GPL-2.0
//! The host-side tool of this project: gets the kernel source, puts the
//! overlay into it, builds it, boots it and tests it. It runs with the tools
//! that scripts/enter provides; scripts/xtask starts it.

mod apt;
mod behaviours;
mod bench;
mod boot;
mod build_proof;
mod changed_copy;
// Kbuild, which builds this program, does not run the unit tests in it.
#[cfg(test)]
#[allow(dead_code, reason = "all but the tests is for the kernel's build")]
#[path = "../../arch-arm64-kvm/calls/check_calls.rs"]
mod check_calls;
mod checks;
mod compare;
mod compile;
mod configurations;
mod console;
mod contest;
mod context;
mod cpio;
mod deb;
mod digest;
mod disk;
mod distance;
mod documents;
mod earlier;
mod entry;
mod error;
mod explored;
mod faults;
mod files;
mod host;
mod host_row;
mod hostile;
mod hypervisor_flags;
mod image;
mod jobs;
mod kconfig;
mod kernel;
mod kernel_org;
mod kprobes;
mod kselftests;
mod libtest;
mod lints;
mod lock;
mod matrix;
mod moves;
mod mutation;
mod objects;
mod once;
mod overlay;
mod plan;
mod prepare;
mod process;
mod programs;
mod progress;
mod record;
mod reference;
mod report;
mod results;
mod run;
mod rust_analyzer;
mod series;
mod server;
mod side_by_side;
mod soak;
mod source;
mod stamp;
mod sve_abi;
mod switch_faults;
mod table;
mod test;
mod trace;
mod tree;
mod unsafe_count;
mod version;
mod versions;
mod warnings;

use anyhow::Result;
use clap::{Parser, Subcommand};
use context::Context;
use host::{parse, Cpu};
use kernel::Variant;
use matrix::Level;
use overlay::{Outcome, Overlay};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Fetches, patches, builds, boots and tests a KVM/arm64 host whose world
/// switch and FP/SIMD handling are Rust.
#[derive(Parser)]
struct Arguments {
    /// Take what was built last, whatever changed since
    #[arg(long, global = true)]
    no_build: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or fetch the kernel source and print where it is
    Source,
    /// Put the folders and patches of this repository into a kernel tree
    Apply {
        /// Take them out instead
        #[arg(long)]
        reverse: bool,
        /// The kernel tree
        tree: PathBuf,
    },
    /// Make patches that can be sent, and print where they are
    Patches {
        /// Build and boot the kernel of each instead, which takes an hour or more
        #[arg(long)]
        boot: bool,
        /// Only those with these numbers
        #[arg(long = "step", requires = "boot", value_name = "NUMBER")]
        steps: Vec<usize>,
    },
    /// Make the pages of Documentation/ and rustdoc of the code, and print where they are
    Docs,
    /// Build and boot configurations that people run
    Configurations {
        /// Names of those in scripts/configurations.toml; all if there is none
        names: Vec<String>,
    },
    /// Build Debian packages of a server's kernel, and print where they are
    Deb,
    /// Install the kernel package on emulated servers, and have a guest of libvirt migrate
    /// between them
    Server {
        /// neoverse-n1, neoverse-v1 or neoverse-n2; all of them, unless it is given
        #[arg(long)]
        cpu: Option<String>,
    },
    /// List what changed between two kernels in the C that is replaced; KDIR has the history
    Distance {
        /// The older kernel
        #[arg(long)]
        from: String,
        /// The newer one
        #[arg(long)]
        to: String,
        /// The kernel that this is for, if it is not the older one
        #[arg(long)]
        base: Option<String>,
    },
    /// Build kernels and print where each Image is
    Build {
        /// Which ones
        #[arg(required = true)]
        variants: Vec<Variant>,
    },
    /// Write rust-project.json for rust-analyzer and print where it is
    RustAnalyzer,
    /// Build the programs that run on the emulated host
    Programs,
    /// Boot a Rust host, run guests on it, and show what happened
    Run {
        /// vhe, nvhe, hvhe, protected or nested
        #[arg(long, default_value = "vhe")]
        mode: String,
        /// max, neoverse-n1, neoverse-v1, neoverse-n2 or cortex-a57
        #[arg(long, default_value = "max")]
        cpu: String,
    },
    /// Run the tests: everything that must pass
    Test {
        /// Only what a developer runs between edits
        #[arg(long, conflicts_with = "full")]
        quick: bool,
        /// Also what takes minutes under emulation
        #[arg(long)]
        full: bool,
        /// Only hosts and traces with this in their name, such as rust-vhe or
        /// trace-vhe; C hosts that Rust is compared with run, too
        #[arg(long, default_value = "")]
        host: String,
    },
    /// Make a page of what the last run of the tests came to, and print where it is
    Report {
        /// The results.json of another run
        #[arg(long)]
        results: Option<PathBuf>,
        /// Also look at it in a browser, as make test does
        #[arg(long)]
        in_a_browser: bool,
    },
    /// Make mistakes in the world switch, which must be noticed
    SwitchFaults {
        /// Only those with this in their name
        #[arg(default_value = "")]
        name: String,
    },
    /// Change the logic in many small ways, each of which a test must notice
    Mutation {
        /// Only files with this in their name
        #[arg(default_value = "")]
        file: String,
        /// Have booted hosts judge so many of the mutants, not the simulated CPU all
        #[arg(long, value_name = "COUNT")]
        hosts: Option<usize>,
    },
    /// Compare what C and Rust do from a guest's exit to its next entry
    Trace {
        /// vhe, nvhe, hvhe, protected or nested
        #[arg(long, default_value = "vhe")]
        mode: String,
        /// max, neoverse-n1, neoverse-v1, neoverse-n2 or cortex-a57
        #[arg(long, default_value = "max")]
        cpu: String,
        /// hypercall, vgic-mmio, vmm-mmio, timer, first-fp or all
        #[arg(long, default_value = "all")]
        exit: String,
    },
    /// Count what C and Rust execute for each exit, and judge it. bench.json and pictures
    /// come into the folder that OUTPUT names, or that of the logs
    Bench {
        /// vhe, nvhe, hvhe, protected, nested or all
        #[arg(long, default_value = "all")]
        mode: String,
        /// max, neoverse-n1, neoverse-v1, neoverse-n2 or cortex-a57
        #[arg(long, default_value = "max")]
        cpu: String,
        /// One of those of trace, first-sve, vcpu-switch, ipi, run-idle, run-fp,
        /// run-idle-fp-guest, run-fp-fp-guest or all
        #[arg(long, default_value = "all")]
        exit: String,
        /// Boot all hosts twice: what is counted may differ by less than 1 %
        #[arg(long)]
        check_stable: bool,
    },
    /// Have everything at work on a host at once, for hours
    Soak {
        /// How long in all: the modes share it
        #[arg(long, default_value_t = 2.0)]
        hours: f64,
        /// vhe, nvhe, hvhe, protected or nested; all of them, unless it is given
        #[arg(long)]
        mode: Option<String>,
        /// CPU model
        #[arg(long, default_value = "max")]
        cpu: String,
        /// Decides what happens, as far as a seed can; any, unless it is given
        #[arg(long)]
        seed: Option<u64>,
        /// Kernel: another one needs the options of scripts/config/soak.config
        #[arg(long, value_enum, default_value = "soak")]
        variant: Variant,
    },
    /// Boot a host and run a program of its image
    Boot {
        /// Kernel
        #[arg(long, value_enum, default_value = "rust")]
        variant: Variant,
        /// How KVM runs
        #[arg(long, default_value = "vhe")]
        mode: String,
        /// CPU model
        #[arg(long, default_value = "max")]
        cpu: String,
        /// Further kernel parameters
        #[arg(long, default_value = "")]
        parameters: String,
        /// Seconds before the program is killed
        #[arg(long, default_value_t = 300)]
        timeout: u64,
        /// Have the host wait for a debugger, with one CPU, nokaslr and no limits of time
        #[arg(long)]
        gdb: bool,
        /// Program and its arguments, such as /kvm-rust/bin/contest --seconds 5
        #[arg(last = true)]
        program: Vec<String>,
    },
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Apply { .. } => "apply",
            Self::Patches { .. } => "patches",
            Self::Docs => "docs",
            Self::Configurations { .. } => "configurations",
            Self::Deb => "deb",
            Self::Server { .. } => "server",
            Self::Distance { .. } => "distance",
            Self::Build { .. } => "build",
            Self::RustAnalyzer => "rust-analyzer",
            Self::Programs => "programs",
            Self::Run { .. } => "run",
            Self::Test { .. } => "test",
            Self::Report { .. } => "report",
            Self::SwitchFaults { .. } => "switch-faults",
            Self::Mutation { .. } => "mutation",
            Self::Trace { .. } => "trace",
            Self::Bench { .. } => "bench",
            Self::Soak { .. } => "soak",
            Self::Boot { .. } => "boot",
        }
    }
}

fn apply(ctx: &Context, tree: &Path, reverse: bool) -> Result<()> {
    let name = tree.display().to_string();
    let (version, outcome, done, nothing) = if reverse {
        let version = version::Version::of_tree(tree)?;
        version.check(&name)?;
        (
            version,
            overlay::reverse(tree)?,
            "reversed",
            "not applied: nothing to reverse",
        )
    } else {
        (
            overlay::supported(&ctx.checkout, tree, &name)?,
            overlay::apply(tree, &Overlay::read(&ctx.checkout)?)?,
            "applied",
            "already applied",
        )
    };
    match outcome {
        Outcome::Unchanged => println!("{}: {nothing}", tree.display()),
        Outcome::Changed(count) => println!("{}: {done} ({count} files)", tree.display()),
    }
    if let Some(untested) = version.untested() {
        println!("{}: {untested}", tree.display());
    }
    Ok(())
}

fn execute(arguments: &Arguments) -> Result<bool> {
    let command = &arguments.command;
    let ctx = Context::new(command.name(), arguments.no_build)?;
    process::handle_signals()?;
    match command {
        Command::Source => println!("{}", source::find(&ctx)?.path.display()),
        Command::Apply { reverse, tree } => apply(&ctx, tree, *reverse)?,
        Command::Patches { boot: false, .. } => return series::patches(&ctx),
        Command::Patches { boot: true, steps } => return series::boots::run(&ctx, steps),
        Command::Configurations { names } => return configurations::run(&ctx, names),
        Command::Docs => documents::docs(&ctx)?,
        Command::Deb => deb::deb(&ctx)?,
        Command::Server { cpu } => {
            let cpus = match cpu.as_deref() {
                None | Some("") => server::CPUS.to_vec(),
                Some(cpu) => vec![server::parse_cpu(cpu)?],
            };
            return server::run(&ctx, &cpus);
        }
        Command::Distance { from, to, base } => {
            distance::distance(&ctx, from, to, base.as_deref())?
        }
        Command::Build { variants } => {
            for &variant in variants {
                println!("{}", kernel::build(&ctx, variant)?.image.display());
            }
        }
        Command::Programs => {
            println!("{}", programs::build_kernels(&ctx)?.display());
            println!("{}", programs::build_ours(&ctx)?.display());
        }
        Command::Run { mode, cpu } => {
            return run::run(&ctx, parse("MODE", mode)?, parse("CPU", cpu)?)
        }
        Command::RustAnalyzer => println!("{}", rust_analyzer::write(&ctx)?.display()),
        Command::Test { quick, full, host } => {
            let level = match (quick, full) {
                (true, _) => Level::Quick,
                (_, true) => Level::Full,
                _ => Level::Normal,
            };
            return test::test(&ctx, level, host);
        }
        Command::Report {
            results,
            in_a_browser,
        } => return report::report(&ctx, results.as_deref(), *in_a_browser),
        Command::SwitchFaults { name } => return test::switch_faults(&ctx, name),
        Command::Mutation { file, hosts: None } => return mutation::run(&ctx, file),
        Command::Mutation {
            file,
            hosts: Some(count),
        } => return mutation::run_on_hosts(&ctx, file, *count),
        Command::Trace { mode, cpu, exit } => {
            let (mode, cpu) = (parse("MODE", mode)?, parse("CPU", cpu)?);
            return trace::trace(&ctx, mode, cpu, &trace::exits(exit, &trace::Exit::TRACED)?);
        }
        Command::Bench {
            mode,
            cpu,
            exit,
            check_stable,
        } => {
            let cpu: Cpu = parse("CPU", cpu)?;
            let modes = match mode.as_str() {
                "all" | "" => cpu.modes().to_vec(),
                mode => vec![parse("MODE", mode)?],
            };
            let exits = trace::exits(exit, &trace::Exit::ALL)?;
            // Of which scripts/xtask sees to it that it is there, and seen in here.
            let output = std::env::var_os("OUTPUT").filter(|path| !path.is_empty());
            let output = output.as_deref().map(Path::new);
            return bench::bench(&ctx, cpu, &modes, &exits, output, *check_stable);
        }
        Command::Soak {
            hours,
            mode,
            cpu,
            seed,
            variant,
        } => {
            let cpu: Cpu = parse("CPU", cpu)?;
            let modes = match mode.as_deref() {
                None | Some("") => cpu.modes().to_vec(),
                Some(mode) => vec![parse("MODE", mode)?],
            };
            let soak = soak::Soak {
                variant: *variant,
                modes,
                cpu,
                hours: *hours,
                seed: seed.unwrap_or_else(soak::any_seed),
            };
            return soak.run(&ctx);
        }
        Command::Boot {
            variant,
            mode,
            cpu,
            parameters,
            timeout,
            program,
            gdb,
        } => {
            let (mode, cpu) = (parse("MODE", mode)?, parse("CPU", cpu)?);
            let one = run::One {
                variant: *variant,
                mode,
                cpu,
                parameters: parameters.clone(),
                program: program.clone(),
                timeout_s: *timeout,
                gdb: *gdb,
            };
            return run::boot_one(&ctx, &one);
        }
    }
    Ok(true)
}

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            error::print(&error);
            ExitCode::FAILURE
        }
    }
}
