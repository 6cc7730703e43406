// SPDX-License-Identifier: GPL-2.0
//! Where the emulator is not as the architecture has it: what is left out of
//! sequences.

use crate::arm64::registers::{ZCR_EL1, ZCR_EL2};
use crate::arm64::sysreg::{Encoding, RegisterName};
use crate::cpu::Unit;
use crate::Cpu;

/// A deviation.
struct Deviation {
    /// What the emulator does, and what it should.
    #[allow(dead_code, reason = "for readers")]
    what: &'static str,
    /// Whether it would show in an access to a register.
    shows: fn(&Cpu, Encoding) -> bool,
}

/// All that are known.
const DEVIATIONS: &[Deviation] = &[Deviation {
    what: "QEMU 10.0 checks accesses to ZCR_EL1 and ZCR_EL2 as if they were SVE instructions: \
           CPTR_EL2.FPEN or TFP trap them, too, and in streaming mode SMEN or TSM in place of ZEN \
           or TZ. By the accessors of these registers in the Arm ARM only ZEN or TZ do.",
    shows: |cpu, register| {
        [ZCR_EL1::ENCODING, ZCR_EL2::ENCODING].contains(&register)
            && cpu.outcome(Unit::SveLength) != cpu.outcome(Unit::Sve)
    },
}];

/// Whether a deviation would show in an access to a register.
pub(super) fn shows(cpu: &Cpu, register: Encoding) -> bool {
    DEVIATIONS
        .iter()
        .any(|deviation| (deviation.shows)(cpu, register))
}
