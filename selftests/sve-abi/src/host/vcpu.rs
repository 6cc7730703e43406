// SPDX-License-Identifier: GPL-2.0

//! vCPUs, and calls on them with any arguments.

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use anyhow::{Context, Result};
use kvm_bindings::{
    kvm_one_reg, kvm_vcpu_init, KVMIO, KVM_ARM_VCPU_PSCI_0_2, KVM_ARM_VCPU_SVE, KVM_CAP_ARM_SVE,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use nix::errno::Errno as SystemErrno;
use sve_abi::call::{Call, Errno, Memory, Outcome};
use sve_abi::id;
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr, ioctl_iowr_nr};

use super::memory::Arena;
use super::retry::until_not_interrupted;

ioctl_io_nr!(KVM_RUN, KVMIO, 0x80);
ioctl_iow_nr!(KVM_GET_ONE_REG, KVMIO, 0xab, kvm_one_reg);
ioctl_iow_nr!(KVM_SET_ONE_REG, KVMIO, 0xac, kvm_one_reg);
ioctl_iow_nr!(KVM_ARM_VCPU_INIT, KVMIO, 0xae, kvm_vcpu_init);
ioctl_iowr_nr!(KVM_GET_REG_LIST, KVMIO, 0xb0, u64);
ioctl_iow_nr!(KVM_ARM_VCPU_FINALIZE, KVMIO, 0xc2, c_int);

/// Room for a list of all registers.
const LIST: usize = 4096;

/// An address that is nobody's, for structures.
const NOWHERE: u64 = 8;

/// A VM whose vCPUs have SVE or not.
pub struct Vm {
    pub fd: VmFd,
    init: kvm_vcpu_init,
    sve: bool,
}

impl Vm {
    pub fn new(sve: bool) -> Result<Self> {
        let kvm = Kvm::new().context("cannot open /dev/kvm")?;
        // With 40 bits of address space. To go through all that a CPU can have takes an emulated
        // host two seconds when the VM goes.
        let fd = until_not_interrupted(|| kvm.create_vm_with_type(0));
        let fd = fd.context("cannot create a VM")?;
        let mut init = kvm_vcpu_init::default();
        fd.get_preferred_target(&mut init)
            .context("KVM names no vCPU type (KVM_ARM_PREFERRED_TARGET)")?;
        Ok(Self { fd, init, sve })
    }

    /// Makes vCPU `index`, which is not initialised.
    pub fn vcpu(&self, index: u64) -> Result<Vcpu> {
        let mut fd = self
            .fd
            .create_vcpu(index)
            .with_context(|| format!("cannot create vCPU {index}"))?;
        fd.set_kvm_immediate_exit(1);
        Ok(Vcpu {
            fd: Arc::new(fd),
            init: self.init,
            arena: Arena::new()?,
        })
    }

    /// Makes vCPU `index`, which is initialised.
    pub fn initialised(&self, index: u64) -> Result<Vcpu> {
        let mut vcpu = self.vcpu(index)?;
        vcpu.expect(&Call::Init { sve: self.sve }, &Outcome::Done)?;
        Ok(vcpu)
    }
}

fn features(mut init: kvm_vcpu_init, sve: bool) -> kvm_vcpu_init {
    init.features[0] = (1 << KVM_ARM_VCPU_PSCI_0_2) | (u32::from(sve) << KVM_ARM_VCPU_SVE);
    init
}

/// Whether KVM offers SVE.
pub fn has_sve() -> Result<bool> {
    let kvm = Kvm::new().context("cannot open /dev/kvm")?;
    Ok(kvm.check_extension_raw(KVM_CAP_ARM_SVE.into()) > 0)
}

/// A vCPU that is not run.
pub struct Vcpu {
    pub fd: Arc<VcpuFd>,
    init: kvm_vcpu_init,
    arena: Arena,
}

impl Vcpu {
    /// The same vCPU, for another thread.
    pub fn share(&self) -> Result<Self> {
        Ok(Self {
            fd: Arc::clone(&self.fd),
            init: self.init,
            arena: Arena::new()?,
        })
    }

    fn ioctl(&self, request: libc_ioctl::Request, argument: u64) -> Result<(), SystemErrno> {
        // SAFETY: What the kernel writes to, it writes to the arena, or to
        // structures that their callers have on their stacks.
        let result = unsafe { libc_ioctl::ioctl(self.fd.as_raw_fd(), request, argument) };
        SystemErrno::result(result).map(drop)
    }

    fn address_of<T>(value: &T) -> u64 {
        (&raw const *value) as u64
    }

    fn one_reg(&self, request: libc_ioctl::Request, id: u64, addr: u64) -> Result<(), SystemErrno> {
        self.ioctl(request, Self::address_of(&kvm_one_reg { id, addr }))
    }

