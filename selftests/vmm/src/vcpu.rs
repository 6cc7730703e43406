// SPDX-License-Identifier: GPL-2.0

//! A virtual CPU: its features, its registers and its exits.

use std::mem::offset_of;

use anyhow::{anyhow, bail, ensure, Context, Result};
use kvm_bindings::{
    kvm_regs, kvm_vcpu_init, KVM_ARM_VCPU_HAS_EL2, KVM_ARM_VCPU_POWER_OFF, KVM_ARM_VCPU_PSCI_0_2,
    KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_ARM_VCPU_SVE, KVM_CAP_ARM_MTE,
    KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC, KVM_CAP_ARM_SVE, KVM_REG_ARM64,
    KVM_REG_ARM64_SVE, KVM_REG_ARM64_SYSREG, KVM_REG_ARM_CORE, KVM_REG_SIZE_U512, KVM_REG_SIZE_U64,
    KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN,
};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use nix::errno::Errno;

use crate::between::Between;
use crate::console::Console;
use crate::layout::{MARKS, TEXT};
use crate::machine::enable_mte;
use crate::marks::{Mark, Observer};
use crate::options::{Options, SveLength};

/// KVM_CAP_ARM_EL2, which kvm-bindings does not have yet.
const CAP_EL2: u32 = 240;

/// KVM_REG_ARM64_SVE_VLS: a bit for each vector length, in quadwords less one.
const SVE_VLS: u64 = KVM_REG_ARM64 | KVM_REG_SIZE_U512 | KVM_REG_ARM64_SVE as u64 | 0xffff;

/// MPIDR_EL1 (op0 3, op1 0, CRn 0, CRm 0, op2 5).
const MPIDR_EL1: u64 = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG as u64 | 0xc005;

/// ID_AA64MMFR1_EL1 (op0 3, op1 0, CRn 0, CRm 7, op2 1).
const ID_AA64MMFR1_EL1: u64 =
    KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG as u64 | 0xc039;

/// The field LO of ID_AA64MMFR1_EL1: LORegions.
const LO: u64 = 0xf << 16;

/// Aff3 and Aff2 to Aff0 of MPIDR_EL1.
const MPIDR_AFFINITY: u64 = 0xff_00ff_ffff;

/// Id of the core register at `offset` in struct kvm_regs.
const fn core_register(offset: usize) -> u64 {
    KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE as u64 | (offset / 4) as u64
}

const X0: u64 = core_register(offset_of!(kvm_regs, regs.regs));
const PC: u64 = core_register(offset_of!(kvm_regs, regs.pc));

/// What all vCPUs of a machine have in common.
pub struct Features {
    init: kvm_vcpu_init,
    sve: SveLength,
    no_lor: bool,
}

impl Features {
    /// Chooses what the options ask for from what KVM offers this VM. Must
    /// come before the first vCPU, as MTE belongs to the whole VM.
    pub fn choose(vm: &VmFd, options: &Options) -> Result<Self> {
        let offered = |capability: u32| vm.check_extension_raw(capability.into()) > 0;
        // The host may well have what KVM withholds, for example MTE from all
        // guests of a host with pKVM.
        let refusal = if options.protected {
            "KVM offers none to a protected VM here"
        } else {
            "KVM offers none here"
        };

        let mut init = kvm_vcpu_init::default();
        vm.get_preferred_target(&mut init)
            .context("KVM names no vCPU type (KVM_ARM_PREFERRED_TARGET)")?;
        let mut add = |feature: u32| init.features[0] |= 1 << feature;
        add(KVM_ARM_VCPU_PSCI_0_2);

        if !options.no_pauth
            && offered(KVM_CAP_ARM_PTRAUTH_ADDRESS)
            && offered(KVM_CAP_ARM_PTRAUTH_GENERIC)
        {
            add(KVM_ARM_VCPU_PTRAUTH_ADDRESS);
            add(KVM_ARM_VCPU_PTRAUTH_GENERIC);
        }

        let sve = match options.sve_vl {
            SveLength::Max if !offered(KVM_CAP_ARM_SVE) => SveLength::Off,
            wanted => wanted,
        };
        if sve != SveLength::Off {
            ensure!(
                offered(KVM_CAP_ARM_SVE),
                "the guest cannot have SVE: {refusal} (use --sve-vl off)"
            );
            add(KVM_ARM_VCPU_SVE);
        }

        if options.el2 {
            ensure!(
                offered(CAP_EL2),
                "the guest cannot have EL2: {refusal} (boot the host with kvm-arm.mode=nested)"
            );
            add(KVM_ARM_VCPU_HAS_EL2);
        }

        if options.mte {
            ensure!(
                offered(KVM_CAP_ARM_MTE),
                "the guest cannot have MTE: {refusal} (leave --mte out)"
            );
            enable_mte(vm)?;
        }
        Ok(Self {
            init,
            sve,
            no_lor: options.no_lor,
        })
    }
}

