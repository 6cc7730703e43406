// SPDX-License-Identifier: GPL-2.0

//! The MMU, with every address its own.
//!
//! It is on, with caches, because KVM traps writes to the registers of
//! translation as long as they are off, and then writes them to memory itself.

use crate::access::{self, dsb, isb, mcr};
use crate::interface::{DEVICE, HOLE, RAM, RAM_SIZE};
use crate::layout::{GIC_DISTRIBUTOR, GIC_REDISTRIBUTOR, GIC_REDISTRIBUTOR_SIZE, MAX_CPUS};
use crate::registers::Register;

/// Sections of 1 MiB in 4 GiB.
const SECTIONS: usize = 4096;
/// As many copies as TABLES_CHOICE asks for.
const COPIES: usize = 4;

/// Where the frames of the GIC end, those of the last redistributor.
const GIC_END: u32 = (GIC_REDISTRIBUTOR + MAX_CPUS as u64 * GIC_REDISTRIBUTOR_SIZE) as u32;

/// A section, with full access.
const SECTION: u32 = 0x0000_0c02;
/// Device memory (B), not executable (XN).
const DEVICE_SECTION: u32 = SECTION | 0x14;
/// Write-back cacheable (TEX is 1, C, B) and shareable (S) memory.
const NORMAL_SECTION: u32 = SECTION | 0x1_100c;

#[repr(C, align(16384))]
struct Table([u32; SECTIONS]);

#[used]
#[link_section = ".tables"]
static TABLES: [Table; COPIES] = [const { table() }; COPIES];

const fn table() -> Table {
    let mut table = Table([0; SECTIONS]);
    let mut megabyte = 0;
    while megabyte < SECTIONS {
        let base = (megabyte as u32) << 20;
        let is_gic = base >= GIC_DISTRIBUTOR as u32 && base < GIC_END;
        if is_gic || base == DEVICE {
            table.0[megabyte] = base | DEVICE_SECTION;
        } else if (base >= RAM && base < RAM + RAM_SIZE) || base == HOLE {
            table.0[megabyte] = base | NORMAL_SECTION;
        }
        megabyte += 1;
    }
    table
}

/// Turns MMU and caches on.
pub fn enable() {
    let first = |register: Register| {
        // SAFETY: A pattern. All of them map what is used at its own address.
        unsafe { access::write(register, register.pattern(0, 0)) };
    };
    first(Register::Dacr);
    first(Register::Ttbcr);
    first(Register::Ttbr0);
    first(Register::Vbar);
    // SAFETY: TLBIALL and ICIALLU.
    unsafe {
        mcr!(15, 0, c8, c7, 0, 0);
        mcr!(15, 0, c7, c5, 0, 0);
    }
    dsb();
    isb();
    first(Register::Sctlr);
    isb();
}
