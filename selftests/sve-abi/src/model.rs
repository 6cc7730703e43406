// SPDX-License-Identifier: GPL-2.0

//! What a vCPU's calls must come to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::call::{Call, Errno, Memory, Outcome, SVE};
use crate::id;

/// What a host can give to its guests.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Vector lengths that all its CPUs have: bit n is that of n + 1 quadwords.
    /// 0 without SVE.
    pub lengths: u16,
    /// The longest for guests, in quadwords.
    pub longest: u32,
}

impl Host {
    /// A host on which all CPUs have these lengths, and none has more.
    pub fn of_lengths(lengths: u16) -> Self {
        Self {
            lengths,
            longest: 16 - lengths.leading_zeros(),
        }
    }

    /// Whether it has SVE.
    pub fn has_sve(&self) -> bool {
        self.lengths != 0
    }

    /// The lengths that guests can have, in quadwords.
    pub fn quadwords(self) -> impl Iterator<Item = u32> {
        (1..=self.longest).filter(move |n| self.lengths & (1 << (n - 1)) != 0)
    }

    /// The value of KVM_REG_ARM64_SVE_VLS up to `longest` quadwords.
    pub fn set_up_to(&self, longest: u32) -> [u8; 64] {
        let mut words = [0; 64];
        let all = u32::from(self.lengths);
        let set = all & ((1 << longest) - 1);
        words[..4].copy_from_slice(&set.to_le_bytes());
        words
    }
}

/// SVE of a vCPU.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sve {
    Absent,
    Configurable { longest: u32 },
    Finalized { longest: u32, state: Registers },
}

/// Z0 to Z31; P0 to P15 and FFR.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registers {
    z: Vec<Vec<u8>>,
    p: Vec<Vec<u8>>,
}

impl Registers {
    fn new(longest: u32) -> Self {
        let bytes = 16 * longest as usize;
        Self {
            z: vec![vec![0; bytes]; 32],
            p: vec![vec![0; bytes / 8]; 17],
        }
    }
}

/// Which register an id is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    VectorLengths,
    /// Z, and the slice.
    Z(usize, u64),
    /// P or FFR, and the slice.
    P(usize, u64),
    /// A V register.
    V(usize),
    Fpsr,
    Fpcr,
}

/// Finds out which register an id is of, or why it is of none.
fn register(id: u64) -> Result<Register, Errno> {
    // Only the size may be other than an arm64 id has it there.
    let high = id & !(0xf << id::SIZE_SHIFT);
    if high >> 32 != id::ARM64 >> 32 {
        return Err(Errno::EINVAL);
    }
    match id & 0xfff_0000 {
        id::SVE => sve_register(id).ok_or(Errno::EINVAL),
        id::CORE => core_register(id),
        _ => panic!("{id:#x} is of no kind that the model knows"),
    }
}

/// All registers of SVE by their ids.
static SVE_REGISTERS: LazyLock<BTreeMap<u64, Register>> = LazyLock::new(|| {
    let mut registers = BTreeMap::from([(id::VECTOR_LENGTHS, Register::VectorLengths)]);
    for slice in 0..32 {
        let z = (0..32).map(|n| (id::z(n, slice), Register::Z(n as usize, slice)));
        let p = (0..16).map(|n| (id::p(n, slice), Register::P(n as usize, slice)));
        registers.extend(z.chain(p));
        registers.insert(id::ffr(slice), Register::P(16, slice));
    }
    registers
});

fn sve_register(id: u64) -> Option<Register> {
    SVE_REGISTERS.get(&id).copied()
}

/// Words of 32 bits in `struct kvm_regs`, behind whose end is FPCR and two
/// words that are nothing.
const CORE_WORDS: u64 = id::V0 + 4 * 32 + 4;

fn core_register(id: u64) -> Result<Register, Errno> {
    let word = id & 0xf00f_ffff & !id::CORE;
    if word >= CORE_WORDS || word + id::size(id) as u64 / 4 >= CORE_WORDS {
        return Err(Errno::ENOENT);
    }
    match id {
        id::FPSR => return Ok(Register::Fpsr),
        id::FPCR => return Ok(Register::Fpcr),
        _ => (),
    }
    match (0..32).find(|&n| id::v(n) == id) {
        Some(n) => Ok(Register::V(n as usize)),
        None if word < id::V0 => panic!("{id:#x} is of a register that the model does not know"),
        None => Err(Errno::EINVAL),
    }
}

