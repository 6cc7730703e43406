// SPDX-License-Identifier: GPL-2.0
//! Per-CPU variables of one image, for one CPU.

use crate::bindings;

/// The variables, each with its size.
fn variables() -> [(usize, usize); 5] {
    /// Where a variable is, and its size.
    fn of<T>(variable: *mut T) -> (usize, usize) {
        (variable.addr(), size_of::<T>())
    }
    [
        of(&raw mut bindings::kvm_host_data),
        of(&raw mut bindings::kvm_hyp_ctxt),
        of(&raw mut bindings::kvm_hyp_vector),
        of(&raw mut bindings::kvm_init_params),
        of(&raw mut bindings::this_cpu_vector),
    ]
}

/// A CPU's copies, as far from each other as the variables are.
pub(super) struct PerCpu(Vec<u128>);

impl PerCpu {
    /// Copies of zeroes.
    pub(super) fn new() -> Self {
        let ends = variables().map(|(start, size)| start + size);
        let end = ends.into_iter().max().expect("there are variables");
        Self(vec![0; (end - Self::start()).div_ceil(size_of::<u128>())])
    }

    /// Where the first variable is, aligned as the copies are.
    fn start() -> usize {
        let starts = variables().map(|(start, _)| start);
        let first = starts.into_iter().min().expect("there are variables");
        first - first % size_of::<u128>()
    }

    /// How far a copy is from the variable.
    pub(super) fn distance(&mut self) -> usize {
        let copies = self.0.as_mut_ptr().expose_provenance();
        copies.wrapping_sub(Self::start())
    }

    /// The copy of a variable.
    pub(super) fn of<T>(&mut self, variable: *mut T) -> &mut T {
        assert!(variables().contains(&(variable.addr(), size_of::<T>())));
        let offset = variable.addr() - Self::start();
        // SAFETY: Within the copies, aligned as the variable is, and all its
        // bytes were zeroes or were written as a `T`.
        unsafe { &mut *self.0.as_mut_ptr().byte_add(offset).cast::<T>() }
    }
}
