// SPDX-License-Identifier: GPL-2.0

//! Instructions that are patched once at boot, in assembly that stands outside functions.
//!
//! Tests of capabilities in functions are in [`cpucap`](super::cpucap).
//!
//! C header: [`asm/alternative-macros.h`](srctree/arch/arm64/include/asm/alternative-macros.h)

include!(concat!(
    env!("OBJTREE"),
    "/rust/kernel/arm64/generated_alternative_macro.rs"
));
