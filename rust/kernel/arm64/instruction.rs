// SPDX-License-Identifier: GPL-2.0

//! The instructions that the other primitives are made of.
//!
//! All inline assembly of system registers, barriers and alternatives stands here, and nothing
//! else. A simulated CPU replaces this file, and runs everything above it on any machine.

use super::{
    barrier::Domain,
    sysreg::RegisterName, //
};

/// `asm!` whose text names a register by its five numbers, `{op0}` to `{op2}`.
///
/// With two registers they are `{old_op0}` to `{old_op2}` and `{new_op0}` to `{new_op2}`.
macro_rules! asm_naming {
    ($name:ident; $text:expr; $($operand:tt)*) => {
        crate::asm!(
            $text;
            op0 = const $name::ENCODING.op0,
            op1 = const $name::ENCODING.op1,
            crn = const $name::ENCODING.crn,
            crm = const $name::ENCODING.crm,
            op2 = const $name::ENCODING.op2,
            $($operand)*
        )
    };
    ($old:ident, $new:ident; $text:expr; $($operand:tt)*) => {
        crate::asm!(
            $text;
            old_op0 = const $old::ENCODING.op0,
            old_op1 = const $old::ENCODING.op1,
            old_crn = const $old::ENCODING.crn,
            old_crm = const $old::ENCODING.crm,
            old_op2 = const $old::ENCODING.op2,
            new_op0 = const $new::ENCODING.op0,
            new_op1 = const $new::ENCODING.op1,
            new_crn = const $new::ENCODING.crn,
            new_crm = const $new::ENCODING.crm,
            new_op2 = const $new::ENCODING.op2,
            $($operand)*
        )
    };
}

/// MRS.
///
/// # Safety
///
/// See [`read`](super::sysreg::read).
#[inline(always)]
pub(crate) unsafe fn mrs<N: RegisterName>() -> u64 {
    let value;
    // SAFETY: By the safety requirements. Writes one general-purpose register.
    unsafe {
        asm_naming!(
            N;
            "mrs {value}, S{op0}_{op1}_C{crn}_C{crm}_{op2}";
            value = out(reg) value,
            options(nomem, nostack, preserves_flags),
        );
    }
    value
}

