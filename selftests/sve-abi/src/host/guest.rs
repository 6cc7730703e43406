// SPDX-License-Identifier: GPL-2.0

//! A guest that works on all registers of SVE, and a VM that it runs in.

use std::arch::global_asm;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use anyhow::{bail, ensure, Context, Result};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VcpuExit;
use nix::errno::Errno;
use nix::sys::mman::{mmap_anonymous, munmap, MapFlags, ProtFlags};
use sve_abi::call::{Call, Outcome, SVE};
use sve_abi::id;
use sve_abi::model::Host;
use sve_abi::worker::Says;

use super::interrupt::Interrupts;
use super::saved::{Bytes, Saved};
use super::vcpu::{Vcpu, Vm};
use super::{lengths, skip_without_sve};

global_asm!(include_str!("../../../exits/src/sve_worker.s"));

unsafe extern "C" {
    static sve_guest_start: u8;
    static sve_guest_end: u8;
}

/// Where the guest's memory is.
const RAM: u64 = 0x4000_0000;
/// How much: the code, and a page for its data.
const SIZE: usize = 2 * PAGE;
const PAGE: usize = 64 << 10;
/// Where a store is an exit.
const DEVICE: u64 = 0x1000_0000;

/// PSTATE at the start: EL1h, exceptions masked.
const PSTATE: u64 = 0x3c5;

/// The cumulative exception bits of FPSR that the guest works with.
const FPSR_BITS: u64 = 0x1f;

/// X0 to X30.
const fn x(n: u64) -> u64 {
    id::core(3, 2 * n)
}
const PC: u64 = id::core(3, 2 * 32);
const PSTATE_ID: u64 = id::core(3, 2 * 33);

/// Memory of a guest.
struct Memory(NonNull<u8>);

impl Memory {
    fn new() -> Result<Self> {
        let size = NonZeroUsize::new(SIZE).expect("is not 0");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE;
        // SAFETY: Maps memory where there was none.
        let place = unsafe { mmap_anonymous(None, size, protection, flags) };
        Ok(Self(place.context("cannot map the guest's memory")?.cast()))
    }

    /// Writes to it, while the guest does not run.
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= SIZE);
        // SAFETY: Within the mapping.
        unsafe {
            let to = self.0.as_ptr().add(offset);
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// Reads from it, while the guest does not run.
    fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        assert!(offset + length <= SIZE);
        // SAFETY: Within the mapping.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(offset), length) }.to_vec()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: The VM is gone, or cannot run any more.
        let _ = unsafe { munmap(self.0.cast(), SIZE) };
    }
}

/// The guest.
pub struct Guest {
    pub vcpu: Vcpu,
    _vm: Vm,
    // After the VM, which has it.
    memory: Memory,
}

impl Guest {
    /// One that has not begun, without SVE state.
    fn create() -> Result<Self> {
        let vm = Vm::new(true)?;
        let mut memory = Memory::new()?;
        // SAFETY: The symbols are at the ends of the code.
        let code = unsafe {
            let (start, end) = (&raw const sve_guest_start, &raw const sve_guest_end);
            std::slice::from_raw_parts(start, end.offset_from(start) as usize)
        };
        memory.write(0, code);
        let region = kvm_userspace_memory_region {
            slot: 0,
            guest_phys_addr: RAM,
            memory_size: SIZE as u64,
            userspace_addr: memory.0.as_ptr() as u64,
            flags: 0,
        };
        // SAFETY: The mapping is there for as long as the VM.
        unsafe { vm.fd.set_user_memory_region(region) }
            .context("cannot give the guest its memory")?;
        let mut vcpu = vm.initialised(1)?;
        vcpu.set_immediate_exit(false)?;
        Ok(Self {
            vcpu,
            _vm: vm,
            memory,
        })
    }

    /// One at its beginning, with vectors of up to `longest` quadwords.
    pub fn new(host: &Host, longest: u32) -> Result<Self> {
        let mut guest = Self::create()?;
        guest.finalize(&host.set_up_to(longest))?;
        for (id, value) in [
            (x(0), DEVICE),
            (x(1), RAM + PAGE as u64),
            (x(5), FPSR_BITS),
            (PC, RAM),
            (PSTATE_ID, PSTATE),
        ] {
            guest.vcpu.set(id, &value.to_le_bytes())?;
        }
        Ok(guest)
    }

    fn finalize(&mut self, lengths: &[u8]) -> Result<()> {
        self.vcpu.set(id::VECTOR_LENGTHS, lengths)?;
        let finalize = Call::Finalize { feature: SVE };
        self.vcpu.expect(&finalize, &Outcome::Done)
    }

    /// Runs the guest until it says something. `None` if it is interrupted.
    fn run(&mut self) -> Result<Option<Says>> {
        match self.vcpu.run() {
            Ok(VcpuExit::MmioWrite(DEVICE, bytes)) => {
                let bytes = bytes.try_into().context("it stored something else")?;
                Ok(Some(u64::from_le_bytes(bytes).into()))
            }
            Ok(exit) => bail!("the guest left in an unexpected way: {exit:?}"),
            Err(error) if error.errno() == Errno::EINTR as i32 => Ok(None),
            Err(error) => Err(error).context("KVM_RUN"),
        }
    }

