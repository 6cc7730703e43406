// SPDX-License-Identifier: GPL-2.0

//! The virtual machine: its memory, its devices and its vCPUs.
//!
//! # Protected VMs
//!
//! What holds for a protected VM of Linux 7.3 (arch/arm64/kvm/pkvm.c and
//! hyp/nvhe/pkvm.c there), and what follows from it here:
//!
//! - A page is taken away from the host when the guest first touches it, with
//!   its contents. So kernel, initramfs and device tree are written to memory
//!   before the first KVM_RUN, as for any guest, and never looked at again:
//!   the host would get SIGSEGV.
//! - Memory must be private and anonymous, or a memfd; there is no read-only
//!   memory slot and no dirty log; it counts against RLIMIT_MEMLOCK.
//! - An access where there is no memory slot still exits to the VMM with
//!   address and data (MMIO_GUARD is not among the hypercalls that the
//!   hypervisor offers such a guest), so the UART needs nothing special. An
//!   access without a syndrome gives the guest an external abort.
//! - Registers are not isolated yet: the host copies them in and out, so the
//!   boot vCPU starts where KVM_SET_ONE_REG says.
//! - Pointer authentication is offered, SVE and MTE are not. KVM answers
//!   KVM_CHECK_EXTENSION on the VM accordingly, which is why all features are
//!   asked for there and not on /dev/kvm.
//! - Without pointer authentication (`--no-pauth`) the guest still reads
//!   generic authentication from ID_AA64ISAR1_EL1.{GPA,GPI}, while its use is
//!   an undefined instruction. Linux needs `arm64.nopauth` on its command line
//!   then, or panics at its first switch of tasks.
//! - The end takes a hypercall for each page that the guest touched: under
//!   emulation seconds for 256 MiB.
//! - Creating one taints the host's kernel with TAINT_USER (64).

use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{ensure, Context, Result};
use kvm_bindings::{kvm_enable_cap, kvm_userspace_memory_region, KVM_CAP_ARM_MTE};
use kvm_ioctls::{DeviceFd, Kvm, VmFd};
use nix::sched::{sched_setaffinity, CpuSet};
use nix::sys::resource::{setrlimit, Resource, RLIM_INFINITY};
use nix::unistd::Pid;
use vm_memory::{Address, GuestMemory, GuestMemoryMmap, GuestMemoryRegion};

use crate::between::{self, Between};
use crate::console::Console;
use crate::fdt::{self, Guest};
use crate::gic;
use crate::layout::RAM;
use crate::marks::Observer;
use crate::memory;
use crate::options::Options;
use crate::outcome::Outcome;
use crate::retry::until_not_interrupted;
use crate::vcpu::{Features, Vcpu};

/// KVM_VM_TYPE_ARM_PROTECTED, which kvm-bindings does not have yet.
const VM_TYPE_PROTECTED: u64 = 1 << 31;

/// Size of the guest physical address space where the host allows it; KVM's
/// own default.
const IPA_BITS: u32 = 40;

/// A machine that is ready to run.
pub struct Machine {
    vcpus: Vec<Vcpu>,
    shared: Arc<Shared>,
}

/// What the vCPU threads share. KVM uses the memory as long as one of them
/// can run, and each of them holds a reference.
pub struct Shared {
    /// The only device of this program.
    pub console: Console,
    _memory: GuestMemoryMmap,
    _gic: DeviceFd,
}

impl Machine {
    /// Creates the VM and loads the guest.
    pub fn new(options: &Options) -> Result<Self> {
        let kvm = Kvm::new().context(
            "cannot open /dev/kvm (the host needs a kernel with CONFIG_KVM that was entered at EL2)",
        )?;
        let vm = Arc::new(create_vm(&kvm, options)?);

        let size = options.memory << 20;
        let memory = memory::map(size)?;
        let (entry, placement) =
            memory::load(&memory, size, &options.kernel, options.initrd.as_deref())?;
        add_memory(&vm, &memory)?;

        let features = Features::choose(&vm, options)?;
        let vcpus = (0..options.cpus)
            .map(|index| Vcpu::create(&vm, index, &features))
            .collect::<Result<Vec<_>>>()?;
        let gic = gic::create(&vm, options.el2)?;
        let console = Console::new(vm);

        let affinities = vcpus
            .iter()
            .map(Vcpu::affinity)
            .collect::<Result<Vec<_>>>()?;
        let blob = fdt::build(&Guest {
            cmdline: &options.cmdline,
            affinities: &affinities,
            memory: size,
            placement: &placement,
            el2: options.el2,
        })?;
        memory::write_fdt(&memory, &placement, &blob)?;
        vcpus[0].set_entry(entry, placement.fdt)?;

        Ok(Self {
            vcpus,
            shared: Arc::new(Shared {
                console,
                _memory: memory,
                _gic: gic,
            }),
        })
    }