/// MSR.
///
/// # Safety
///
/// See [`write`](super::sysreg::write).
#[inline(always)]
pub(crate) unsafe fn msr<N: RegisterName>(value: u64) {
    // SAFETY: By the safety requirements.
    unsafe {
        asm_naming!(
            N;
            "msr S{op0}_{op1}_C{crn}_C{crm}_{op2}, {value}";
            value = in(reg) value,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// MSR, from XZR.
///
/// # Safety
///
/// See [`write`](super::sysreg::write).
#[inline(always)]
pub(crate) unsafe fn msr_xzr<N: RegisterName>() {
    // SAFETY: By the safety requirements.
    unsafe {
        asm_naming!(
            N;
            "msr S{op0}_{op1}_C{crn}_C{crm}_{op2}, xzr";
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// MRS by the name `OLD`, which the alternatives patch into one by the name `NEW` on a system that
/// has capability `CPUCAP`.
///
/// # Safety
///
/// See [`read`](super::sysreg::read), for the name that is in force.
#[inline(always)]
pub(crate) unsafe fn mrs_alternative<OLD, NEW, const CPUCAP: u32>() -> u64
where
    OLD: RegisterName,
    NEW: RegisterName,
{
    let value;
    // SAFETY: By the safety requirements. Writes one general-purpose register.
    unsafe {
        asm_naming!(
            OLD, NEW;
            include!(concat!(
                env!("OBJTREE"),
                "/rust/kernel/arm64/generated_alternative_mrs_asm.rs"
            ));
            value = out(reg) value,
            cpucap = const CPUCAP,
            options(nomem, nostack, preserves_flags),
        );
    }
    value
}

/// MSR by the name `OLD`, which the alternatives patch into one by the name `NEW` on a system that
/// has capability `CPUCAP`.
///
/// # Safety
///
/// See [`write`](super::sysreg::write), for the name that is in force.
#[inline(always)]
pub(crate) unsafe fn msr_alternative<OLD, NEW, const CPUCAP: u32>(value: u64)
where
    OLD: RegisterName,
    NEW: RegisterName,
{
    // SAFETY: By the safety requirements.
    unsafe {
        asm_naming!(
            OLD, NEW;
            include!(concat!(
                env!("OBJTREE"),
                "/rust/kernel/arm64/generated_alternative_msr_asm.rs"
            ));
            value = in(reg) value,
            cpucap = const CPUCAP,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// ISB.
#[inline(always)]
pub(crate) fn isb() {
    // Without `nomem`, so that the compiler keeps memory accesses on their side.
    // SAFETY: Changes nothing.
    unsafe { crate::asm!("isb"; options(nostack, preserves_flags)) };
}

/// DSB.
#[inline(always)]
pub(crate) fn dsb<D: Domain>() {
    // SAFETY: As for `isb`.
    unsafe { crate::asm!("dsb #{crm}"; crm = const D::CRM, options(nostack, preserves_flags)) };
}

/// DMB.
#[inline(always)]
pub(crate) fn dmb<D: Domain>() {
    // SAFETY: As for `isb`.
    unsafe { crate::asm!("dmb #{crm}"; crm = const D::CRM, options(nostack, preserves_flags)) };
}

/// DSB, which the alternatives patch into a NOP where `ICC_PMR_EL1` needs none.
#[inline(always)]
pub(crate) fn pmr_sync() {
    // SAFETY: Changes nothing.
    unsafe {
        crate::asm!(
            include!(concat!(
                env!("OBJTREE"),
                "/rust/kernel/arm64/generated_pmr_sync_asm.rs"
            ));
            options(nostack, preserves_flags),
        );
    }
}

/// AT of stage 1 as EL1 would access `address`, for a read; with `IGNORING_PERMISSIONS`
/// whatever permissions say. Then an ISB, so that `PAR_EL1` can be read.
///
/// Returns false if the instruction itself took an exception, which leaves `PAR_EL1` unknown.
///
/// # Safety
///
/// The code must run at EL2, in an image whose vectors look into `__kvm_ex_table`.
#[inline(always)]
pub(crate) unsafe fn at_s1e1<const IGNORING_PERMISSIONS: bool>(address: u64) -> bool {
    let mut failed: u64 = 0;
    // S1E1A is op0 1, op1 0, CRn 7, CRm 9, op2 2; S1E1R is the same with CRm 8, op2 0.
    // SAFETY: By the safety requirements. An exception is taken at EL2 and goes on behind the label
    // 2. It changes SPSR_EL2 and ELR_EL2, which are put back, and ESR_EL2 and FAR_EL2, which nobody
    // needs any more: this is called for a fault whose syndrome and address have been read.
    unsafe {
        crate::asm!(
            "mrs {spsr}, spsr_el2
            mrs {elr}, elr_el2
            1: sys #0, c7, c{crm}, #{op2}, {address}
            isb
            b 9f
            2: msr spsr_el2, {spsr}
            msr elr_el2, {elr}
            mov {failed}, #1
            9:
            .pushsection __kvm_ex_table, \"a\"
            .align 3
            .long 1b - ., 2b - .
            .popsection";
            spsr = out(reg) _,
            elr = out(reg) _,
            address = in(reg) address,
            failed = inout(reg) failed,
            crm = const if IGNORING_PERMISSIONS { 9 } else { 8 },
            op2 = const if IGNORING_PERMISSIONS { 2 } else { 0 },
            options(nostack, preserves_flags),
        );
    }
    failed == 0
}

/// Reads the physical counter, after all instructions before it: `CNTPCTSS_EL0`, or an ISB and
/// `CNTPCT_EL0` where there is none.
#[inline(always)]
pub(crate) fn mrs_cntpct() -> u64 {
    let value;
    // SAFETY: Every CPU has one of the two. Writes one general-purpose register.
    unsafe {
        crate::asm!(
            include!(concat!(
                env!("OBJTREE"),
                "/rust/kernel/arm64/generated_alternative_mrs_cntpct_asm.rs"
            ));
            value = out(reg) value,
            options(nostack, preserves_flags),
        );
    }
    value
}

/// Returns the frame pointer and the address of the code that runs.
#[inline(always)]
pub(crate) fn frame() -> (usize, usize) {
    let (frame, code);
    // SAFETY: Writes two general-purpose registers.
    unsafe {
        crate::asm!(
            "mov {frame}, x29
            adr {code}, .";
            frame = out(reg) frame,
            code = out(reg) code,
            options(nomem, nostack, preserves_flags),
        );
    }
    (frame, code)
}

/// Converts an address of the kernel to that of the hypervisor, by masks that are patched at boot.
#[inline(always)]
pub(crate) fn kern_hyp_va(mut address: usize) -> usize {
    // SAFETY: Computes a number from a number.
    unsafe {
        crate::asm!(
            include!(concat!(
                env!("OBJTREE"),
                "/rust/kernel/arm64/generated_kern_hyp_va_asm.rs"
            ));
            address = inout(reg) address,
            options(nomem, nostack, preserves_flags),
        );
    }
    address
}

/// LDP and STP of as many pairs of 64-bit words as a `T` has room for, in a loop of four pairs.
///
/// # Safety
///
/// `from` must be valid for reads of a `T` and `to` for writes; they must not overlap.
#[inline(always)]
pub(crate) unsafe fn copy_pairs<T>(from: *const u64, to: *mut u64) {
    // SAFETY: By the safety requirements.
    unsafe {
        crate::asm!(
            ".if {rounds}
            mov {round}, #{rounds}
            1:
            .rept 4
            ldp {first}, {second}, [{from}], #16
            stp {first}, {second}, [{to}], #16
            .endr
            sub {round}, {round}, #1
            cbnz {round}, 1b
            .endif
            .rept {rest}
            ldp {first}, {second}, [{from}], #16
            stp {first}, {second}, [{to}], #16
            .endr";
            rounds = const size_of::<T>() / 64,
            rest = const size_of::<T>() % 64 / 16,
            round = out(reg) _,
            first = out(reg) _,
            second = out(reg) _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// MRS of `PAR_EL1`, with barriers around it on a CPU with erratum 1508412.
///
/// # Safety
///
/// See [`read`](super::sysreg::read).
#[inline(always)]
pub(crate) unsafe fn mrs_par<N: RegisterName>() -> u64 {
    let value;
    // SAFETY: By the safety requirements. Writes one general-purpose register.
    unsafe {
        asm_naming!(
            N;
            include!(concat!(
                env!("OBJTREE"),
                "/rust/kernel/arm64/generated_alternative_mrs_par_asm.rs"
            ));
            value = out(reg) value,
            options(nostack, preserves_flags),
        );
    }
    value
}

/// Tests capability `CPUCAP`, laid out for a CPU that has it.
///
/// Before alternatives are patched, the answer is `false`.
#[inline(always)]
pub(crate) fn alternative_has_cap_likely<const CPUCAP: u32>() -> bool {
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
pub(crate) fn alternative_has_cap_unlikely<const CPUCAP: u32>() -> bool {
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
    true
}

/// All ones where `index` is less than `size`, and 0 elsewhere. Not speculatively: CSDB
/// (Consumption of Speculative Data Barrier) has what comes after it wait for the mask.
#[inline(always)]
pub(crate) fn array_index_mask_nospec(index: usize, size: usize) -> usize {
    let mask;
    // SAFETY: Writes one general-purpose register and the flags.
    unsafe {
        crate::asm!(
            "cmp {index}, {size}\n\
             sbc {mask}, xzr, xzr\n\
             csdb";
            index = in(reg) index,
            size = in(reg) size,
            // Before `index` and `size` are read for the last time, nothing is written to it.
            mask = lateout(reg) mask,
            options(nomem, nostack),
        );
    }
    mask
}
