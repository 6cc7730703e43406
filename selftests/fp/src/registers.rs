// SPDX-License-Identifier: GPL-2.0

//! Images of the register file in memory: filled from a pattern before the
//! load, and from the registers by the store.

use crate::cpu::Features;
use crate::mismatch::{Mismatch, Register};
use crate::pattern::{Kind, Pattern};

/// The longest vector that the architecture allows, in bytes.
pub const MAX_VL: usize = 256;

/// In AArch32, Q0-Q15 are V0-V15.
pub(crate) const VECTORS: usize = if cfg!(target_arch = "arm") { 16 } else { 32 };
/// P0-P15 and FFR.
const PREDICATES: usize = 17;
const FFR: usize = 16;
/// The cumulative exception flags and QC.
const FPSR_MASK: u64 = (1 << 27) | 0b1001_1111;

/// Which registers an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// V0-V31, or V0-V15 in AArch32.
    Fpsimd,
    /// Z0-Z31, P0-P15 and FFR, of `vl` bytes a vector.
    Sve {
        /// The vector length, in bytes.
        vl: usize,
    },
    /// Those of streaming mode: as for SVE, FFR only where it exists there.
    Streaming {
        /// The streaming vector length, in bytes.
        vl: usize,
        /// Whether FFR exists in streaming mode.
        ffr: bool,
    },
}

impl Layout {
    /// The bytes of a vector register.
    pub fn vector_bytes(self) -> usize {
        match self {
            Layout::Fpsimd => 16,
            Layout::Sve { vl } | Layout::Streaming { vl, .. } => vl,
        }
    }

    /// The number of predicates, FFR among them.
    fn predicates(self) -> usize {
        match self {
            Layout::Fpsimd => 0,
            Layout::Streaming { ffr: false, .. } => FFR,
            Layout::Sve { .. } | Layout::Streaming { ffr: true, .. } => PREDICATES,
        }
    }
}

/// The control and status registers; FPMR is 0 where it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Control {
    /// FPSR.
    pub fpsr: u64,
    /// FPCR.
    pub fpcr: u64,
    /// FPMR.
    pub fpmr: u64,
    /// The vector length of the thread in bytes; 0 where only V is held.
    pub vl: u64,
    /// SVCR; 0 where SME is not used.
    pub svcr: u64,
}

/// An image of the registers, but for ZA and ZT0.
///
/// The register moves lay it out for the vector length of the thread: it has
/// room for the longest one, whatever the length is.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct RegisterSet {
    /// V or Z, one after the other.
    pub(crate) vectors: [u8; VECTORS * MAX_VL],
    /// P0-P15 and FFR, one after the other.
    pub(crate) predicates: [u8; PREDICATES * MAX_VL / 8],
    /// FPSR and its like.
    pub(crate) control: Control,
    layout: Layout,
}

impl RegisterSet {
    /// An image without content.
    pub fn new(layout: Layout) -> Self {
        assert!(layout.vector_bytes() <= MAX_VL && layout.vector_bytes() % 16 == 0);
        Self {
            vectors: [0; VECTORS * MAX_VL],
            predicates: [0; PREDICATES * MAX_VL / 8],
            control: Control::default(),
            layout,
        }
    }

    /// Which registers it holds.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets every register to its value of `pattern`.
    pub fn fill(&mut self, pattern: Pattern, features: &Features) {
        let bytes = self.layout.vector_bytes();
        for (n, register) in self
            .vectors
            .chunks_exact_mut(bytes)
            .take(VECTORS)
            .enumerate()
        {
            pattern.fill_words(Kind::Vector, n as u8, register);
        }
        let count = self.layout.predicates();
        for (n, register) in self
            .predicates
            .chunks_exact_mut(bytes / 8)
            .take(count)
            .enumerate()
        {
            if n == FFR {
                fill_ffr(pattern, register);
            } else {
                pattern.fill_hash(Kind::Predicate, n as u8, register);
            }
        }
        self.control = Control {
            fpsr: pattern.hash(Kind::Control, 0, 0) & FPSR_MASK,
            fpcr: pattern.hash(Kind::Control, 1, 0) & features.fpcr_mask(),
            fpmr: pattern.hash(Kind::Control, 2, 0) & features.fpmr_mask(),
            vl: match self.layout {
                Layout::Fpsimd => 0,
                Layout::Sve { vl } | Layout::Streaming { vl, .. } => vl as u64,
            },
            svcr: 0,
        };
    }

