// SPDX-License-Identifier: GPL-2.0
//! What an A64 instruction is, as far as it is counted or shown: told from its
//! word by the encoding tables of the Arm ARM, chapter C4.

/// The operand of an MSR, MRS or SYS: op0, op1, CRn, CRm, op2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding(pub u8, pub u8, pub u8, pub u8, pub u8);

impl Encoding {
    fn of(word: u32) -> Self {
        let field = |low: u32, mask: u32| ((word >> low) & mask) as u8;
        Self(
            field(19, 3),
            field(16, 7),
            field(12, 15),
            field(8, 15),
            field(5, 7),
        )
    }
}

impl std::fmt::Display for Encoding {
    /// The name that the architecture has for registers without one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(op0, op1, crn, crm, op2) = self;
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

/// An instruction of the system group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// MSR from a register.
    Msr(Encoding),
    /// MSR of an immediate to a field of PSTATE.
    MsrImmediate(&'static str, u8),
    /// MRS.
    Mrs(Encoding),
    /// AT, DC, IC, TLBI and others that are encoded with them.
    Sys(Encoding),
    /// ISB.
    Isb,
    /// DSB with its option.
    Dsb(&'static str),
}

/// Options of DSB by CRm; two of them are other barriers by name.
const DSB: [&str; 16] = [
    "SSBB", "OSHLD", "OSHST", "OSH", "PSSBB", "NSHLD", "NSHST", "NSH", "#8", "ISHLD", "ISHST",
    "ISH", "#12", "LD", "ST", "SY",
];

/// Fields of PSTATE by op1 and op2.
const PSTATE: [(u32, u32, &str); 10] = [
    (0, 3, "UAO"),
    (0, 4, "PAN"),
    (0, 5, "SPSel"),
    (1, 0, "ALLINT"),
    (3, 1, "SSBS"),
    (3, 2, "DIT"),
    (3, 3, "SVCR"),
    (3, 4, "TCO"),
    (3, 6, "DAIFSet"),
    (3, 7, "DAIFClr"),
];

impl System {
    /// What `word` is, if it is one of these.
    pub fn of(word: u32) -> Option<Self> {
        let crm = ((word >> 8) & 15) as u8;
        if word & 0xffff_f0ff == 0xd503_30df {
            return Some(Self::Isb);
        }
        if word & 0xffff_f0ff == 0xd503_309f {
            return Some(Self::Dsb(DSB[usize::from(crm)]));
        }
        if word & 0xffff_f3ff == 0xd503_323f {
            return Some(Self::Dsb("nXS"));
        }
        if word & 0xfff8_f01f == 0xd500_401f {
            let (op1, op2) = ((word >> 16) & 7, (word >> 5) & 7);
            let (_, _, field) = PSTATE.iter().find(|p| (p.0, p.1) == (op1, op2))?;
            return Some(Self::MsrImmediate(field, crm));
        }
        let encoding = Encoding::of(word);
        match (word & 0xfff0_0000, encoding.0) {
            (0xd500_0000, 1) => Some(Self::Sys(encoding)),
            (0xd510_0000, 2 | 3) => Some(Self::Msr(encoding)),
            (0xd530_0000, 2 | 3) => Some(Self::Mrs(encoding)),
            _ => None,
        }
    }
}

/// ERET.
pub const ERET: u32 = 0xd69f_03e0;

/// How an instruction uses memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// It loads.
    pub load: bool,
    /// It stores.
    pub store: bool,
    /// It moves at least one register of 128 bits or more.
    pub vector: bool,
}

impl Memory {
    /// What `word` does.
    pub fn of(word: u32) -> Self {
        let bits = |low: u32, width: u32| (word >> low) & ((1 << width) - 1);
        let load = Self {
            load: true,
            ..Self::default()
        };
        let store = Self {
            store: true,
            ..Self::default()
        };
        let both = Self {
            load: true,
            ..store
        };
        let either = |is_load| if is_load { load } else { store };
        let vector = |memory: Self, vector| Self { vector, ..memory };
        let none = Self::default();

        // LDR and STR of Z and P registers. Others of SVE are not told apart.
        match word & 0xffc0_a000 {
            0x8580_0000 => return vector(load, bits(14, 1) == 1),
            0xe580_0000 => return vector(store, bits(14, 1) == 1),
            _ => {}
        }
        // Loads and stores: x1x0 in bits 28 to 25.
        if bits(27, 1) != 1 || bits(25, 1) != 0 {
            return none;
        }
        let (size, fp) = (bits(30, 2), bits(26, 1) == 1);
        match (bits(28, 2), bits(24, 2)) {
            // LDn, STn of Advanced SIMD structures.
            (0b00, 0 | 1) if fp => vector(either(bits(22, 1) == 1), bits(30, 1) == 1),
            // Compare and swap: both bits 23 and 21, or a pair of registers.
            (0b00, 0) if bits(21, 1) == 1 && (bits(23, 1) == 1 || size < 2) => both,
            // Exclusive and ordered.
            (0b00, 0) => either(bits(22, 1) == 1),
            // Literal; the last is PRFM.
            (0b01, 0) if size == 3 && !fp => none,
            (0b01, 0) => vector(load, fp && size == 2),
            // Memory tags.
            (0b01, 1) if size == 3 && bits(21, 1) == 1 => {
                either(bits(22, 2) != 0 && bits(10, 2) == 0)
            }
            // Memory copy and set.
            (0b01, 1) if bits(10, 2) == 1 => either_copy(bits(22, 2)),
            // LDAPR and STLR with an offset.
            (0b01, 1) => either(bits(22, 2) != 0),
            // Pairs.
            (0b10, _) => vector(either(bits(22, 1) == 1), fp && size == 2),
            // One register. PRFM has the size of a doubleword and opc 2.
            (0b11, mode) => {
                let opc = bits(22, 2);
                let register = mode == 0 && bits(21, 1) == 1;
                match (fp, register, bits(10, 2)) {
                    // LDADD, SWP and the like; LDAPR is among them.
                    (false, true, 0b00) if word & 0x3ff_fc00 & !(0x1f << 16) == 0x0a0_c000 => load,
                    (false, true, 0b00) => both,
                    // LDRAA, LDRAB.
                    (false, true, 0b01 | 0b11) => load,
                    (false, _, _) if size == 3 && opc == 2 => none,
                    (false, _, _) => either(opc != 0),
                    (true, _, _) => vector(either(opc & 1 == 1), size == 0 && opc >= 2),
                }
            }
            _ => none,
        }
    }
}

/// CPY loads and stores, SET only stores.
fn either_copy(op1: u32) -> Memory {
    Memory {
        load: op1 != 3,
        store: true,
        vector: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as LLVM's assembler makes them.
    #[test]
    fn system_instructions() {
        let of = |word| System::of(word).unwrap();
        // mrs x0, esr_el2; msr sctlr_el12, x1
        assert_eq!(of(0xd53c_5200), System::Mrs(Encoding(3, 4, 5, 2, 0)));
        assert_eq!(of(0xd51d_1001), System::Msr(Encoding(3, 5, 1, 0, 0)));
        // msr dbgbvr0_el1, x0
        assert_eq!(of(0xd510_0080), System::Msr(Encoding(2, 0, 0, 0, 4)));
        // msr daifset, #15; msr pan, #1; msr spsel, #1
        assert_eq!(of(0xd503_4fdf), System::MsrImmediate("DAIFSet", 15));
        assert_eq!(of(0xd500_419f), System::MsrImmediate("PAN", 1));
        assert_eq!(of(0xd500_41bf), System::MsrImmediate("SPSel", 1));
        // isb; dsb sy; dsb nshst; dsb ishnxs
        assert_eq!(of(0xd503_3fdf), System::Isb);
        assert_eq!(of(0xd503_3f9f), System::Dsb("SY"));
        assert_eq!(of(0xd503_369f), System::Dsb("NSHST"));
        assert_eq!(of(0xd503_3a3f), System::Dsb("nXS"));
        // at s1e1r, x0; tlbi vmalle1is
        assert_eq!(of(0xd508_7800), System::Sys(Encoding(1, 0, 7, 8, 0)));
        assert_eq!(of(0xd508_831f), System::Sys(Encoding(1, 0, 8, 3, 0)));
        // nop; dmb ish; sb; eret; hvc #0; cfinv; mov x0, x1
        for other in [
            0xd503_201f,
            0xd503_3bbf,
            0xd503_30ff,
            ERET,
            0xd400_0002,
            0xd500_401f,
            0xaa01_03e0,
        ] {
            assert_eq!(System::of(other), None, "{other:#x}");
        }
    }

    #[test]
    fn names_of_registers_without_one() {
        assert_eq!(Encoding(3, 0, 12, 12, 5).to_string(), "S3_0_C12_C12_5");
    }

    fn flags(word: u32) -> &'static str {
        let Memory {
            load,
            store,
            vector,
        } = Memory::of(word);
        match (load, store, vector) {
            (false, false, false) => "-",
            (true, false, false) => "l",
            (false, true, false) => "s",
            (true, true, false) => "ls",
            (true, false, true) => "lv",
            (false, true, true) => "sv",
            _ => "?",
        }
    }

    /// Words as LLVM's assembler makes them.
    #[test]
    fn loads_and_stores() {
        let table = [
            (0xf940_0020, "l", "ldr x0, [x1]"),
            (0xf840_8c20, "l", "ldr x0, [x1, #8]!"),
            (0xb862_6820, "l", "ldr w0, [x1, x2]"),
            (0xf85f_8020, "l", "ldur x0, [x1, #-8]"),
            (0xf840_0820, "l", "ldtr x0, [x1]"),
            (0xb980_0020, "l", "ldrsw x0, [x1]"),
            (0x3840_1420, "l", "ldrb w0, [x1], #1"),
            (0x5800_0080, "l", "ldr x0, #16"),
            (0x9c00_0080, "lv", "ldr q0, #16"),
            (0x5c00_0080, "l", "ldr d0, #16"),
            (0xf820_0420, "l", "ldraa x0, [x1]"),
            (0xf900_0020, "s", "str x0, [x1]"),
            (0xf822_783f, "s", "str xzr, [x1, x2, lsl #3]"),
            (0x381f_f020, "s", "sturb w0, [x1, #-1]"),
            (0xa8c1_07e0, "l", "ldp x0, x1, [sp], #16"),
            (0xa9bf_7bfd, "s", "stp x29, x30, [sp, #-16]!"),
            (0x6940_0440, "l", "ldpsw x0, x1, [x2]"),
            (0xad40_0400, "lv", "ldp q0, q1, [x0]"),
            (0xad01_0400, "sv", "stp q0, q1, [x0, #32]"),
            (0xac40_0400, "lv", "ldnp q0, q1, [x0]"),
            (0x6d00_0400, "s", "stp d0, d1, [x0]"),
            (0x3dc0_0000, "lv", "ldr q0, [x0]"),
            (0x3c81_0c00, "sv", "str q0, [x0, #16]!"),
            (0x3cc0_1000, "lv", "ldur q0, [x0, #1]"),
            (0x3ca1_6800, "sv", "str q0, [x0, x1]"),
            (0xfd40_0000, "l", "ldr d0, [x0]"),
            (0xbd00_0000, "s", "str s0, [x0]"),
            (0x3d40_0000, "l", "ldr b0, [x0]"),
            (0x4c40_7000, "lv", "ld1 {v0.16b}, [x0]"),
            (0x0c00_7000, "s", "st1 {v0.8b}, [x0]"),
            (0x4c9f_a000, "sv", "st1 {v0.16b, v1.16b}, [x0], #32"),
            (0xc85f_7c20, "l", "ldxr x0, [x1]"),
            (0xc800_7c41, "s", "stxr w0, x1, [x2]"),
            (0xc87f_8440, "l", "ldaxp x0, x1, [x2]"),
            (0xc820_8861, "s", "stlxp w0, x1, x2, [x3]"),
            (0xc8df_fc20, "l", "ldar x0, [x1]"),
            (0xc89f_fc20, "s", "stlr x0, [x1]"),
            (0xc8a0_7c41, "ls", "cas x0, x1, [x2]"),
            (0x88e0_fc41, "ls", "casal w0, w1, [x2]"),
            (0x4820_7c82, "ls", "casp x0, x1, x2, x3, [x4]"),
            (0xf820_0041, "ls", "ldadd x0, x1, [x2]"),
            (0xf8e0_8041, "ls", "swpal x0, x1, [x2]"),
            (0xf820_005f, "ls", "stadd x0, [x2]"),
            (0xf8bf_c020, "l", "ldapr x0, [x1]"),
            (0xd940_8020, "l", "ldapur x0, [x1, #8]"),
            (0xd900_8020, "s", "stlur x0, [x1, #8]"),
            (0xf980_0000, "-", "prfm pldl1keep, [x0]"),
            (0xd800_0080, "-", "prfm pldl1keep, #16"),
            (0xf880_1000, "-", "prfum pldl1keep, [x0, #1]"),
            (0xd920_0800, "s", "stg x0, [x0]"),
            (0xd9a0_0800, "s", "st2g x0, [x0]"),
            (0xd960_0020, "l", "ldg x0, [x1]"),
            (0xd920_0020, "s", "stzgm x0, [x1]"),
            (0xd9e0_0020, "l", "ldgm x0, [x1]"),
            (0x6900_0440, "s", "stgp x0, x1, [x2]"),
            (0x1901_0440, "ls", "cpyfp [x0]!, [x1]!, x2!"),
            (0x19c2_0420, "s", "setp [x0]!, x1!, x2"),
            (0x8580_4000, "lv", "ldr z0, [x0]"),
            (0xe580_4400, "sv", "str z0, [x0, #1, mul vl]"),
            (0x8580_0000, "l", "ldr p0, [x0]"),
            (0xe580_0000, "s", "str p0, [x0]"),
            (0x8b02_0020, "-", "add x0, x1, x2"),
            (0x1e62_2820, "-", "fadd d0, d1, d2"),
            (0x1400_0004, "-", "b #16"),
            (0xd538_4100, "-", "mrs x0, sp_el0"),
            (0xb000_0000, "-", "adrp x0, #4096"),
            (0x25f8_c000, "-", "mov z0.d, #0"),
        ];
        for (word, expected, text) in table {
            assert_eq!(flags(word), expected, "{text}");
        }
    }
}
