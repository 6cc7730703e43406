// SPDX-License-Identifier: GPL-2.0
//! The A64 instructions that guests are entered and left with, told from their
//! words by the encoding tables of the Arm ARM, chapter C4.

use crate::trace::insn::{System, ERET};

/// Register 31: XZR, or SP where that is an address.
pub const R31: u8 = 31;

/// An instruction. Distances are from its own address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Insn {
    /// One of the system group, with its general-purpose register.
    System(System, u8),
    /// A hint by its number; 0 is NOP.
    Hint(u8),
    /// SB.
    SpeculationBarrier,
    /// ERET.
    Eret,
    /// RET to X30.
    Ret,
    /// ADRP, whose address a relocation has.
    Adrp { rd: u8 },
    /// ADD of an immediate, which may be that of a relocation.
    AddImmediate { rd: u8, rn: u8, value: u64 },
    /// ADD of a register.
    Add { rd: u8, rn: u8, rm: u8 },
    /// ORR of a register; MOV is one.
    Or { rd: u8, rn: u8, rm: u8 },
    /// ORR of an immediate.
    OrImmediate { rd: u8, rn: u8, value: u64 },
    /// AND of an immediate.
    And { rd: u8, rn: u8, value: u64 },
    /// MOVZ.
    Move { rd: u8, value: u64 },
    /// A load or store of one register or a pair.
    Memory(Memory),
    /// B.
    Branch { distance: i64 },
    /// CBZ and CBNZ, TBZ and TBNZ: a branch if a register, or a bit of it, is
    /// zero, or if it is not.
    BranchIf {
        rt: u8,
        bit: Option<u8>,
        zero: bool,
        distance: i64,
    },
}

/// A load or store of 64-bit registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Whether it loads.
    pub load: bool,
    /// The registers, in the order of their addresses.
    pub registers: Vec<u8>,
    /// The base register.
    pub base: u8,
    /// What is added to it for the address.
    pub offset: i64,
    /// What is added to it afterwards.
    pub after: i64,
}

impl Insn {
    /// What `word` is, if it is one of these.
    pub fn of(word: u32) -> Option<Self> {
        let bits = |low: u32, width: u32| (word >> low) & ((1 << width) - 1);
        let register = |low: u32| bits(low, 5) as u8;
        let signed = |low: u32, width: u32| {
            let unsigned = i64::from(bits(low, width));
            (unsigned << (64 - width)) >> (64 - width)
        };
        let (rd, rn, rm) = (register(0), register(5), register(16));
        match word {
            ERET => return Some(Self::Eret),
            0xd65f_03c0 => return Some(Self::Ret),
            0xd503_30ff => return Some(Self::SpeculationBarrier),
            _ => {}
        }
        if word & 0xffff_f01f == 0xd503_201f {
            return Some(Self::Hint(bits(5, 7) as u8));
        }
        if let Some(system) = System::of(word) {
            return Some(Self::System(system, rd));
        }
        let logical = || bit_mask(bits(22, 1), bits(16, 6), bits(10, 6));
        Some(match word >> 24 {
            // Also of another register than 0; bits 30 and 29 are those of the
            // immediate.
            0x90 | 0xb0 | 0xd0 | 0xf0 => Self::Adrp { rd },
            0x91 => Self::AddImmediate {
                rd,
                rn,
                value: u64::from(bits(10, 12)) << (12 * bits(22, 1)),
            },
            0x8b if bits(10, 6) == 0 && bits(21, 3) == 0 => Self::Add { rd, rn, rm },
            0xaa if bits(10, 6) == 0 && bits(21, 3) == 0 => Self::Or { rd, rn, rm },
            0xb2 if bits(23, 1) == 0 => Self::OrImmediate {
                rd,
                rn,
                value: logical()?,
            },
            0x92 if bits(23, 1) == 0 => Self::And {
                rd,
                rn,
                value: logical()?,
            },
            0xd2 if bits(23, 1) == 1 => Self::Move {
                rd,
                value: u64::from(bits(5, 16)) << (16 * bits(21, 2)),
            },
            0x14..=0x17 => Self::Branch {
                distance: 4 * signed(0, 26),
            },
            0xb4 | 0xb5 => Self::BranchIf {
                rt: rd,
                bit: None,
                zero: bits(24, 1) == 0,
                distance: 4 * signed(5, 19),
            },
            0x36 | 0x37 | 0xb6 | 0xb7 => Self::BranchIf {
                rt: rd,
                bit: Some(((bits(31, 1) << 5) | bits(19, 5)) as u8),
                zero: bits(24, 1) == 0,
                distance: 4 * signed(5, 14),
            },
            // LDR and STR of X registers, with an unsigned offset.
            0xf9 if bits(23, 1) == 0 => Self::Memory(Memory {
                load: bits(22, 1) == 1,
                registers: vec![rd],
                base: rn,
                offset: 8 * i64::from(bits(10, 12)),
                after: 0,
            }),
            // LDP and STP of X registers, with a signed offset.
            0xa9 if bits(23, 1) == 0 => Self::Memory(Memory {
                load: bits(22, 1) == 1,
                registers: vec![rd, register(10)],
                base: rn,
                offset: 8 * signed(15, 7),
                after: 0,
            }),
            // The same, with what is added afterwards.
            0xa8 if bits(23, 1) == 1 => Self::Memory(Memory {
                load: bits(22, 1) == 1,
                registers: vec![rd, register(10)],
                base: rn,
                offset: 0,
                after: 8 * signed(15, 7),
            }),
            _ => return None,
        })
    }
}