    /// The first register of `found` that differs from this image.
    pub fn first_difference(&self, found: &RegisterSet) -> Option<Mismatch> {
        // The vector length first: with another one, the rest of the image
        // lies elsewhere.
        let control = |register, expected: u64, found: u64| {
            (expected != found)
                .then(|| Mismatch::new(register, &expected.to_le_bytes(), &found.to_le_bytes()))
        };
        let (a, b) = (&self.control, &found.control);
        control(Register::VectorLength, a.vl, b.vl)
            .or_else(|| control(Register::Svcr, a.svcr, b.svcr))
            .or_else(|| self.first_vector_difference(found))
            .or_else(|| self.first_predicate_difference(found))
            .or_else(|| control(Register::Fpsr, a.fpsr, b.fpsr))
            .or_else(|| control(Register::Fpcr, a.fpcr, b.fpcr))
            .or_else(|| control(Register::Fpmr, a.fpmr, b.fpmr))
    }

    fn first_vector_difference(&self, found: &RegisterSet) -> Option<Mismatch> {
        let bytes = self.layout.vector_bytes();
        let name = |n| match self.layout {
            Layout::Fpsimd => Register::V(n),
            Layout::Sve { .. } | Layout::Streaming { .. } => Register::Z(n),
        };
        first_row_difference(&self.vectors, &found.vectors, bytes, VECTORS, name)
    }

    fn first_predicate_difference(&self, found: &RegisterSet) -> Option<Mismatch> {
        let bytes = self.layout.vector_bytes() / 8;
        let count = self.layout.predicates();
        first_row_difference(&self.predicates, &found.predicates, bytes, count, |n| {
            if usize::from(n) == FFR {
                Register::Ffr
            } else {
                Register::P(n)
            }
        })
    }
}

/// FFR takes only values whose ones are all below its zeros.
fn fill_ffr(pattern: Pattern, register: &mut [u8]) {
    let bits = register.len() * 8;
    let ones = (pattern.hash(Kind::Predicate, FFR as u8, 0) % (bits as u64 + 1)) as usize;
    for (n, byte) in register.iter_mut().enumerate() {
        *byte = match ones.saturating_sub(n * 8) {
            0 => 0,
            rest @ 1..=7 => (1 << rest) - 1,
            _ => 0xff,
        };
    }
}

fn first_row_difference(
    expected: &[u8],
    found: &[u8],
    bytes: usize,
    count: usize,
    name: impl Fn(u8) -> Register,
) -> Option<Mismatch> {
    let used = bytes * count;
    if expected[..used] == found[..used] {
        return None;
    }
    let rows = expected
        .chunks_exact(bytes)
        .zip(found.chunks_exact(bytes))
        .take(count);
    let (n, (expected, found)) = rows.enumerate().find(|(_, (a, b))| a != b)?;
    Some(Mismatch::new(name(n as u8), expected, found))
}

/// An image of ZA and ZT0.
///
/// It has room for the longest vectors, whatever the thread's length is.
#[derive(Clone)]
pub struct ZaSet {
    /// The rows of ZA, one after the other.
    pub(crate) za: Vec<u8>,
    /// ZT0; without content where it does not exist.
    pub(crate) zt0: [u8; 64],
    vl: usize,
}

impl ZaSet {
    /// An image without content for a streaming vector length of `vl` bytes.
    pub fn new(vl: usize) -> Self {
        assert!(vl <= MAX_VL && vl % 16 == 0);
        Self {
            za: vec![0; MAX_VL * MAX_VL],
            zt0: [0; 64],
            vl,
        }
    }

    /// Sets every row to its value of `pattern`.
    pub fn fill(&mut self, pattern: Pattern, features: &Features) {
        for (n, row) in self.za.chunks_exact_mut(self.vl).take(self.vl).enumerate() {
            pattern.fill_words(Kind::ZaRow, n as u8, row);
        }
        if features.sme2 {
            pattern.fill_words(Kind::Zt0, 0, &mut self.zt0);
        }
    }