    /// Makes `call`.
    pub fn call(&mut self, call: &Call) -> Result<Outcome> {
        let result = match call {
            Call::Init { sve } => {
                let init = features(self.init, *sve);
                self.ioctl(KVM_ARM_VCPU_INIT(), Self::address_of(&init))
            }
            Call::Finalize { feature } => {
                self.ioctl(KVM_ARM_VCPU_FINALIZE(), Self::address_of(feature))
            }
            Call::FinalizeFromNowhere => self.ioctl(KVM_ARM_VCPU_FINALIZE(), NOWHERE),
            Call::Get { id, to } => {
                let addr = self.arena.put(to);
                match self.one_reg(KVM_GET_ONE_REG(), *id, addr) {
                    Ok(()) => return Ok(Outcome::Read(self.arena.end(id::size(*id)))),
                    error => error,
                }
            }
            Call::Set { id, from } => {
                let addr = self.arena.put(from);
                self.one_reg(KVM_SET_ONE_REG(), *id, addr)
            }
            Call::OneRegFromNowhere { set: true } => self.ioctl(KVM_SET_ONE_REG(), NOWHERE),
            Call::OneRegFromNowhere { set: false } => self.ioctl(KVM_GET_ONE_REG(), NOWHERE),
            Call::List { room: true } => match self.list() {
                Ok(mut ids) => {
                    ids.retain(|&id| is_of_sve(id) || (0..32).any(|n| id::v(n) == id));
                    return Ok(Outcome::Listed(ids));
                }
                Err(error) => Err(error),
            },
            Call::List { room: false } => {
                let mut count = 0_u64;
                self.ioctl(KVM_GET_REG_LIST(), (&raw mut count) as u64)
            }
            Call::Run => self.ioctl(KVM_RUN(), 0),
        };
        match result {
            Ok(()) => Ok(Outcome::Done),
            Err(error) => Errno::from_number(error as i32)
                .map(Outcome::Failed)
                .with_context(|| {
                    format!("{call:x?} fails with {error}, which is none of the ABI's")
                }),
        }
    }

    /// Makes `call`, which must come to `outcome`.
    pub fn expect(&mut self, call: &Call, outcome: &Outcome) -> Result<()> {
        let is = self.call(call)?;
        anyhow::ensure!(
            is == *outcome,
            "{call:x?}\n  must come to {outcome:x?}\n  and came to  {is:x?}"
        );
        Ok(())
    }

    /// Whether KVM_RUN is to return before the guest runs.
    pub fn set_immediate_exit(&mut self, immediately: bool) -> Result<()> {
        self.alone()?.set_kvm_immediate_exit(immediately.into());
        Ok(())
    }

    /// Runs the guest until it leaves.
    pub fn run(&mut self) -> Result<VcpuExit<'_>, kvm_ioctls::Error> {
        match Arc::get_mut(&mut self.fd) {
            Some(fd) => fd.run(),
            None => Err(kvm_ioctls::Error::new(SystemErrno::EBUSY as i32)),
        }
    }

    fn alone(&mut self) -> Result<&mut VcpuFd> {
        Arc::get_mut(&mut self.fd).context("another thread has the vCPU as well")
    }

    /// The ids of all registers.
    pub fn list(&self) -> Result<Vec<u64>, SystemErrno> {
        let mut list = vec![0_u64; 1 + LIST];
        list[0] = LIST as u64;
        self.ioctl(KVM_GET_REG_LIST(), list.as_mut_ptr() as u64)?;
        let count = list[0] as usize;
        Ok(list[1..][..count].to_vec())
    }

    /// The value of a register.
    pub fn get(&mut self, id: u64) -> Result<Vec<u8>> {
        let to = Memory::Bytes(vec![0; id::size(id)]);
        match self.call(&Call::Get { id, to })? {
            Outcome::Read(value) => Ok(value),
            other => anyhow::bail!("{id:#x} cannot be read: {other:?}"),
        }
    }

    /// Sets a register.
    pub fn set(&mut self, id: u64, value: &[u8]) -> Result<()> {
        let from = Memory::ReadOnly(value.to_vec());
        self.expect(&Call::Set { id, from }, &Outcome::Done)
    }
}

/// Whether an id is of SVE's kind.
pub fn is_of_sve(id: u64) -> bool {
    id & 0xfff_0000 == id::SVE
}

/// `ioctl()`, with any argument.
mod libc_ioctl {
    use std::ffi::{c_int, c_ulong};

    pub type Request = c_ulong;

    unsafe extern "C" {
        pub fn ioctl(fd: c_int, request: Request, argument: u64) -> c_int;
    }
}
