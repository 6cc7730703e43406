// SPDX-License-Identifier: GPL-2.0
//! In place of the kernel's files with inline assembly: the same functions, on
//! the [`Cpu`](crate::Cpu) of this thread.

pub mod fp_registers;
pub mod instruction;