/// One virtual CPU.
pub struct Vcpu(VcpuFd);

impl Vcpu {
    /// Creates vCPU `index`. All but the first wait for the guest's CPU_ON.
    pub fn create(vm: &VmFd, index: u8, features: &Features) -> Result<Self> {
        let vcpu = Self(
            vm.create_vcpu(index.into())
                .with_context(|| format!("cannot create vCPU {index}"))?,
        );
        let mut init = features.init;
        if index > 0 {
            init.features[0] |= 1 << KVM_ARM_VCPU_POWER_OFF;
        }
        vcpu.0
            .vcpu_init(&init)
            .with_context(|| format!("cannot initialise vCPU {index} (KVM_ARM_VCPU_INIT)"))?;
        if features.sve != SveLength::Off {
            vcpu.finalize_sve(features.sve)
                .with_context(|| format!("cannot set up SVE of vCPU {index}"))?;
        }
        if features.no_lor {
            vcpu.take_lor()
                .with_context(|| format!("cannot take LORegions from vCPU {index}"))?;
        }
        Ok(vcpu)
    }

    /// Says in ID_AA64MMFR1_EL1 that there are no LORegions.
    fn take_lor(&self) -> Result<()> {
        let value = self
            .register(ID_AA64MMFR1_EL1)
            .context("cannot read ID_AA64MMFR1_EL1")?;
        self.0
            .set_one_reg(ID_AA64MMFR1_EL1, &(value & !LO).to_le_bytes())
            .context("KVM refuses this value of ID_AA64MMFR1_EL1")?;
        Ok(())
    }

    /// Limits the vector lengths and fixes them.
    fn finalize_sve(&self, length: SveLength) -> Result<()> {
        if let SveLength::Quadwords(longest) = length {
            let mut lengths = [0; 64];
            self.0
                .get_one_reg(SVE_VLS, &mut lengths)
                .context("cannot read KVM_REG_ARM64_SVE_VLS")?;
            keep_up_to(&mut lengths, longest);
            self.0
                .set_one_reg(SVE_VLS, &lengths)
                .context("KVM refuses this set of vector lengths")?;
        }
        self.0
            .vcpu_finalize(&(KVM_ARM_VCPU_SVE as i32))
            .context("cannot fix the vector lengths (KVM_ARM_VCPU_FINALIZE)")
    }

    /// The affinity fields of MPIDR_EL1, by which the device tree and PSCI
    /// name this vCPU.
    pub fn affinity(&self) -> Result<u64> {
        Ok(self.register(MPIDR_EL1).context("cannot read MPIDR_EL1")? & MPIDR_AFFINITY)
    }

