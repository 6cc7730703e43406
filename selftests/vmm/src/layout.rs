// SPDX-License-Identifier: GPL-2.0

//! The guest's physical address map and interrupt numbers.

/// Most vCPUs that the map has room for.
pub const MAX_CPUS: u8 = 8;

/// GICv3 distributor.
pub const GIC_DISTRIBUTOR: u64 = 0x0800_0000;
/// Size of the distributor's registers.
pub const GIC_DISTRIBUTOR_SIZE: u64 = 0x1_0000;

/// GICv3 redistributors, one after the other.
pub const GIC_REDISTRIBUTOR: u64 = 0x080a_0000;
/// Size of one redistributor: its RD and its SGI frame.
pub const GIC_REDISTRIBUTOR_SIZE: u64 = 0x2_0000;

/// UART, the only device of guests with an operating system that this program emulates itself.
pub const UART: u64 = 0x0900_0000;
/// Size of the page that the UART has for itself.
pub const UART_SIZE: u64 = 0x1000;
/// The UART's interrupt, counted from the first SPI.
pub const UART_SPI: u32 = 1;

/// Where a bare-metal guest says that what is to be measured begins, and ends: a register of a
/// byte, in a page of its own. No device tree has it.
pub const MARKS: u64 = UART + UART_SIZE;
/// What is written before what is to be measured.
pub const MARK_BEGIN: u8 = 1;
/// What is written after it.
pub const MARK_END: u8 = 0;

/// Where a bare-metal guest writes text for the console, a register of eight bytes: a write to the
/// UART is as much of an exit, for one. Bytes that are 0 are none of it.
pub const TEXT: u64 = MARKS + UART_SIZE;

/// The GIC's maintenance interrupt, of a guest with EL2: a PPI.
pub const GIC_MAINTENANCE_PPI: u32 = 9;

/// Start of RAM.
pub const RAM: u64 = 0x4000_0000;

const _: () =
    assert!(GIC_REDISTRIBUTOR + MAX_CPUS as u64 * GIC_REDISTRIBUTOR_SIZE <= UART && TEXT < RAM);
