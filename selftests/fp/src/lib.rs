// SPDX-License-Identifier: GPL-2.0

//! Fills all FP/SIMD, SVE and SME registers of the calling thread with a
//! pattern, holds them for a while, and checks that they kept their values.
//! A program for AArch32 does so with those that it has.
//!
//! Loading, holding and storing are one block of assembly, so the compiler
//! cannot touch a register in between: whatever changes one is the kernel, the
//! hypervisor or the CPU.
//!
//! ```no_run
//! use fp::{Checker, Mode};
//!
//! let mut checker = Checker::new(7, Mode::Sve { vl: 32 })?;
//! for _ in 0..1000 {
//!     if let Err(mismatch) = checker.check() {
//!         eprintln!("{mismatch}");
//!     }
//! }
//! # Ok::<(), fp::Error>(())
//! ```
//!
//! Patterns are a pure function of (seed, round, register, byte): give each
//! thread its own seed, and a value found in the wrong place tells whose it is
//! ([`Mismatch::owner`]).

#[cfg(target_arch = "arm")]
mod aarch32;
mod checker;
#[cfg(target_arch = "aarch64")]
mod clobbers;
mod cpu;
#[cfg(target_arch = "aarch64")]
mod fpsimd;
mod mismatch;
mod pattern;
mod registers;
#[cfg(target_arch = "aarch64")]
mod sme;
#[cfg(target_arch = "aarch64")]
mod sve;

pub use checker::{Checker, Mode, Tally};
pub use cpu::{sme_lengths, sve_lengths, Error, Features, Vectors};
pub use mismatch::{Mismatch, Register};
pub use pattern::{Owner, Pattern};
pub use registers::{Control, Layout, RegisterSet, ZaSet, MAX_VL};
