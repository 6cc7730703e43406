// SPDX-License-Identifier: GPL-2.0

//! Primitives of the arm64 architecture.
//!
//! The lowest of the three layers of KVM/arm64 in Rust: what stands here is the only code that
//! holds inline assembly or calls the architecture's header inlines. Everything is safe to call, or
//! says what the caller has to prove.

pub mod alternative;
pub mod barrier;
pub mod copy;
pub mod cpucap;
pub mod daif;
pub mod fp;
pub mod fp_access;
mod fp_registers;
mod instruction;
pub mod percpu;
pub mod registers;
pub mod speculation;
pub mod static_key;
pub mod sysreg;
pub mod thread_flag;
pub mod world;
