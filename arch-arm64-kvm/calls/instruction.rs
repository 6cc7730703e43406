// SPDX-License-Identifier: GPL-2.0

//! The few instructions that say where control goes.
//!
//! Encodings: Arm Architecture Reference Manual for A-profile (DDI 0487), chapter C4.

/// Bytes of an instruction.
pub(crate) const SIZE: u64 = 4;

/// An instruction that ends in an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trap {
    /// `BRK #imm16`.
    Brk(u16),
    /// `HLT #imm16`.
    Hlt(u16),
    /// `UDF #imm16`.
    Udf(u16),
}

/// What compilers emit for an abort, and where they believe that control cannot come.
pub(crate) const COMPILER_TRAP: Trap = Trap::Brk(1);

/// What `BUG()` and `WARN()` are (`BUG_BRK_IMM`).
pub(crate) const BUG_TRAP: Trap = Trap::Brk(0x800);

/// Returns the bits `low` to `low + count - 1` of `word`, as a signed number.
fn signed(word: u32, low: u32, count: u32) -> i64 {
    let high = 32 - count;
    i64::from(((word >> low << high) as i32) >> high)
}

/// Returns how far from itself an instruction jumps, or what distance it calculates an address for.
///
/// The assembler itself works out how far it is to a function in the same section, so these do not
/// show in relocations.
pub(crate) fn distance(word: u32) -> Option<i64> {
    // B, BL
    if word & 0x7c00_0000 == 0x1400_0000 {
        return Some(signed(word, 0, 26) * 4);
    }
    // B.cond, BC.cond; CBZ, CBNZ; LDR (literal)
    let has_imm19 = word & 0xff00_0000 == 0x5400_0000
        || word & 0x7e00_0000 == 0x3400_0000
        || word & 0x3b00_0000 == 0x1800_0000;
    if has_imm19 {
        return Some(signed(word, 5, 19) * 4);
    }
    // TBZ, TBNZ
    if word & 0x7e00_0000 == 0x3600_0000 {
        return Some(signed(word, 5, 14) * 4);
    }
    // ADR
    if word & 0x9f00_0000 == 0x1000_0000 {
        return Some(signed(word, 5, 19) * 4 + i64::from((word >> 29) & 3));
    }
    None
}

/// Returns which trap `word` is.
pub(crate) fn trap(word: u32) -> Option<Trap> {
    let imm16 = (word >> 5) as u16;
    match word & 0xffe0_001f {
        0xd420_0000 => Some(Trap::Brk(imm16)),
        0xd440_0000 => Some(Trap::Hlt(imm16)),
        _ if word >> 16 == 0 => Some(Trap::Udf(word as u16)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_assembler() {
        assert_eq!(distance(0x9400_0001), Some(4)); // bl .+4
        assert_eq!(distance(0x17ff_ffdb), Some(-0x94)); // b .-0x94
        assert_eq!(distance(0x5400_00c0), Some(0x18)); // b.eq .+0x18
        assert_eq!(distance(0xb400_0509), Some(0xa0)); // cbz x9, .+0xa0
        assert_eq!(distance(0x3620_0389), Some(0x70)); // tbz w9, #4, .+0x70
        assert_eq!(distance(0xb7ff_ffe0), Some(-4)); // tbnz x0, #63, .-4
        assert_eq!(distance(0x70ff_ffe0), Some(-1)); // adr x0, .-1
        assert_eq!(distance(0x5800_0040), Some(8)); // ldr x0, .+8
        assert_eq!(distance(0xd65f_03c0), None); // ret
        assert_eq!(distance(0x9000_0009), None); // adrp x9, .
        assert_eq!(distance(0xd63f_0100), None); // blr x8
    }

    #[test]
    fn traps_are_told_apart() {
        assert_eq!(trap(0xd420_0020), Some(COMPILER_TRAP));
        assert_eq!(trap(0xd421_0000), Some(BUG_TRAP));
        assert_eq!(trap(0xd44b_d5a0), Some(Trap::Hlt(0x5ead)));
        assert_eq!(trap(0x0000_dead), Some(Trap::Udf(0xdead)));
        assert_eq!(trap(0xd400_0002), None); // hvc #0
        assert_eq!(trap(0xd503_201f), None); // nop
    }
}