    /// Runs the guest until all registers were right in a round, which it returns.
    /// `None` if it is interrupted.
    fn next_round(&mut self) -> Result<Option<u64>> {
        match self.run()? {
            Some(Says::Mismatch(register)) => bail!(
                "{register} was not what it must be in round {}",
                self.round()?
            ),
            Some(Says::Round(round)) => Ok(Some(round)),
            None => Ok(None),
        }
    }

    /// Runs the guest until it has gone on by `rounds` rounds.
    pub fn work(&mut self, rounds: u64) -> Result<()> {
        let mut end = None;
        loop {
            match self.next_round()? {
                Some(round) if round >= *end.get_or_insert(round + rounds) => return Ok(()),
                _ => (),
            }
        }
    }

    /// Runs the guest until it is interrupted, wherever it is.
    pub fn interrupt(&mut self) -> Result<()> {
        let _interrupts = Interrupts::start()?;
        while self.next_round()?.is_some() {}
        Ok(())
    }

    /// The number of the round: X19.
    pub fn round(&mut self) -> Result<u64> {
        let value = self.vcpu.get(x(19))?;
        Ok(u64::from_le_bytes(value.try_into().expect("8 bytes")))
    }

    /// All that there is of it.
    pub fn save(&mut self) -> Result<Saved> {
        let mut registers = Vec::new();
        for id in self.vcpu.list().context("KVM_GET_REG_LIST")? {
            registers.push((id, Bytes(self.vcpu.get(id)?)));
        }
        let memory = Bytes(self.memory.read(PAGE, PAGE_IN_USE));
        Ok(Saved { registers, memory })
    }

    /// One that goes on where another was saved.
    pub fn load(saved: &Saved) -> Result<Self> {
        let mut guest = Self::create()?;
        let lengths = saved.value(id::VECTOR_LENGTHS)?;
        guest.finalize(lengths)?;
        guest.memory.write(PAGE, &saved.memory.0);
        for (id, value) in &saved.registers {
            if *id != id::VECTOR_LENGTHS {
                guest.vcpu.set(*id, &value.0)?;
            }
        }
        let difference = saved.difference(&guest.save()?);
        ensure!(difference.is_empty(), "not as saved: {difference:x?}");
        Ok(guest)
    }
}

/// Bytes of the data that the guest uses.
const PAGE_IN_USE: usize = 256;

/// What a register must be in round `round`.
fn must(id: u64, round: u64, longest: u32) -> Vec<u8> {
    let mut bytes = vec![0; id::size(id)];
    let number = (id & 0x3ff) >> 5;
    if id::size(id) == 256 {
        for (lane, bytes) in bytes.chunks_mut(8).take(2 * longest as usize).enumerate() {
            let value = (round << 8) + number + lane as u64;
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        return bytes;
    }
    let bits = 16 * longest as usize;
    let set = match (id, number) {
        (_, 0) if id != id::ffr(0) => bits,
        // FFR is as P2.
        (_, n) => (round + if id == id::ffr(0) { 2 } else { n }) as usize & 0xff,
    };
    for bit in 0..set.min(bits) {
        bytes[bit / 8] |= 1 << (bit % 8);
    }
    bytes
}

/// The registers of SVE are what the guest made of them. When they are those of
/// another round, the guest finds that.
fn through_the_abi(guest: &mut Guest, longest: u32) -> Result<()> {
    guest.work(64)?;
    let round = guest.round()?;
    for id in id::all().skip(1) {
        let (is, must) = (guest.vcpu.get(id)?, must(id, round, longest));
        ensure!(is == must, "{id:#x} must be\n{must:x?} and is\n{is:x?}");
    }
    let other = round + 0x1_0003;
    guest.vcpu.set(x(19), &other.to_le_bytes())?;
    for id in id::all().skip(1) {
        guest.vcpu.set(id, &must(id, other, longest))?;
    }
    let (fpsr, fpcr) = ((other & FPSR_BITS) as u32, ((other & 3) << 22) as u32);
    guest.vcpu.set(id::FPSR, &fpsr.to_le_bytes())?;
    guest.vcpu.set(id::FPCR, &fpcr.to_le_bytes())?;
    guest.work(64)?;
    ensure!(guest.round()? > other, "the guest is in another round");
    Ok(())
}

/// A guest that is interrupted anywhere goes on in another VM.
fn to_another_vm(mut guest: Guest) -> Result<()> {
    guest.interrupt()?;
    let saved = guest.save()?;
    drop(guest);
    Guest::load(&saved)?.work(64)
}

pub fn run() -> Result<()> {
    let host = lengths::host()?;
    skip_without_sve(&host)?;
    let mut count = 0;
    for longest in host.quadwords() {
        let context = || format!("with vectors of {} bits", 128 * longest);
        let mut guest = Guest::new(&host, longest)?;
        through_the_abi(&mut guest, longest).with_context(context)?;
        to_another_vm(guest).with_context(context)?;
        count += 1;
    }
    println!("guests of {count} vector lengths, each in two VMs, 0 mismatches");
    Ok(())
}