/// The immediate of a logical instruction, for 64 bits: a run of ones, rotated,
/// and repeated. DecodeBitMasks() of the Arm ARM.
fn bit_mask(n: u32, immr: u32, imms: u32) -> Option<u64> {
    let length = 31
        - ((n << 6) | (!imms & 0x3f))
            .checked_ilog2()
            .map(|l| 31 - l)?;
    let size = 1u32 << length;
    let (ones, turn) = ((imms & (size - 1)) + 1, immr & (size - 1));
    if ones == size {
        return None;
    }
    let run = (1u64 << ones) - 1;
    // As many copies as there are in 64 bits, which makes it a rotation of those.
    let copies = (0..64 / size).fold(0, |all, n| all | (run << (n * size)));
    Some(copies.rotate_right(turn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::insn::Encoding;

    fn of(word: u32) -> Insn {
        Insn::of(word).unwrap()
    }

    /// Words as LLVM's assembler makes them.
    #[test]
    fn instructions_are_told_apart() {
        assert_eq!(of(0xd503_201f), Insn::Hint(0), "nop");
        assert_eq!(of(0xd503_245f), Insn::Hint(34), "bti c");
        assert_eq!(of(0xd503_30ff), Insn::SpeculationBarrier, "sb");
        assert_eq!(of(0xd69f_03e0), Insn::Eret);
        assert_eq!(of(0xd65f_03c0), Insn::Ret);
        let sp_el0 = System::Mrs(Encoding(3, 0, 4, 1, 0));
        assert_eq!(of(0xd538_4102), Insn::System(sp_el0, 2), "mrs x2, sp_el0");
        assert_eq!(of(0xd503_3fdf), Insn::System(System::Isb, 31), "isb");
        assert_eq!(of(0x9000_0001), Insn::Adrp { rd: 1 }, "adrp x1, 0");
        let (rd, rn, rm) = (0, 0, 5);
        let add = Insn::AddImmediate {
            rd: 29,
            rn: 0,
            value: 0x100,
        };
        assert_eq!(of(0x9104_001d), add, "add x29, x0, #0x100");
        let add = Insn::Add {
            rd: 1,
            rn: 1,
            rm: 2,
        };
        assert_eq!(of(0x8b02_0021), add, "add x1, x1, x2");
        assert_eq!(of(0xaa05_0000), Insn::Or { rd, rn, rm }, "orr x0, x0, x5");
        let value = 0x8000_0000;
        let or = Insn::OrImmediate { rd, rn, value };
        assert_eq!(of(0xb261_0000), or, "orr x0, x0, #0x80000000");
        let value = 0x300_0000_0000;
        let and = Insn::And { rd, rn, value };
        assert_eq!(of(0x9258_0400), and, "and x0, x0, #0x30000000000");
        let value = 0x8000_0000;
        assert_eq!(of(0xd2b0_0000), Insn::Move { rd, value });
        let branch = |bit, zero, distance| Insn::BranchIf {
            rt: 2,
            bit,
            zero,
            distance,
        };
        assert_eq!(of(0xb400_0062), branch(None, true, 12), "cbz x2, .+12");
        assert_eq!(of(0xb5ff_ffe2), branch(None, false, -4), "cbnz x2, .-4");
        assert_eq!(of(0xb7c0_0042), branch(Some(56), false, 8), "tbnz #56");
        assert_eq!(of(0x3640_0042), branch(Some(8), true, 8), "tbz w2, #8");
        assert_eq!(of(0x17ff_ffff), Insn::Branch { distance: -4 });
    }

    #[test]
    fn loads_and_stores() {
        let memory = |load, registers: &[u8], base, offset, after| {
            Insn::Memory(Memory {
                load,
                registers: registers.to_vec(),
                base,
                offset,
                after,
            })
        };
        // str x18, [x1, #0x90]; ldr x0, [x1, #8]
        assert_eq!(of(0xf900_4832), memory(false, &[18], 1, 0x90, 0));
        assert_eq!(of(0xf940_0420), memory(true, &[0], 1, 8, 0));
        // stp x19, x20, [x1, #0x98]; ldp x0, x1, [x2, #-16]
        assert_eq!(of(0xa909_d033), memory(false, &[19, 20], 1, 0x98, 0));
        assert_eq!(of(0xa97f_0440), memory(true, &[0, 1], 2, -16, 0));
        // ldp x2, x3, [sp], #16
        assert_eq!(of(0xa8c1_0fe2), memory(true, &[2, 3], 31, 0, 16));
        // ldp x2, x3, [sp, #16]!; ldr w0, [x1]; ldp q0, q1, [x0]; str x0, [x1, x2]
        for other in [0xa9c1_0fe2, 0xb940_0020, 0xad40_0400, 0xf822_6820] {
            assert_eq!(Insn::of(other), None, "{other:#x}");
        }
    }

    #[test]
    fn bit_masks() {
        assert_eq!(bit_mask(1, 0, 0), Some(1));
        assert_eq!(bit_mask(1, 1, 0), Some(1 << 63));
        assert_eq!(bit_mask(0, 0, 0b11_1100), Some(0x5555_5555_5555_5555));
        assert_eq!(bit_mask(0, 1, 0b10_0111), Some(0x807f_807f_807f_807f));
        assert_eq!(bit_mask(1, 0, 63), None);
    }
}
