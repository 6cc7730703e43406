// SPDX-License-Identifier: GPL-2.0

//! Translations of registers of EL2, as they are without `HCR_EL2.E2H`, to those of EL1.
//!
//! C header: [`arch/arm64/include/asm/kvm_nested.h`](srctree/arch/arm64/include/asm/kvm_nested.h)

// Only VHE runs guests with a virtual EL2.
#![allow(dead_code)]

use kernel::{
    arm64::registers::*,
    bindings, //
};

macro_rules! translations {
    ($($name:ident: $from:ident => $to:ident by $function:ident,)*) => {
        $(#[doc = concat!("Translates `", stringify!($from), "` to `", stringify!($to), "`.")]
        #[inline(always)]
        pub(crate) fn $name(value: $from) -> $to {
            // SAFETY: Computes a value from a value.
            $to::from(unsafe { bindings::$function(value.into()) })
        })*
    };
}

translations! {
    sctlr: SCTLR_EL2 => SCTLR_EL1 by translate_sctlr_el2_to_sctlr_el1,
    cptr: CPTR_EL2 => CPACR_EL1 by translate_cptr_el2_to_cpacr_el1,
    ttbr0: TTBR0_EL2 => TTBR0_EL1 by translate_ttbr0_el2_to_ttbr0_el1,
    tcr: TCR_EL2 => TCR_EL1 by translate_tcr_el2_to_tcr_el1,
}
