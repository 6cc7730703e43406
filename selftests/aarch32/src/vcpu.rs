// SPDX-License-Identifier: GPL-2.0

//! A vCPU, and its exits to userspace.

use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure, Context, Result};
use kvm_bindings::{kvm_vcpu_events, kvm_vcpu_init, KVM_ARM_VCPU_EL1_32BIT, KVM_ARM_VCPU_PSCI_0_2};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use nix::errno::Errno;
use nix::sys::resource::{getrusage, UsageWho};

use crate::device::{Device, Request};
use crate::interface::{flag, DEVICE, ENTRY};
use crate::machine::Tally;
use crate::one_reg::{self, Alteration};

/// Size of the device.
const PAGE: u64 = 0x1000;

/// What happens to a vCPU while it works.
#[derive(Debug, Clone)]
pub enum Course {
    /// Nothing, for this time.
    Hold(Duration),
    /// These changes, one in each round.
    Alter(Vec<Alteration>),
}

impl Course {
    /// How long it takes, if it is known.
    pub fn duration(&self) -> Duration {
        match self {
            Self::Hold(duration) => *duration,
            Self::Alter(_) => Duration::ZERO,
        }
    }
}

/// One vCPU.
pub struct Vcpu {
    fd: VcpuFd,
    index: u32,
}

impl Vcpu {
    /// Creates vCPU `index`, in AArch32 state at the guest's entry.
    pub fn create(vm: &VmFd, index: u32, real_cpu: bool) -> Result<Self> {
        let fd = vm
            .create_vcpu(index.into())
            .with_context(|| format!("cannot create vCPU {index}"))?;
        let mut init = kvm_vcpu_init::default();
        vm.get_preferred_target(&mut init)
            .context("KVM names no vCPU type (KVM_ARM_PREFERRED_TARGET)")?;
        init.features[0] |= (1 << KVM_ARM_VCPU_PSCI_0_2) | (1 << KVM_ARM_VCPU_EL1_32BIT);
        fd.vcpu_init(&init)
            .with_context(|| format!("cannot initialise vCPU {index} (KVM_ARM_VCPU_INIT)"))?;
        let flags = if real_cpu { flag::REAL_CPU } else { 0 };
        for (register, value) in [
            (one_reg::PC, ENTRY),
            (one_reg::x(0), index),
            (one_reg::x(1), flags),
        ] {
            one_reg::set(&fd, register, value.into())?;
        }
        Ok(Self { fd, index })
    }

    /// Runs it on the calling thread until it has come to its end.
    pub fn run(mut self, vcpus: u32, course: &Course) -> Result<Tally> {
        let (until, alterations) = match course {
            Course::Hold(duration) => (Instant::now() + *duration, Vec::new()),
            Course::Alter(alterations) => (Instant::now(), alterations.clone()),
        };
        let mut device = Device::new(self.index, vcpus, alterations);
        let mut exits = 0;
        loop {
            exits += 1;
            let request = match self.fd.run() {
                Ok(VcpuExit::MmioRead(address, data)) => {
                    let more_time = Instant::now() < until;
                    let (value, request) = device.read(offset(address, data)?, more_time)?;
                    data.copy_from_slice(&value.to_le_bytes());
                    request
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    let offset = offset(address, data)?;
                    let mut value = [0; 4];
                    value.copy_from_slice(data);
                    device.write(offset, u32::from_le_bytes(value))?
                }
                Ok(VcpuExit::Intr) => Request::Nothing,
                Ok(exit) => {
                    let exit = format!("{exit:?}");
                    bail!("KVM_RUN ended with {exit}{}", self.place());
                }
                Err(error)
                    if matches!(Errno::from_raw(error.errno()), Errno::EINTR | Errno::EAGAIN) =>
                {
                    Request::Nothing
                }
                Err(error) => {
                    return Err(anyhow!(error).context(format!("KVM_RUN failed{}", self.place())));
                }
            };
            match request {
                Request::Nothing => {}
                Request::Abort => self.abort()?,
                Request::Alter(alteration, expected) => alteration
                    .apply(&self.fd, expected)
                    .with_context(|| format!("round {}", device.rounds()))?,
                Request::End => break,
            }
        }
        let usage = getrusage(UsageWho::RUSAGE_THREAD).context("cannot read the resource usage")?;
        Ok(Tally {
            rounds: device.rounds(),
            comparisons: device.comparisons,
            exits,
            preemptions: usage.involuntary_context_switches() as u64,
            noticed: device.noticed,
            exceptions: device.exceptions,
            lost: device.lost,
        })
    }

    /// Answers the access that is under way with an external abort.
    fn abort(&self) -> Result<()> {
        let mut events = kvm_vcpu_events::default();
        events.exception.ext_dabt_pending = 1;
        self.fd
            .set_vcpu_events(&events)
            .context("cannot give the guest an external abort (KVM_SET_VCPU_EVENTS)")
    }

    /// Where the guest is, for messages.
    fn place(&self) -> String {
        let mut pc = [0; 8];
        match self.fd.get_one_reg(one_reg::PC, &mut pc) {
            Ok(_) => format!(" at pc {:#x}", u64::from_le_bytes(pc)),
            Err(_) => String::new(),
        }
    }
}

/// The offset of an access in the device.
fn offset(address: u64, data: &[u8]) -> Result<u32> {
    let base = u64::from(DEVICE);
    ensure!(
        (base..base + PAGE).contains(&address) && data.len() == 4,
        "the guest accessed {} bytes at {address:#x}, where there is nothing",
        data.len()
    );
    Ok((address - base) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_device_are_accessed() {
        assert_eq!(offset(0x0900_0004, &[0; 4]).unwrap(), 4);
        assert!(offset(0x0900_1000, &[0; 4]).is_err());
        assert!(offset(0x0900_0004, &[0; 2]).is_err());
        assert!(offset(0x0800_0000, &[0; 4]).is_err());
    }
}