    /// Sets the registers that the boot protocol asks for. KVM has put the
    /// vCPU into EL1 with interrupts masked already.
    pub fn set_entry(&self, entry: u64, fdt: u64) -> Result<()> {
        for (id, value) in [(PC, entry), (X0, fdt)] {
            self.0
                .set_one_reg(id, &value.to_le_bytes())
                .context("cannot set the entry point")?;
        }
        Ok(())
    }

    /// Runs until the guest powers off (`Ok`) or something cannot go on.
    pub fn run(
        mut self,
        console: &Console,
        mut between: Between,
        observer: &dyn Observer,
    ) -> Result<()> {
        loop {
            match self.0.run() {
                Ok(VcpuExit::MmioRead(address, data)) => console.read(address, data)?,
                Ok(VcpuExit::MmioWrite(MARKS, data)) => observer.mark(Mark::of(data)?)?,
                Ok(VcpuExit::MmioWrite(TEXT, data)) => console.write_text(data)?,
                Ok(VcpuExit::MmioWrite(address, data)) => console.write(address, data)?,
                Ok(VcpuExit::SystemEvent(kind, _)) => return system_event(kind),
                Ok(VcpuExit::Intr) => {}
                Ok(exit) => {
                    let exit = format!("{exit:?}");
                    bail!("KVM_RUN ended with {exit}{}", self.place());
                }
                Err(error)
                    if matches!(Errno::from_raw(error.errno()), Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => {
                    return Err(anyhow!(error).context(format!("KVM_RUN failed{}", self.place())));
                }
            }
            between.act()?;
        }
    }

    /// Where the guest is, for messages.
    fn place(&self) -> String {
        self.register(PC)
            .map_or_else(|_| String::new(), |pc| format!(" at pc {pc:#x}"))
    }

    fn register(&self, id: u64) -> Result<u64> {
        let mut value = [0; 8];
        self.0.get_one_reg(id, &mut value)?;
        Ok(u64::from_le_bytes(value))
    }
}

/// Judges a system event of the guest: only SYSTEM_OFF is a good end.
fn system_event(kind: u32) -> Result<()> {
    match kind {
        KVM_SYSTEM_EVENT_SHUTDOWN => Ok(()),
        KVM_SYSTEM_EVENT_RESET => {
            bail!("the guest asked for a reset (with panic=-1 a panic does, see its console)")
        }
        KVM_SYSTEM_EVENT_CRASH => bail!("the guest reported a crash"),
        _ => bail!("the guest caused system event {kind}, which is not known here"),
    }
}

/// Clears the bits of all vector lengths above `longest` quadwords.
fn keep_up_to(lengths: &mut [u8; 64], longest: u32) {
    for bit in longest as usize..8 * lengths.len() {
        lengths[bit / 8] &= !(1 << (bit % 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_ids_are_those_of_the_documentation() {
        // Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG.
        assert_eq!(X0, 0x6030_0000_0010_0000);
        assert_eq!(PC, 0x6030_0000_0010_0040);
        assert_eq!(SVE_VLS, 0x6060_0000_0015_ffff);
        assert_eq!(MPIDR_EL1, 0x6030_0000_0013_c005);
        assert_eq!(ID_AA64MMFR1_EL1, 0x6030_0000_0013_c039);
    }

    #[test]
    fn vector_lengths_are_limited_from_above() {
        let mut lengths = [0xff; 64];
        keep_up_to(&mut lengths, 1);
        assert_eq!((lengths[0], lengths[1]), (1, 0));
        lengths = [0xff; 64];
        keep_up_to(&mut lengths, 9);
        assert_eq!((lengths[0], lengths[1], lengths[2]), (0xff, 1, 0));
    }

    #[test]
    fn only_a_shutdown_is_a_good_end() {
        assert!(system_event(KVM_SYSTEM_EVENT_SHUTDOWN).is_ok());
        assert!(system_event(KVM_SYSTEM_EVENT_RESET).is_err());
        assert!(system_event(KVM_SYSTEM_EVENT_CRASH).is_err());
        assert!(system_event(77).is_err());
    }
}
