// SPDX-License-Identifier: GPL-2.0

//! A virtual machine with the guest in it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use kvm_bindings::{kvm_userspace_memory_region, KVM_CAP_ARM_EL1_32BIT};
use kvm_ioctls::{DeviceFd, Kvm, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryMmap, GuestMemoryRegion};

use crate::affinity;
use crate::gic;
use crate::interface::{RAM, RAM_SIZE};
use crate::options::Options;
use crate::retry::until_not_interrupted;
use crate::vcpu::{Course, Vcpu};

/// The guest, as `build.rs` made it.
const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest"));

/// Time that a guest may take longer than its course: an emulated one has a
/// CPU that is shared with others.
const SLACK: Duration = Duration::from_secs(90);

/// What a vCPU did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Rounds: all registers were filled.
    pub rounds: u32,
    /// Comparisons of a register.
    pub comparisons: u32,
    /// Exits to userspace.
    pub exits: u64,
    /// Times that the vCPU's thread had to leave the CPU.
    pub preemptions: u64,
    /// Alterations that the guest noticed.
    pub noticed: u64,
    /// Exceptions that the guest took.
    pub exceptions: u32,
    /// Those of them whose SPSR the emulated CPU lost.
    pub lost: u32,
}

/// A machine that is ready to run.
pub struct Machine {
    vcpus: Vec<Vcpu>,
    // KVM uses the memory as long as a vCPU can run; see `run`.
    memory: GuestMemoryMmap,
    gic: DeviceFd,
    vm: VmFd,
}

fn open() -> Result<Kvm> {
    Kvm::new().context(
        "cannot open /dev/kvm (the host needs a kernel with CONFIG_KVM that was entered at EL2)",
    )
}

/// True where guests can be in AArch32 state at EL1.
pub fn supported() -> Result<bool> {
    Ok(open()?.check_extension_raw(KVM_CAP_ARM_EL1_32BIT.into()) > 0)
}

impl Machine {
    /// Creates the machine, with the guest in its memory.
    pub fn new(options: &Options) -> Result<Self> {
        let kvm = open()?;
        let vm = until_not_interrupted(|| kvm.create_vm()).context("cannot create a VM")?;
        let base = GuestAddress(RAM.into());
        let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(base, RAM_SIZE as usize)])
            .context("cannot map the guest's memory")?;
        memory
            .write_slice(IMAGE, base)
            .context("cannot write the guest to its memory")?;
        for region in memory.iter() {
            let region = kvm_userspace_memory_region {
                slot: 0,
                guest_phys_addr: RAM.into(),
                memory_size: region.len(),
                userspace_addr: region.as_ptr() as u64,
                flags: 0,
            };
            // SAFETY: The region is a mapping of `memory`, which outlives the
            // threads of the vCPUs: see `run`. Nothing in this process accesses
            // it from here on.
            unsafe { vm.set_user_memory_region(region) }
                .context("cannot give the guest its memory (KVM_SET_USER_MEMORY_REGION)")?;
        }
        let vcpus = (0..options.vcpus)
            .map(|index| Vcpu::create(&vm, index, options.real_cpu))
            .collect::<Result<Vec<_>>>()?;
        let gic = gic::create(&vm, false)?;
        Ok(Self {
            vcpus,
            memory,
            gic,
            vm,
        })
    }

    /// Runs all vCPUs on the same CPU.
    pub fn run(self, options: &Options, course: &Course) -> Result<Vec<Tally>> {
        let count = self.vcpus.len();
        let cpu = options.cpu;
        let (report, reports) = mpsc::channel();
        for (index, vcpu) in self.vcpus.into_iter().enumerate() {
            let report = report.clone();
            let course = course.clone();
            thread::Builder::new()
                .name(format!("vcpu{index}"))
                .spawn(move || {
                    let tally =
                        affinity::pin(&[cpu]).and_then(|()| vcpu.run(count as u32, &course));
                    // The receiver is gone only when another vCPU has failed.
                    let _ = report.send(tally.with_context(|| format!("vCPU {index}")));
                })
                .with_context(|| format!("cannot start the thread of vCPU {index}"))?;
        }
        drop(report);
        // On failure other vCPUs still run, and need what the machine has. The
        // end of the process, which follows, takes it from them.
        let rest = std::mem::ManuallyDrop::new((self.memory, self.gic, self.vm));
        let deadline = Instant::now() + course.duration() + SLACK;
        let mut tallies = Vec::new();
        while tallies.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            match reports.recv_timeout(left) {
                Ok(tally) => tallies.push(tally?),
                Err(_) => bail!(
                    "{} of {count} vCPUs have not come to their end within {} seconds",
                    count - tallies.len(),
                    (course.duration() + SLACK).as_secs()
                ),
            }
        }
        drop(std::mem::ManuallyDrop::into_inner(rest));
        Ok(tallies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::{ENTRY, STACKS, STACK_SIZE, TABLES, VECTORS};
    use crate::layout::{
        GIC_DISTRIBUTOR, GIC_REDISTRIBUTOR, GIC_REDISTRIBUTOR_SIZE, MAX_CPUS, UART,
    };

    fn word(address: u32) -> u32 {
        let at = (address - RAM) as usize;
        u32::from_le_bytes(IMAGE[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn the_image_has_what_the_interface_says_in_its_places() {
        const { assert!(STACKS + MAX_CPUS as u32 * STACK_SIZE <= RAM + RAM_SIZE) };
        assert!(IMAGE.len() < (STACKS - RAM) as usize);
        // Copies of the vectors branch to the same places.
        let target = |address: u32| {
            let offset = (word(address) << 8) as i32 >> 6;
            address.wrapping_add_signed(offset)
        };
        for vector in [0x4, 0x8, 0xc, 0x10, 0x18, 0x1c] {
            let place = target(VECTORS + vector);
            assert!((ENTRY..STACKS).contains(&place), "{vector:#x}");
            assert_eq!(place, target(VECTORS + 0xfe0 + vector));
        }
        // cps #0x1f: System mode.
        assert_eq!(word(ENTRY), 0xf102_001f);
    }

    #[test]
    fn the_tables_map_each_address_to_itself() {
        for table in (0..4).map(|copy| TABLES + copy * 0x4000) {
            let descriptor = |address: u64| word(table + (address >> 20) as u32 * 4);
            let last = GIC_REDISTRIBUTOR + u64::from(MAX_CPUS - 1) * GIC_REDISTRIBUTOR_SIZE;
            for address in [GIC_DISTRIBUTOR, last, UART, RAM.into()] {
                let section = u64::from(descriptor(address) & 0xfff0_0000);
                assert_eq!(section, address & 0xfff0_0000);
                assert_eq!(descriptor(address) & 3, 2, "a section: {address:#x}");
            }
            assert_eq!(descriptor(0), 0, "nothing is mapped there");
        }
    }
}