    /// The first row of `found`, or ZT0, that differs from this image.
    pub fn first_difference(&self, found: &ZaSet) -> Option<Mismatch> {
        first_row_difference(&self.za, &found.za, self.vl, self.vl, Register::Za)
            .or_else(|| first_row_difference(&self.zt0, &found.zt0, 64, 1, |_| Register::Zt0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Features = Features {
        sve: true,
        sme: true,
        sme2: true,
        sme_fa64: true,
        fpmr: true,
        fp8: true,
        afp: true,
        fp16: true,
    };
    const PATTERN: Pattern = Pattern { seed: 3, round: 9 };

    fn layouts() -> Vec<Layout> {
        let mut layouts = vec![Layout::Fpsimd];
        for vl in [16, 32, 48, 64, 128, 256] {
            layouts.push(Layout::Sve { vl });
            layouts.push(Layout::Streaming { vl, ffr: true });
            layouts.push(Layout::Streaming { vl, ffr: false });
        }
        layouts
    }

    fn filled(layout: Layout) -> RegisterSet {
        let mut set = RegisterSet::new(layout);
        set.fill(PATTERN, &ALL);
        set
    }

    #[test]
    fn equal_images_do_not_differ() {
        for layout in layouts() {
            assert_eq!(filled(layout).first_difference(&filled(layout)), None);
        }
    }

    #[test]
    fn each_byte_of_each_vector_is_compared_and_named() {
        for layout in layouts() {
            let expected = filled(layout);
            let bytes = layout.vector_bytes();
            for at in 0..VECTORS * bytes {
                let mut found = expected.clone();
                found.vectors[at] ^= 0x10;
                let n = (at / bytes) as u8;
                let name = if layout == Layout::Fpsimd {
                    Register::V(n)
                } else {
                    Register::Z(n)
                };
                let mismatch = expected.first_difference(&found).expect("a difference");
                assert_eq!(mismatch.register, name, "{layout:?} byte {at}");
                assert_eq!(mismatch.expected().len(), bytes);
                assert_ne!(mismatch.expected(), mismatch.found());
            }
        }
    }

    #[test]
    fn each_byte_of_each_predicate_is_compared_and_named() {
        for layout in layouts() {
            let expected = filled(layout);
            let bytes = layout.vector_bytes() / 8;
            for at in 0..layout.predicates() * bytes {
                let mut found = expected.clone();
                found.predicates[at] ^= 1;
                let n = at / bytes;
                let name = if n == 16 {
                    Register::Ffr
                } else {
                    Register::P(n as u8)
                };
                let mismatch = expected.first_difference(&found).expect("a difference");
                assert_eq!(mismatch.register, name, "{layout:?} byte {at}");
            }
        }
    }

    #[test]
    fn each_control_register_is_compared_and_named() {
        type Change = fn(&mut Control);
        let changes: [(Register, Change); 5] = [
            (Register::Fpsr, |control| control.fpsr ^= 1),
            (Register::Fpcr, |control| control.fpcr ^= 1 << 24),
            (Register::Fpmr, |control| control.fpmr ^= 1 << 32),
            (Register::VectorLength, |control| control.vl ^= 16),
            (Register::Svcr, |control| control.svcr ^= 2),
        ];
        for layout in layouts() {
            let expected = filled(layout);
            for (name, change) in changes {
                let mut found = expected.clone();
                change(&mut found.control);
                let mismatch = expected.first_difference(&found).expect("a difference");
                assert_eq!(mismatch.register, name);
            }
        }
    }

    #[test]
    fn each_byte_of_za_and_zt0_is_compared_and_named() {
        for vl in [16, 32, 64] {
            let mut expected = ZaSet::new(vl);
            expected.fill(PATTERN, &ALL);
            assert_eq!(expected.first_difference(&expected.clone()), None);
            for at in 0..vl * vl {
                let mut found = expected.clone();
                found.za[at] ^= 0x80;
                let mismatch = expected.first_difference(&found).expect("a difference");
                assert_eq!(mismatch.register, Register::Za((at / vl) as u8));
            }
            for at in 0..64 {
                let mut found = expected.clone();
                found.zt0[at] ^= 1;
                let mismatch = expected.first_difference(&found).expect("a difference");
                assert_eq!(mismatch.register, Register::Zt0);
            }
        }
    }

    #[test]
    fn ffr_has_its_ones_below_its_zeros() {
        for round in 0..500 {
            let mut register = [0; 32];
            fill_ffr(Pattern { seed: 1, round }, &mut register);
            let bits: Vec<bool> = (0..256)
                .map(|bit| (register[bit / 8] >> (bit % 8)) & 1 == 1)
                .collect();
            assert!(bits.windows(2).all(|pair| pair[0] || !pair[1]));
        }
    }

    #[test]
    fn a_foreign_value_tells_its_owner() {
        let expected = filled(Layout::Sve { vl: 64 });
        let mut foreign = RegisterSet::new(expected.layout());
        foreign.fill(Pattern { seed: 44, round: 5 }, &ALL);
        let mut found = expected.clone();
        // Only the bits above V came from somewhere else.
        found.vectors[7 * 64 + 16..8 * 64].copy_from_slice(&foreign.vectors[7 * 64 + 16..8 * 64]);
        let mismatch = expected.first_difference(&found).expect("a difference");
        assert_eq!(mismatch.register, Register::Z(7));
        let owner = mismatch.owner().expect("an owner");
        assert_eq!((owner.seed, owner.round, owner.register), (44, 5, 7));
    }

    #[test]
    fn control_values_stay_within_what_may_be_set() {
        for round in 0..200 {
            let mut set = RegisterSet::new(Layout::Fpsimd);
            set.fill(Pattern { seed: 1, round }, &Features::default());
            assert_eq!(set.control.fpmr, 0);
            assert_eq!(set.control.fpsr & !FPSR_MASK, 0);
            assert_eq!(set.control.fpcr & !(0b11111 << 22), 0);
        }
    }
}
