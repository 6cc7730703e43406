// SPDX-License-Identifier: GPL-2.0
//! KVM's world switch and FP hooks, and the arm64 primitives below them, on a
//! simulated CPU.
//!
//! The files are those of the kernel, by their paths; only `instruction.rs` and
//! `fp_registers.rs` of `rust/kernel/arm64/`, which have the inline assembly, are
//! replaced: by [`simulated`], which works on the [`Cpu`] of the thread. So
//! code on top of the primitives runs in ordinary tests on any machine, and
//! its every access to a register is seen.
//!
//! See `tests/trace.rs` for how code is run, and what is seen of it.
#![cfg_attr(feature = "instructions", feature(asm_goto))]
// `kernel.rs` is included, by which its macros count as the results of one.
#![allow(macro_expanded_macro_exports_accessed_by_absolute_paths)]

// The kernel's files call the crate by these names.
extern crate self as bindings;
extern crate self as kernel;
extern crate self as pin_init;

#[cfg(feature = "instructions")]
pub mod accessors;
#[cfg(not(feature = "instructions"))]
pub mod alloc;
#[cfg(not(feature = "instructions"))]
mod cpu;
#[cfg(not(feature = "instructions"))]
pub mod fp_core;
#[cfg(not(feature = "instructions"))]
mod functions;
#[cfg(not(feature = "instructions"))]
pub mod host_sve;
#[cfg(not(feature = "instructions"))]
pub mod simulated;
mod standin;
mod structures;
#[cfg(all(test, not(feature = "instructions")))]
mod tests;
#[cfg(not(feature = "instructions"))]
pub mod uaccess;

#[cfg(not(feature = "instructions"))]
pub use alloc::{live_allocations, set_allocations_failing};
#[cfg(not(feature = "instructions"))]
pub use cpu::{
    Access, Cpu, ExceptionClass, FpRegisters, Mode, Outcome, Translation, Unit,
    STREAMING_VECTOR_LENGTH, SVCR_SM, SVCR_ZA,
};
#[cfg(not(feature = "instructions"))]
pub use fp_core::*;
#[cfg(not(feature = "instructions"))]
pub use functions::*;
#[cfg(not(feature = "instructions"))]
pub use host_sve::*;
pub use standin::*;
pub use structures::*;

// KVM's own code, by the names that it has in its crate roots.
#[cfg(all(test, not(feature = "instructions")))]
include!(concat!(env!("OUT_DIR"), "/kvm_arm64.rs"));
#[cfg(all(test, not(feature = "instructions")))]
use kvm_arm64::{fpsimd, hyp, nvhe, sve, user_sysreg_sr, vector_length, vhe, view};

#[cfg(any(test, feature = "instructions"))]
mod for_each {
    include!(concat!(env!("OUT_DIR"), "/for_each.rs"));
    pub(crate) use for_each_register;
}

include!(concat!(env!("OUT_DIR"), "/kernel.rs"));

/// The primitives.
pub mod arm64 {
    include!(concat!(env!("OUT_DIR"), "/arm64.rs"));
}

/// The unit tests of the program that generates the registers.
#[cfg(test)]
mod generator {
    #![allow(dead_code)]
    include!(concat!(env!("OUT_DIR"), "/generator.rs"));
}
