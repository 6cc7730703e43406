// SPDX-License-Identifier: GPL-2.0
//! The kernel crate's allocations, which can fail, and which a test counts.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static FAILING: Cell<bool> = const { Cell::new(false) };
}

/// Returns how many allocations of this thread have not been freed.
pub fn live_allocations() -> usize {
    LIVE.get()
}

/// Has allocations of this thread fail, or succeed again.
pub fn set_allocations_failing(failing: bool) {
    FAILING.set(failing);
}

/// How to allocate.
pub mod flags {
    /// `gfp_t`.
    #[derive(Clone, Copy, Debug)]
    pub struct Flags;

    /// May sleep, and is accounted.
    pub const GFP_KERNEL_ACCOUNT: Flags = Flags;
}

/// There is no memory.
#[derive(Clone, Copy, Debug)]
pub struct AllocError;

impl From<AllocError> for crate::error::Error {
    fn from(_: AllocError) -> Self {
        crate::error::code::ENOMEM
    }
}

/// A vector.
#[derive(Debug)]
pub struct KVec<T>(Vec<T>);

impl<T: Clone> KVec<T> {
    /// `length` times `value`.
    pub fn from_elem(value: T, length: usize, _: flags::Flags) -> Result<Self, AllocError> {
        if FAILING.get() {
            return Err(AllocError);
        }
        LIVE.set(LIVE.get() + 1);
        Ok(Self(vec![value; length]))
    }

    /// Takes an allocation back.
    ///
    /// # Safety
    ///
    /// As for `Vec::from_raw_parts`.
    pub unsafe fn from_raw_parts(start: *mut T, length: usize, capacity: usize) -> Self {
        // SAFETY: By the safety requirements.
        Self(unsafe { Vec::from_raw_parts(start, length, capacity) })
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Drop for KVec<T> {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}
