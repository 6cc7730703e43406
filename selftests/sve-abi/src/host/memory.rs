// SPDX-License-Identifier: GPL-2.0

//! Memory that calls are given the address of: it ends where it is to end.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use anyhow::{Context, Result};
use nix::sys::memfd::{memfd_create, MFdFlags};
use nix::sys::mman::{mmap, mmap_anonymous, MapFlags, ProtFlags};
use nix::unistd::ftruncate;
use sve_abi::call::Memory;

/// Bytes that there are: more than the list of all registers takes.
const SIZE: usize = 64 << 10;

/// One piece of memory, twice: once it can be written to, once not. Behind both
/// there is nothing. It is never given back.
pub struct Arena {
    writable: NonNull<u8>,
    read_only: NonNull<u8>,
}

// SAFETY: The mappings are the process's, and nobody else has the pointers.
unsafe impl Send for Arena {}

impl Arena {
    pub fn new() -> Result<Self> {
        let file = memfd_create(c"arena", MFdFlags::MFD_CLOEXEC).context("memfd_create()")?;
        ftruncate(&file, SIZE as i64).context("ftruncate()")?;
        Ok(Self {
            writable: map(&file, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?,
            read_only: map(&file, ProtFlags::PROT_READ)?,
        })
    }

    /// Puts `memory` to its end, and returns its address.
    pub fn put(&mut self, memory: &Memory) -> u64 {
        let (bytes, alias) = match memory {
            Memory::Bytes(bytes) => (bytes, self.writable),
            Memory::ReadOnly(bytes) => (bytes, self.read_only),
            Memory::Nowhere(address) => return *address,
        };
        let start = SIZE - bytes.len();
        // SAFETY: Within the mapping, to which nobody else writes.
        unsafe {
            let to = self.writable.as_ptr().add(start);
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        alias.as_ptr() as u64 + start as u64
    }

    /// The last `length` bytes, which a call may have written.
    pub fn end(&self, length: usize) -> Vec<u8> {
        let start = SIZE - length;
        // SAFETY: Within the mapping, to which nobody writes meanwhile.
        unsafe { std::slice::from_raw_parts(self.writable.as_ptr().add(start), length) }.to_vec()
    }
}

/// Maps `file` in front of a page that nobody can access.
fn map(file: &OwnedFd, protection: ProtFlags) -> Result<NonNull<u8>> {
    let size = |bytes| NonZeroUsize::new(bytes).expect("is not 0");
    // SAFETY: Maps memory where there was none, and then what is to be there.
    let mapping = unsafe {
        let place = mmap_anonymous(
            None,
            size(SIZE + (64 << 10)),
            ProtFlags::PROT_NONE,
            MapFlags::MAP_PRIVATE,
        )
        .context("mmap()")?;
        let at = NonZeroUsize::new(place.as_ptr() as usize);
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        mmap(at, size(SIZE), protection, flags, file, 0).context("mmap()")?
    };
    Ok(mapping.cast())
}
