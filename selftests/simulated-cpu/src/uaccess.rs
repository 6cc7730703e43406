// SPDX-License-Identifier: GPL-2.0
//! The kernel crate's access to memory of userspace, of which a test says what
//! is mapped.

use crate::error::{code::EFAULT, Result};
use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Memory of userspace: where it begins, and what is in it. What is not in it is
/// not mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserMemory {
    /// The first address.
    pub start: usize,
    /// What is there.
    pub bytes: Vec<u8>,
}

impl UserMemory {
    /// The bytes from `address` to `address + length`, as far as they are mapped.
    fn mapped(&mut self, address: usize, length: usize) -> &mut [u8] {
        let Some(offset) = address.checked_sub(self.start) else {
            return &mut [];
        };
        let rest = self.bytes.get_mut(offset..).unwrap_or_default();
        let length = length.min(rest.len());
        &mut rest[..length]
    }
}

thread_local! {
    static MEMORY: RefCell<UserMemory> = RefCell::default();
}

/// Runs `code` where `memory` is what userspace has, and returns what is in it
/// afterwards.
pub fn with_user_memory<T>(memory: UserMemory, code: impl FnOnce() -> T) -> (T, UserMemory) {
    MEMORY.set(memory);
    let result = code();
    (result, MEMORY.take())
}

/// An address of userspace.
#[derive(Clone, Copy, Debug)]
pub struct UserPtr(usize);

impl UserPtr {
    /// The address `address`.
    pub fn from_addr(address: usize) -> Self {
        Self(address)
    }
}

/// A range of addresses of userspace.
#[derive(Debug)]
pub struct UserSlice {
    start: usize,
    length: usize,
}

impl UserSlice {
    /// `length` bytes from `start`.
    pub fn new(start: UserPtr, length: usize) -> Self {
        Self {
            start: start.0,
            length,
        }
    }

    /// For reading.
    pub fn reader(self) -> UserSliceReader {
        UserSliceReader(self)
    }

    /// For writing.
    pub fn writer(self) -> UserSliceWriter {
        UserSliceWriter(self)
    }

    /// Goes on by `length` bytes, and has `copy` copy those that are mapped. As
    /// the kernel does, copies up to the first that is not.
    fn advance(&mut self, length: usize, copy: impl FnOnce(&mut [u8])) -> Result {
        if length > self.length {
            return Err(EFAULT);
        }
        MEMORY.with_borrow_mut(|memory| {
            let mapped = memory.mapped(self.start, length);
            let all = mapped.len() == length;
            copy(mapped);
            all.then_some(()).ok_or(EFAULT)
        })?;
        self.start += length;
        self.length -= length;
        Ok(())
    }
}

/// Reads from userspace.
#[derive(Debug)]
pub struct UserSliceReader(UserSlice);

impl UserSliceReader {
    /// Reads as much as `out` is long.
    pub fn read_slice(&mut self, out: &mut [u8]) -> Result {
        self.0.advance(out.len(), |mapped| {
            out[..mapped.len()].copy_from_slice(mapped)
        })
    }

    /// Reads a value.
    pub fn read<T: Plain>(&mut self) -> Result<T> {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: The bytes of the value, which have been written.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>())
        };
        self.read_slice(bytes)?;
        // SAFETY: Any bytes are a value.
        Ok(unsafe { value.assume_init() })
    }
}

/// Writes to userspace.
#[derive(Debug)]
pub struct UserSliceWriter(UserSlice);

impl UserSliceWriter {
    /// Writes `data`.
    pub fn write_slice(&mut self, data: &[u8]) -> Result {
        self.0.advance(data.len(), |mapped| {
            mapped.copy_from_slice(&data[..mapped.len()])
        })
    }

    /// Writes a value.
    pub fn write<T: Plain>(&mut self, value: &T) -> Result {
        // SAFETY: The bytes of the value, all of which have been written.
        self.write_slice(unsafe {
            std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>())
        })
    }
}

/// The kernel crate's `AsBytes` and `FromBytes`.
///
/// # Safety
///
/// Any bytes are a value, and no byte of a value is padding.
pub unsafe trait Plain {}

// SAFETY: It is integers.
unsafe impl<const N: usize> Plain for [u64; N] {}
