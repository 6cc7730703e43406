// SPDX-License-Identifier: GPL-2.0

//! What guest and VMM agree on: where things are in the guest's memory, and
//! the registers of the device through which they talk.
//!
//! The map is that of `vmm/src/layout.rs`, with the device in the place of the
//! UART. All of it is below 2 GiB, so that the guest can let TTBCR.N be 0 or 1.

/// Start of RAM, and of the guest's image: the vectors come first.
pub const RAM: u32 = 0x4000_0000;
/// Size of RAM.
pub const RAM_SIZE: u32 = 4 << 20;
/// Copies of the exception vectors, all the same, for values of VBAR.
pub const VECTORS: u32 = RAM;
/// Bits of VBAR that choose a copy.
pub const VECTORS_CHOICE: u32 = 0xfe0;
/// Copies of the translation table, all the same, for values of TTBR0.
pub const TABLES: u32 = RAM + 0x1_0000;
/// Bits of TTBR0 that choose a copy.
pub const TABLES_CHOICE: u32 = 0xc000;
/// Where each vCPU starts, in Supervisor mode: R0 is its number, R1 one of the
/// [`flag`]s.
pub const ENTRY: u32 = RAM + 0x2_0000;
/// The stacks of all vCPUs, one after the other.
pub const STACKS: u32 = RAM + 0x20_0000;
/// Size and alignment of a stack.
pub const STACK_SIZE: u32 = 0x1_0000;
/// Normal memory in the guest's translation tables; there is none.
pub const HOLE: u32 = 0x5000_0000;
/// The device, a page.
pub const DEVICE: u32 = 0x0900_0000;

/// Flags in R1 at the start.
pub mod flag {
    /// The CPU does what no emulated one does: keeps what is written to DBGVCR,
    /// and has the SPSR of the mode that EL2 returns to.
    pub const REAL_CPU: u32 = 1;
}

/// Offsets of the device's registers, each 32 bits long.
pub mod device {
    /// Read once in each round, when all registers hold the round's patterns:
    /// [`super::GO_ON`] or [`super::STOP`].
    pub const CHECKPOINT: u32 = 0x04;
    /// Reads as the complement of what was written last.
    pub const ECHO: u32 = 0x08;
    /// A read is answered by an external abort.
    pub const ABORT: u32 = 0x0c;
    /// The round of the mismatch that follows.
    pub const ROUND: u32 = 0x10;
    /// The number of what differs: see `registers.rs`.
    pub const SUBJECT: u32 = 0x14;
    /// What it should be.
    pub const EXPECTED: u32 = 0x18;
    /// What it is. Completes the report of a mismatch.
    pub const FOUND: u32 = 0x1c;
    /// LR of an exception, or the number of a line, for [`EXCEPTION`].
    pub const ADDRESS: u32 = 0x20;
    /// SPSR of an exception.
    pub const STATUS: u32 = 0x30;
    /// Something that the guest cannot go on after: see [`super::exception`].
    pub const EXCEPTION: u32 = 0x24;
    /// Comparisons of a register so far, before [`STOPPED`].
    pub const COMPARISONS: u32 = 0x28;
    /// Exceptions that the guest has taken, before [`STOPPED`].
    pub const EXCEPTIONS: u32 = 0x34;
    /// Those of them whose SPSR an emulated CPU has lost, before [`STOPPED`].
    pub const LOST: u32 = 0x38;
    /// Rounds so far. The vCPU does nothing any more.
    pub const STOPPED: u32 = 0x2c;
}

/// There is another round to come.
pub const GO_ON: u32 = 0;
/// This is the last round.
pub const STOP: u32 = 1;

/// Exceptions, as the guest counts them.
pub mod exception {
    /// None.
    pub const NONE: u32 = 0;
    /// Undefined Instruction.
    pub const UNDEFINED: u32 = 1;
    /// Supervisor Call.
    pub const SUPERVISOR_CALL: u32 = 2;
    /// Prefetch Abort.
    pub const PREFETCH_ABORT: u32 = 3;
    /// Data Abort.
    pub const DATA_ABORT: u32 = 4;
    /// IRQ.
    pub const IRQ: u32 = 5;
    /// FIQ.
    pub const FIQ: u32 = 6;
    /// Not one of the CPU: the guest's own code panicked.
    pub const PANIC: u32 = 7;
}
