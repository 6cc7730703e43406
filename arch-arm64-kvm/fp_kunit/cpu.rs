// SPDX-License-Identifier: GPL-2.0

//! The registers of the CPU that a test runs on.
//!
//! The kernel is compiled not to use the FP registers, so the compiler keeps nothing in them: they
//! belong to whoever the FP core says. All functions here are to be called with preemption
//! disabled, by a test that has made the registers its own.

use core::arch::asm;
use kernel::{
    arm64::{
        barrier::isb,
        cpucap,
        registers::ZCR_EL1,
        sysreg,
        thread_flag::ThreadFlag, //
    },
    asm_clobbering_v_registers,
    bindings, //
};

/// V0 to V31.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(16))]
pub(super) struct Registers([u8; 512]);

impl Registers {
    /// Returns registers whose every byte depends on its place and on `seed`; zeroes for seed 0.
    pub(super) fn pattern(seed: u8) -> Self {
        let mut bytes = [0; 512];
        if seed != 0 {
            for (place, byte) in bytes.iter_mut().enumerate() {
                *byte = (place as u8).wrapping_mul(7) ^ ((place >> 8) as u8) ^ seed;
            }
        }
        Self(bytes)
    }

    /// Returns the 512 bytes at `vregs`.
    ///
    /// # Safety
    ///
    /// `vregs` must be valid for reading 512 bytes.
    pub(super) unsafe fn copy_from(vregs: *const u8) -> Self {
        // SAFETY: By the safety requirement; an array of bytes can hold any value.
        Self(unsafe { vregs.cast::<[u8; 512]>().read_unaligned() })
    }

    /// Loads them into the CPU.
    pub(super) fn load(&self) {
        // SAFETY: Reads 512 bytes of `self`, writes registers that the compiler does not use.
        unsafe {
            asm_clobbering_v_registers!(
                ".arch_extension fp",
                ".arch_extension simd",
                ".irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30",
                "add {at}, {base}, #16 * \\n",
                "ld1 {{v\\n\\().16b}}, [{at}]",
                ".endr",
                ".irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31",
                "add {at}, {base}, #16 * \\n",
                "ld1 {{v\\n\\().16b}}, [{at}]",
                ".endr",
                base = in(reg) self.0.as_ptr(),
                at = out(reg) _,
                options(nostack, preserves_flags, readonly),
            );
        }
    }

    /// Stores those of the CPU.
    pub(super) fn store() -> Self {
        let mut registers = Self([0; 512]);
        // SAFETY: Writes 512 bytes of `registers`.
        unsafe {
            asm!(
                ".arch_extension fp",
                ".arch_extension simd",
                ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                "add {at}, {base}, #16 * \\n",
                "st1 {{v\\n\\().16b}}, [{at}]",
                ".endr",
                ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
                "add {at}, {base}, #16 * \\n",
                "st1 {{v\\n\\().16b}}, [{at}]",
                ".endr",
                base = in(reg) registers.0.as_mut_ptr(),
                at = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
        registers
    }
}

/// Returns the vector length in force, in bytes. Only where the system has SVE.
pub(super) fn sve_vector_length() -> u32 {
    let length: u64;
    // SAFETY: The system has SVE, which the kernel leaves enabled for itself.
    unsafe {
        asm!(
            ".arch_extension sve",
            "rdvl {length}, #1",
            length = out(reg) length,
            options(nomem, nostack, preserves_flags),
        );
    }
    length as u32
}

/// Puts SVE vectors of `length` bytes in force, or, if there are none such, of the next shorter
/// length that the CPU has. Only where the system has SVE.
///
/// The FP core sets the length again before it loads a task's state.
pub(super) fn set_sve_vector_length(length: u32) {
    let len = u64::from(length / 16 - 1) << ZCR_EL1::LEN_SHIFT;
    // SAFETY: ZCR_EL1 may be written where there is SVE; its fields besides LEN are RES0.
    unsafe { sysreg::write(ZCR_EL1::from(len)) };
    isb();
}

/// Returns the shortest and the longest vector length in bytes, where the system has SVE.
pub(super) fn sve_vector_lengths() -> Option<[u32; 2]> {
    // What the architecture knows.
    const LIMITS: [u32; 2] = [16, 256];

    cpucap::system_supports_sve().then(|| {
        LIMITS.map(|length| {
            set_sve_vector_length(length);
            sve_vector_length()
        })
    })
}

/// Sets byte 0 of each element of Zn to `seed + n`, and all its other bytes alike.
pub(super) fn fill_z_registers(seed: u8) {
    // SAFETY: Called only where `sve_vector_lengths` has found SVE; writes registers that the
    // compiler does not use.
    unsafe {
        asm_clobbering_v_registers!(
            ".arch_extension sve",
            ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
            "add {value:w}, {seed:w}, #\\n",
            "dup z\\n\\().b, {value:w}",
            ".endr",
            ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
            "add {value:w}, {seed:w}, #\\n",
            "dup z\\n\\().b, {value:w}",
            ".endr",
            seed = in(reg) u64::from(seed),
            value = out(reg) _,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Returns whether the system has SME.
pub(super) fn has_sme() -> bool {
    cpucap::system_supports_sme()
}

/// Returns SVCR. Only where the system has SME.
pub(super) fn svcr() -> u64 {
    // SAFETY: The caller has asked `has_sme`.
    unsafe { bindings::read_svcr() }
}

/// Enables ZA, as a task that uses SME does. Only where the system has SME.
pub(super) fn enable_za() {
    // SAFETY: The caller has asked `has_sme`. The kernel leaves SME enabled for itself.
    unsafe {
        asm!(
            ".arch_extension sme",
            "smstart za",
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// Uses the registers as a driver does.
pub(super) fn use_kernel_mode_neon() {
    // SAFETY: In task context with preemption disabled the FP core needs no buffer.
    unsafe { bindings::kernel_neon_begin(core::ptr::null_mut()) };
    Registers::pattern(0xff).load();
    // SAFETY: Ends what was begun above.
    unsafe { bindings::kernel_neon_end(core::ptr::null_mut()) };
}

/// Returns whether `TIF_FOREIGN_FPSTATE` is set for the running thread.
pub(super) fn foreign_fpstate() -> bool {
    ThreadFlag::ForeignFpstate.is_set()
}

/// Sets `TIF_FOREIGN_FPSTATE` for the running thread.
pub(super) fn set_foreign_fpstate() {
    ThreadFlag::ForeignFpstate.set();
}
