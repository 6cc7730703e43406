// SPDX-License-Identifier: GPL-2.0
//! A TCG plugin of QEMU that records windows: what the host executes from a
//! guest's exit to its next entry, instruction by instruction. Windows with
//! the same instructions are one group, and the largest group is what an exit
//! costs; interrupts and the like make others.
//!
//! It knows nothing of what the instructions do. That is told from their words
//! by scripts/xtask, which also says where a window begins and ends.

// The tests have no QEMU to link with.
#[cfg(not(test))]
mod plugin;
#[cfg(not(test))]
mod qemu;
mod settings;
mod windows;
