// SPDX-License-Identifier: GPL-2.0
//! A host with SVE, and vCPUs that userspace makes calls on.

use crate::error::Error;
use crate::uaccess::{with_user_memory, UserMemory, UserPtr};
use crate::{bindings, kvm, kvm_vcpu, set_host_lengths, sve, view, Cpu, HostLengths, Mode};
use std::sync::{Mutex, MutexGuard};
use sve_abi::call::{Call, Errno, Memory, Outcome};
use sve_abi::id;

/// An address that userspace can have memory at.
const USER: usize = 0x1000;

/// What the kernel finds out of the host's lengths, it keeps for all tests.
static LENGTHS: Mutex<()> = Mutex::new(());

/// A host whose CPUs have these lengths.
pub(super) struct Host {
    cpu: Option<Cpu>,
    _lengths: MutexGuard<'static, ()>,
}

impl Host {
    pub(super) fn new(lengths: HostLengths) -> Self {
        let guard = LENGTHS.lock().unwrap_or_else(|e| e.into_inner());
        set_host_lengths(lengths);
        let mut cpu = Cpu::new(Mode::Vhe);
        if lengths.all != 0 {
            cpu.add_capability(bindings::ARM64_SVE);
        }
        let mut host = Self {
            cpu: Some(cpu),
            _lengths: guard,
        };
        host.run(sve::init);
        host
    }

    /// Runs code of the kernel.
    pub(super) fn run<T>(&mut self, code: impl FnOnce() -> T) -> T {
        let (cpu, result) = self.cpu.take().expect("is put back").run(code);
        self.cpu = Some(cpu);
        result
    }

    /// Calls a function of the kernel for a vCPU.
    pub(super) fn for_vcpu<T>(
        &mut self,
        vcpu: &mut Vcpu,
        code: impl FnOnce(&mut view::Vcpu<'_>) -> T,
    ) -> T {
        // SAFETY: It is there, and nobody else uses it.
        self.run(|| code(&mut unsafe { view::Vcpu::from_raw(&raw mut *vcpu.vcpu) }))
    }

    /// Makes a call on a vCPU, as KVM's C code hands it on.
    pub(super) fn call(&mut self, vcpu: &mut Vcpu, call: &Call) -> Outcome {
        let result = match call {
            Call::Init { sve } => return self.init(vcpu, *sve),
            _ if vcpu.vcpu.arch.cflags & bindings::VCPU_INITIALIZED == 0 => {
                return Outcome::Failed(Errno::ENOEXEC)
            }
            Call::FinalizeFromNowhere | Call::OneRegFromNowhere { .. } => {
                return Outcome::Failed(Errno::EFAULT)
            }
            Call::Finalize { feature } => self.for_vcpu(vcpu, |vcpu| sve::finalize(vcpu, *feature)),
            Call::Get { id, to } => return self.get(vcpu, *id, to),
            Call::Set { id, from } => {
                let (user, memory) = user(from);
                let (result, after) = with_user_memory(memory.clone(), || {
                    self.for_vcpu(vcpu, |vcpu| sve::one_reg::set(vcpu, *id, user))
                });
                assert_eq!(after, memory, "it was to be read");
                result
            }
            Call::List { .. } if !self.for_vcpu(vcpu, sve::is_finalized) => {
                return Outcome::Failed(Errno::EPERM)
            }
            Call::List { room: false } => return Outcome::Failed(Errno::E2BIG),
            Call::List { room: true } => return self.list(vcpu),
            Call::Run => {
                return Outcome::Failed(match self.for_vcpu(vcpu, sve::is_finalized) {
                    true => Errno::EINTR,
                    false => Errno::EPERM,
                })
            }
        };
        match result {
            Ok(()) => Outcome::Done,
            Err(error) => failed(error),
        }
    }

    fn init(&mut self, vcpu: &mut Vcpu, sve: bool) -> Outcome {
        let features = &mut vcpu.kvm.arch.vcpu_features[0];
        let cflags = &mut vcpu.vcpu.arch.cflags;
        let wanted = u64::from(sve) << bindings::KVM_ARM_VCPU_SVE;
        let is_initialised = *cflags & bindings::VCPU_INITIALIZED != 0;
        let has_sve = self
            .cpu
            .as_ref()
            .is_some_and(|cpu| cpu.has_capability(bindings::ARM64_SVE));
        if (sve && !has_sve) || (is_initialised && *features != wanted) {
            return Outcome::Failed(Errno::EINVAL);
        }
        *features = wanted;
        *cflags |= bindings::VCPU_INITIALIZED;
        self.for_vcpu(vcpu, sve::reset);
        Outcome::Done
    }

    fn get(&mut self, vcpu: &mut Vcpu, id: u64, to: &Memory) -> Outcome {
        let (user, mut memory) = user(to);
        if let Memory::ReadOnly(_) = to {
            memory.bytes.clear();
        }
        let (result, after) = with_user_memory(memory, || {
            self.for_vcpu(vcpu, |vcpu| sve::one_reg::get(vcpu, id, user))
        });
        match result {
            Ok(()) => Outcome::Read(after.bytes[..id::size(id)].to_vec()),
            Err(error) => failed(error),
        }
    }

    fn list(&mut self, vcpu: &mut Vcpu) -> Outcome {
        let count = self.for_vcpu(vcpu, sve::one_reg::count);
        let memory = Memory::Bytes(vec![0; 8 * count]);
        let (user, memory) = user(&memory);
        let (result, after) = with_user_memory(memory, || {
            self.for_vcpu(vcpu, |vcpu| sve::one_reg::list(vcpu, user))
        });
        assert_eq!(result, Ok(count));
        if count == 0 {
            // C lists these.
            return Outcome::Listed((0..32).map(id::v).collect());
        }
        let ids = after.bytes.chunks(8).map(|id| id.try_into().expect("8"));
        Outcome::Listed(ids.map(u64::from_le_bytes).collect())
    }
}

fn failed(error: Error) -> Outcome {
    Outcome::Failed(Errno::from_number(error.0).expect("an error of the ABI"))
}

/// Gives userspace `memory`, and returns where it is.
fn user(memory: &Memory) -> (UserPtr, UserMemory) {
    let (start, bytes) = match memory {
        Memory::Bytes(bytes) | Memory::ReadOnly(bytes) => (USER, bytes.clone()),
        Memory::Nowhere(address) => (*address as usize, Vec::new()),
    };
    let memory = UserMemory { start, bytes };
    (UserPtr::from_addr(start), memory)
}

/// A vCPU, and its VM.
pub(super) struct Vcpu {
    pub(super) kvm: Box<kvm>,
    pub(super) vcpu: Box<kvm_vcpu>,
}

impl Vcpu {
    /// One that has been created, and no more.
    pub(super) fn new() -> Self {
        let mut kvm = Box::<kvm>::default();
        let mut vcpu = Box::<kvm_vcpu>::default();
        vcpu.kvm = &raw mut *kvm;
        Self { kvm, vcpu }
    }
}

/// A host whose CPUs all have these lengths.
pub(super) fn alike(all: u16) -> HostLengths {
    HostLengths { all, some: all }
}
