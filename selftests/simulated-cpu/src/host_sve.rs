// SPDX-License-Identifier: GPL-2.0
//! What the FP core knows of the host's vector lengths, and memory that the host
//! shares with EL2.

#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_uint, c_void};
use std::ops::Range;

/// What the kernel says where something is not allowed.
pub const EPERM: u32 = 1;
/// What the kernel says of a value that is none.
pub const EINVAL: u32 = 22;

thread_local! {
    static LENGTHS: Cell<HostLengths> = const { Cell::new(HostLengths { all: 1, some: 1 }) };
    static SHARING: RefCell<Sharing> = RefCell::default();
}

/// Vector lengths: bit n is that of n + 1 quadwords.
#[derive(Clone, Copy, Debug)]
pub struct HostLengths {
    /// Those that all CPUs have. Not empty.
    pub all: u16,
    /// Those that some have.
    pub some: u16,
}

impl HostLengths {
    /// The longest for guests, in quadwords.
    pub fn guests_longest(self) -> u32 {
        self.max_virtualisable() / 16
    }

    fn longest(lengths: u16) -> u32 {
        16 * (16 - lengths.leading_zeros())
    }

    /// The host's longest.
    fn max(self) -> u32 {
        Self::longest(self.all)
    }

    /// A quadword less than the first that only some CPUs have: as the FP core
    /// works it out, which does not ask whether there is such a length.
    fn max_virtualisable(self) -> u32 {
        let partial = self.some & !self.all;
        self.max().min(16 * partial.trailing_zeros())
    }
}

/// Sets the lengths of the host, for this thread.
pub fn set_host_lengths(lengths: HostLengths) {
    LENGTHS.set(lengths);
}

/// # Safety
///
/// None here.
pub unsafe fn sve_max_vl() -> c_int {
    LENGTHS.get().max() as c_int
}

/// # Safety
///
/// None here.
pub unsafe fn sve_max_virtualisable_vl() -> c_int {
    LENGTHS.get().max_virtualisable() as c_int
}

/// # Safety
///
/// None here.
pub unsafe fn sve_vq_available(quadwords: c_uint) -> bool {
    assert!((1..=16).contains(&quadwords), "there is no bit for it");
    LENGTHS.get().all & (1 << (quadwords - 1)) != 0
}

/// Memory that the host shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// What is shared, each as often as it is.
    pub shared: Vec<Range<usize>>,
    /// What EL2 has pinned.
    pub pinned: Vec<Range<usize>>,
    /// What EL2 says to the next who shares.
    pub error: c_int,
}

/// Works with what this thread shares.
pub fn with_sharing<T>(code: impl FnOnce(&mut Sharing) -> T) -> T {
    SHARING.with_borrow_mut(code)
}

fn remove(ranges: &mut Vec<Range<usize>>, range: &Range<usize>) {
    let place = ranges.iter().position(|other| other == range);
    ranges.swap_remove(place.expect("what is undone has been done"));
}

fn range(from: *mut c_void, to: *mut c_void) -> Range<usize> {
    from as usize..to as usize
}

/// Shares memory with EL2.
///
/// # Safety
///
/// None here.
pub unsafe fn kvm_share_hyp(from: *mut c_void, to: *mut c_void) -> c_int {
    with_sharing(|sharing| {
        if sharing.error == 0 {
            sharing.shared.push(range(from, to));
        }
        sharing.error
    })
}

/// Ends it.
///
/// # Safety
///
/// None here.
pub unsafe fn kvm_unshare_hyp(from: *mut c_void, to: *mut c_void) {
    with_sharing(|sharing| {
        let range = range(from, to);
        assert!(!sharing.pinned.contains(&range), "EL2 still uses it");
        remove(&mut sharing.shared, &range);
    });
}

/// Pins memory that the host shares, all of it.
///
/// # Safety
///
/// None here.
pub unsafe fn hyp_pin_shared_mem(from: *mut c_void, to: *mut c_void) -> c_int {
    with_sharing(|sharing| {
        let range = range(from, to);
        let within = |other: &Range<usize>| other.start <= range.start && range.end <= other.end;
        if !sharing.shared.iter().any(within) {
            return -(EPERM as c_int);
        }
        sharing.pinned.push(range);
        0
    })
}

/// Undoes that.
///
/// # Safety
///
/// None here.
pub unsafe fn hyp_unpin_shared_mem(from: *mut c_void, to: *mut c_void) {
    with_sharing(|sharing| remove(&mut sharing.pinned, &range(from, to)));
}
