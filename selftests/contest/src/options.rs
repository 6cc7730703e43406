// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{Parser, Subcommand, ValueEnum};

use crate::host_task::HostTask;
use crate::system::System;

/// Works the FP registers of the same CPUs from host tasks, from guests and
/// from softirqs, and checks that nobody's values change.
#[derive(Debug, Parser)]
#[command(name = "contest", args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub role: Option<Role>,
    /// How long host tasks and guests work against each other
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Host CPUs to work on
    #[arg(long, value_delimiter = ',', default_value = "0,1")]
    pub cpus: Vec<usize>,
    /// What the host tasks are
    #[arg(long, value_enum, default_value_t = Tasks::Ours)]
    pub tasks: Tasks,
    /// Our host tasks on each CPU
    #[arg(long, default_value_t = 2)]
    pub host_tasks: usize,
    /// Guests
    #[arg(long, default_value_t = 2)]
    pub guests: usize,
    /// vCPUs of each guest
    #[arg(long, default_value_t = 2)]
    pub vcpus: usize,
    /// Who runs the guests
    #[arg(long, value_enum, default_value_t = Vmm::Ours)]
    pub vmm: Vmm,
    /// Make the guests of our VMM protected VMs
    #[arg(long)]
    pub protected: bool,
    /// Make the guests of our VMM hypervisors, each with a guest of its own
    #[arg(long, conflicts_with = "protected")]
    pub nested: bool,
    /// What guests of QEMU run
    #[arg(long, value_enum, default_value_t = System::Ours)]
    pub system: System,
    /// Do not use the FP registers in softirqs
    #[arg(long)]
    pub no_neon: bool,
    /// Have the kernel trace each call of KVM's functions and of the FP core's
    #[arg(long)]
    pub trace_functions: bool,
    /// Seconds that a guest may take to reach userspace
    #[arg(long, default_value_t = 120)]
    pub boot_timeout: u64,
    /// Guest kernel
    #[arg(long, default_value = "/kvm-rust/guest/Image")]
    pub kernel: String,
    /// Guest initramfs
    #[arg(long, default_value = "/kvm-rust/guest/initramfs.cpio")]
    pub initrd: String,
    /// That of guests that are hypervisors
    #[arg(long, default_value = "/kvm-rust/guest/hypervisor.cpio")]
    pub nested_initrd: String,
}

/// Other things than a contest that the program can do.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Be one host task of a contest
    #[command(hide = true)]
    HostTask(HostTask),
}

/// The VMM of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Vmm {
    Ours,
    Qemu,
}

/// Who works the FP registers on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tasks {
    /// Ours, which go through all vector lengths.
    Ours,
    /// The programs of the kernel's arm64/fp selftests, with signals.
    Kernel,
}