/// A vCPU.
#[derive(Clone, Debug)]
pub struct Vcpu {
    host: Host,
    /// Whether the VM's vCPUs have SVE, once the first was initialised.
    vm_has_sve: Option<bool>,
    initialised: bool,
    sve: Sve,
    v: [[u8; 16]; 32],
    fpsr: [u8; 4],
    fpcr: [u8; 4],
}

impl Vcpu {
    /// One that has been created, and no more.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            vm_has_sve: None,
            initialised: false,
            sve: Sve::Absent,
            v: [[0; 16]; 32],
            fpsr: [0; 4],
            fpcr: [0; 4],
        }
    }

    /// The same, of a VM one of whose vCPUs was initialised already.
    pub fn of_vm(host: Host, sve: bool) -> Self {
        Self {
            vm_has_sve: Some(sve),
            ..Self::new(host)
        }
    }

    /// What `call` comes to.
    pub fn call(&mut self, call: &Call) -> Outcome {
        self.try_call(call).unwrap_or_else(Outcome::Failed)
    }

    fn try_call(&mut self, call: &Call) -> Result<Outcome, Errno> {
        if let Call::Init { sve } = *call {
            return self.init(sve);
        }
        if !self.initialised {
            return Err(Errno::ENOEXEC);
        }
        match call {
            Call::Init { .. } => unreachable!("is above"),
            Call::Finalize { feature } => self.finalize(*feature),
            Call::FinalizeFromNowhere | Call::OneRegFromNowhere { .. } => Err(Errno::EFAULT),
            Call::Get { id, to } => self.get(*id, to),
            Call::Set { id, from } => self.set(*id, from),
            Call::List { room } => self.list(*room),
            // It has not run, but it would.
            Call::Run if self.is_final() => Err(Errno::EINTR),
            Call::Run => Err(Errno::EPERM),
        }
    }

    fn is_final(&self) -> bool {
        !matches!(self.sve, Sve::Configurable { .. })
    }

    fn init(&mut self, sve: bool) -> Result<Outcome, Errno> {
        if sve && !self.host.has_sve() {
            return Err(Errno::EINVAL);
        }
        if *self.vm_has_sve.get_or_insert(sve) != sve {
            return Err(Errno::EINVAL);
        }
        self.initialised = true;
        self.sve = match self.sve {
            _ if !sve => Sve::Absent,
            Sve::Finalized { longest, .. } => Sve::Finalized {
                longest,
                state: Registers::new(longest),
            },
            _ => Sve::Configurable {
                longest: self.host.longest,
            },
        };
        self.v = [[0; 16]; 32];
        self.fpsr = [0; 4];
        self.fpcr = [0; 4];
        Ok(Outcome::Done)
    }

    fn finalize(&mut self, feature: i32) -> Result<Outcome, Errno> {
        if feature != SVE {
            return Err(Errno::EINVAL);
        }
        match self.sve {
            Sve::Absent => Err(Errno::EINVAL),
            Sve::Finalized { .. } => Err(Errno::EPERM),
            Sve::Configurable { longest } => {
                self.sve = Sve::Finalized {
                    longest,
                    state: Registers::new(longest),
                };
                Ok(Outcome::Done)
            }
        }
    }

    /// The bytes of a register that are kept, and whether the vCPU has it.
    fn bytes(&mut self, register: Register) -> Result<&mut [u8], Errno> {
        match register {
            Register::VectorLengths => unreachable!("is not kept"),
            Register::Z(_, slice) | Register::P(_, slice) => {
                let state = match &mut self.sve {
                    Sve::Absent => return Err(Errno::ENOENT),
                    _ if slice > 0 => return Err(Errno::ENOENT),
                    Sve::Configurable { .. } => return Err(Errno::EPERM),
                    Sve::Finalized { state, .. } => state,
                };
                Ok(match register {
                    Register::Z(n, _) => &mut state.z[n],
                    Register::P(n, _) => &mut state.p[n],
                    _ => unreachable!("is one of them"),
                })
            }
            Register::V(_) if self.sve != Sve::Absent => Err(Errno::EINVAL),
            Register::V(n) => Ok(&mut self.v[n]),
            Register::Fpsr => Ok(&mut self.fpsr),
            Register::Fpcr => Ok(&mut self.fpcr),
        }
    }

    fn get(&mut self, id: u64, to: &Memory) -> Result<Outcome, Errno> {
        let value = match register(id)? {
            Register::VectorLengths => match self.sve {
                Sve::Absent => return Err(Errno::ENOENT),
                Sve::Configurable { longest } | Sve::Finalized { longest, .. } => {
                    self.host.set_up_to(longest).to_vec()
                }
            },
            register => {
                let mut value = self.bytes(register)?.to_vec();
                value.resize(id::size(id), 0);
                value
            }
        };
        match to.takes(value.len()) {
            true => Ok(Outcome::Read(value)),
            false => Err(Errno::EFAULT),
        }
    }

    fn set(&mut self, id: u64, from: &Memory) -> Result<Outcome, Errno> {
        match register(id)? {
            Register::VectorLengths => self.set_vector_lengths(from)?,
            register => {
                let bytes = self.bytes(register)?;
                // What is behind it is not read.
                let value = from.read(bytes.len()).ok_or(Errno::EFAULT)?;
                bytes.copy_from_slice(value);
            }
        }
        Ok(Outcome::Done)
    }

    fn set_vector_lengths(&mut self, from: &Memory) -> Result<(), Errno> {
        let longest = match &mut self.sve {
            Sve::Absent => return Err(Errno::ENOENT),
            Sve::Finalized { .. } => return Err(Errno::EPERM),
            Sve::Configurable { longest } => longest,
        };
        let wanted = from.read(64).ok_or(Errno::EFAULT)?;
        // Of the sets that can be had, this is one.
        *longest = self
            .host
            .quadwords()
            .find(|&n| self.host.set_up_to(n) == wanted)
            .ok_or(Errno::EINVAL)?;
        Ok(())
    }

    fn list(&self, room: bool) -> Result<Outcome, Errno> {
        if !self.is_final() {
            return Err(Errno::EPERM);
        }
        if !room {
            return Err(Errno::E2BIG);
        }
        Ok(Outcome::Listed(match self.sve {
            Sve::Absent => (0..32).map(id::v).collect(),
            _ => id::all().collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_register_or_none() {
        assert_eq!(register(id::z(31, 31)), Ok(Register::Z(31, 31)));
        assert_eq!(register(id::p(15, 0)), Ok(Register::P(15, 0)));
        assert_eq!(register(id::ffr(1)), Ok(Register::P(16, 1)));
        assert_eq!(register(id::v(31)), Ok(Register::V(31)));
        assert_eq!(register(id::ffr(31) + 1), Err(Errno::EINVAL));
        // Another size.
        let id = id::z(0, 0) ^ (1 << id::SIZE_SHIFT);
        assert_eq!(register(id), Err(Errno::EINVAL));
        // Another architecture.
        assert_eq!(register(id::z(0, 0) ^ (1 << 60)), Err(Errno::EINVAL));
        assert_eq!(register(id::core(2, CORE_WORDS)), Err(Errno::ENOENT));
        // A V register by 32 bits.
        assert_eq!(register(id::core(2, id::V0)), Err(Errno::EINVAL));
    }

    #[test]
    fn a_vcpu_goes_from_state_to_state() {
        let mut vcpu = Vcpu::new(Host::of_lengths(0b1011));
        let get = Call::Get {
            id: id::z(0, 0),
            to: Memory::Bytes(vec![0; 256]),
        };
        let finalize = Call::Finalize { feature: SVE };
        assert_eq!(vcpu.call(&get), Outcome::Failed(Errno::ENOEXEC));
        assert_eq!(vcpu.call(&Call::Init { sve: true }), Outcome::Done);
        assert_eq!(vcpu.call(&get), Outcome::Failed(Errno::EPERM));
        let mut set = [0; 64];
        for (lengths, outcome) in [
            (0b11, Outcome::Done),
            // 3 quadwords are not the host's.
            (0b111, Outcome::Failed(Errno::EINVAL)),
            (0, Outcome::Failed(Errno::EINVAL)),
        ] {
            set[0] = lengths;
            let from = Memory::ReadOnly(set.to_vec());
            let id = id::VECTOR_LENGTHS;
            assert_eq!(vcpu.call(&Call::Set { id, from }), outcome, "{lengths:b}");
        }
        assert_eq!(vcpu.call(&finalize), Outcome::Done);
        assert_eq!(vcpu.call(&finalize), Outcome::Failed(Errno::EPERM));
        assert_eq!(vcpu.call(&get), Outcome::Read(vec![0; 256]));
    }
}
