// SPDX-License-Identifier: GPL-2.0

//! CPU capabilities, tested by instructions that are patched once at boot.
//!
//! A test costs one NOP or one branch, as in C, whose own macro text is what is assembled here.
//!
//! C header: [`arch/arm64/include/asm/alternative-macros.h`](srctree/arch/arm64/include/asm/alternative-macros.h)

/// Tests capability `CPUCAP`, laid out for a CPU that has it.
///
/// Before alternatives are patched, the answer is `false`.
#[inline(always)]
fn alternative_has_cap_likely<const CPUCAP: u32>() -> bool {
    #[cfg(not(testlib))]
    'l_no: {
        // SAFETY: A branch that the alternatives patch into a NOP; it touches neither registers nor
        // memory, and its target is the end of this block.
        unsafe {
            crate::asm!(
                include!(concat!(
                    env!("OBJTREE"),
                    "/rust/kernel/arm64/generated_alternative_likely_asm.rs"
                ));
                l_no = label { break 'l_no },
                cpucap = const CPUCAP,
                options(nomem, nostack, preserves_flags),
            );
        }
        return true;
    }
    false
}

/// Tests capability `CPUCAP`, laid out for a CPU that lacks it.
///
/// Before alternatives are patched, the answer is `false`.
#[inline(always)]
fn alternative_has_cap_unlikely<const CPUCAP: u32>() -> bool {
    #[cfg(not(testlib))]
    'l_yes: {
        // SAFETY: A NOP that the alternatives patch into a branch; it touches neither registers nor
        // memory, and its target is the end of this block.
        unsafe {
            crate::asm!(
                include!(concat!(
                    env!("OBJTREE"),
                    "/rust/kernel/arm64/generated_alternative_unlikely_asm.rs"
                ));
                l_yes = label { break 'l_yes },
                cpucap = const CPUCAP,
                options(nomem, nostack, preserves_flags),
            );
        }
        return false;
    }
    cfg!(not(testlib))
}

/// Returns whether all CPUs have FP and Advanced SIMD.
#[inline(always)]
pub fn system_supports_fpsimd() -> bool {
    alternative_has_cap_likely::<{ bindings::ARM64_HAS_FPSIMD }>()
}

/// Returns whether the system offers SVE: `CONFIG_ARM64_SVE` is set and all CPUs have it.
#[inline(always)]
pub fn system_supports_sve() -> bool {
    cfg!(CONFIG_ARM64_SVE) && alternative_has_cap_unlikely::<{ bindings::ARM64_SVE }>()
}

/// Returns whether the system offers SME: `CONFIG_ARM64_SME` is set and all CPUs have it.
#[inline(always)]
pub fn system_supports_sme() -> bool {
    cfg!(CONFIG_ARM64_SME) && alternative_has_cap_unlikely::<{ bindings::ARM64_SME }>()
}