    /// Starts the vCPUs, each in a thread that reports how it ends. None of them runs
    /// before all threads are at `start`, and known to `observer`.
    pub fn start(
        self,
        options: &Options,
        start: &Arc<Barrier>,
        report: &Sender<Outcome>,
        observer: &Arc<dyn Observer>,
    ) -> Result<()> {
        for (index, vcpu) in self.vcpus.into_iter().enumerate() {
            let cpu = match options.pin.len() {
                0 => None,
                pins => Some(options.pin[index % pins]),
            };
            let realtime = options.realtime;
            let between = Between::new(options);
            let shared = Arc::clone(&self.shared);
            let start = Arc::clone(start);
            let report = report.clone();
            let observer = Arc::clone(observer);
            thread::Builder::new()
                .name(format!("vcpu{index}"))
                .spawn(move || {
                    let prepared = pin(cpu)
                        .and_then(|()| between::schedule(realtime))
                        .and_then(|()| observer.vcpu_starts());
                    start.wait();
                    let outcome = prepared
                        .and_then(|()| vcpu.run(&shared.console, between, &*observer))
                        .map_or_else(
                            |error| Outcome::Failed(error.context(format!("vCPU {index}"))),
                            |()| Outcome::PoweredOff,
                        );
                    // The receiver is gone only when the run has ended anyway.
                    let _ = report.send(outcome);
                })
                .with_context(|| format!("cannot start the thread of vCPU {index}"))?;
        }
        Ok(())
    }
}

fn create_vm(kvm: &Kvm, options: &Options) -> Result<VmFd> {
    // 0 stands for a kernel without KVM_CAP_ARM_VM_IPA_SIZE, which has 40 bits.
    let ipa_bits = match kvm.get_host_ipa_limit() {
        limit if limit > 0 => IPA_BITS.min(limit as u32),
        _ => IPA_BITS,
    };
    let end = RAM + (options.memory << 20);
    ensure!(
        end <= 1 << ipa_bits,
        "{} MiB of guest memory do not fit into the host's {ipa_bits}-bit guest physical addresses",
        options.memory
    );
    if !options.protected {
        return until_not_interrupted(|| kvm.create_vm_with_ipa_size(ipa_bits))
            .context("cannot create a VM");
    }
    // Refused without CAP_SYS_RESOURCE; then the limit in force may still do,
    // and CAP_IPC_LOCK makes it irrelevant. Running out is an error of KVM_RUN.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    let kind = VM_TYPE_PROTECTED | u64::from(ipa_bits);
    until_not_interrupted(|| kvm.create_vm_with_type(kind))
        .context("cannot create a protected VM (boot the host with kvm-arm.mode=protected)")
}

/// Gives the guest its memory.
fn add_memory(vm: &VmFd, memory: &GuestMemoryMmap) -> Result<()> {
    for (slot, region) in memory.iter().enumerate() {
        let region = kvm_userspace_memory_region {
            slot: slot as u32,
            guest_phys_addr: region.start_addr().raw_value(),
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
            flags: 0,
        };
        // SAFETY: The region is a mapping of `memory`, which lives in `Shared`
        // for as long as a vCPU thread does, and nothing else in this process
        // holds a reference into it: it is only accessed through vm-memory's
        // volatile operations, and only before the guest runs.
        unsafe { vm.set_user_memory_region(region) }
            .context("cannot give the guest its memory (KVM_SET_USER_MEMORY_REGION)")?;
    }
    Ok(())
}

/// Enables memory tagging for the VM.
pub fn enable_mte(vm: &VmFd) -> Result<()> {
    vm.enable_cap(&kvm_enable_cap {
        cap: KVM_CAP_ARM_MTE,
        ..Default::default()
    })
    .context("cannot enable MTE")
}

fn pin(cpu: Option<usize>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .with_context(|| format!("cannot run on CPU {cpu} (--pin)"))
}
