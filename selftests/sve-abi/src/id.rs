// SPDX-License-Identifier: GPL-2.0

//! Ids of registers in KVM_GET_ONE_REG, as Documentation/virt/kvm/api.rst has
//! them.

/// arm64, in bits 60 to 63.
pub const ARM64: u64 = 0x6 << 60;
/// The size of a register, as the exponent of a power of two, in bits 52 to 55.
pub const SIZE_SHIFT: u32 = 52;
/// Which kind of register, in bits 16 to 27: core.
pub const CORE: u64 = 0x10 << 16;
/// SVE.
pub const SVE: u64 = 0x15 << 16;
/// The set of vector lengths.
pub const VECTOR_LENGTHS: u64 = ARM64 | (6 << SIZE_SHIFT) | SVE | 0xffff;

/// Zn, a slice of it.
pub const fn z(n: u64, slice: u64) -> u64 {
    ARM64 | (8 << SIZE_SHIFT) | SVE | (n << 5) | slice
}

/// Pn, a slice of it.
pub const fn p(n: u64, slice: u64) -> u64 {
    ARM64 | (5 << SIZE_SHIFT) | SVE | 0x400 | (n << 5) | slice
}

/// FFR, a slice of it.
pub const fn ffr(slice: u64) -> u64 {
    ARM64 | (5 << SIZE_SHIFT) | SVE | 0x600 | slice
}

/// A core register of `1 << size` bytes: its place in `struct kvm_regs`, in
/// words of 32 bits.
pub const fn core(size: u64, word: u64) -> u64 {
    ARM64 | (size << SIZE_SHIFT) | CORE | word
}

/// Place of V0 in `struct kvm_regs`: behind X0 to X30, SP, PC, PSTATE, SP_EL1,
/// ELR_EL1 and five SPSRs.
pub const V0: u64 = 2 * (34 + 2 + 5 + 1);

/// Vn.
pub const fn v(n: u64) -> u64 {
    core(4, V0 + 4 * n)
}

/// FPSR.
pub const FPSR: u64 = core(2, V0 + 4 * 32);

/// FPCR.
pub const FPCR: u64 = core(2, V0 + 4 * 32 + 1);

/// The bytes of a register with this id.
pub const fn size(id: u64) -> usize {
    1 << ((id >> SIZE_SHIFT) & 0xf)
}

/// All registers of SVE, in the order of KVM_GET_REG_LIST.
pub fn all() -> impl Iterator<Item = u64> {
    let z = (0..32).map(|n| z(n, 0));
    let p = (0..16).map(|n| p(n, 0));
    std::iter::once(VECTOR_LENGTHS)
        .chain(z)
        .chain(p)
        .chain(std::iter::once(ffr(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn places_are_those_of_the_c_structure() {
        use kvm_bindings::{kvm_regs, user_fpsimd_state};
        use std::mem::offset_of;

        let fp = offset_of!(kvm_regs, fp_regs);
        assert_eq!(V0 as usize * 4, fp + offset_of!(user_fpsimd_state, vregs));
        let place = |id: u64| (id & 0xffff) as usize * 4;
        assert_eq!(place(FPSR), fp + offset_of!(user_fpsimd_state, fpsr));
        assert_eq!(place(FPCR), fp + offset_of!(user_fpsimd_state, fpcr));
        assert_eq!(size(v(0)), 16);
    }

    #[test]
    fn ids_are_those_of_the_documentation() {
        assert_eq!(VECTOR_LENGTHS, 0x6060_0000_0015_ffff);
        assert_eq!(z(0, 0), 0x6080_0000_0015_0000);
        assert_eq!(p(0, 0), 0x6050_0000_0015_0400);
        assert_eq!(ffr(0), 0x6050_0000_0015_0600);
        assert_eq!([z(1, 2), p(3, 4)].map(|id| id & 0xffff), [0x22, 0x464]);
        assert_eq!(all().count(), 50);
    }
}
