// SPDX-License-Identifier: GPL-2.0
//! Where the emulator is not as the architecture has it: what is left out of
//! sequences.

use crate::arm64::registers::{ZCR_EL1, ZCR_EL2};
use crate::arm64::sysreg::{Encoding, RegisterName};
use crate::cpu::Unit;
use crate::Cpu;

/// Whether a deviation would show in an access to a register.
pub(super) fn shows(cpu: &Cpu, register: Encoding) -> bool {
    // QEMU 10.0 checks accesses to ZCR_EL1 and ZCR_EL2 as if they were SVE instructions:
    // CPTR_EL2.FPEN or TFP trap them, too, and in streaming mode SMEN or TSM in place
    // of ZEN or TZ. By the accessors of these registers in the Arm ARM only ZEN or TZ do.
    [ZCR_EL1::ENCODING, ZCR_EL2::ENCODING].contains(&register)
        && cpu.outcome(Unit::SveLength) != cpu.outcome(Unit::Sve)
}
