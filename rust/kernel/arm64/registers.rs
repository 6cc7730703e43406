// SPDX-License-Identifier: GPL-2.0

//! The system registers that Rust code uses.
//!
//! `rust/arm64/sysreg/gen_sysreg.rs` makes the types from
//! [`arch/arm64/tools/sysreg`](srctree/arch/arm64/tools/sysreg) and
//! [`asm/sysreg.h`](srctree/arch/arm64/include/asm/sysreg.h) for the names in
//! [`rust/arm64/registers`](srctree/rust/arm64/registers):
//!
//! - a register has a type of its name, made with [`bitfield!`](kernel::bitfield!);
//! - the functions of a field have its name in lower case, with an underscore behind it where that
//!   is a keyword (`in_`) or a name that `bitfield!` keeps for itself;
//! - a named value of a field is the constant `<FIELD>_<VALUE>`, in upper case, with an underscore
//!   behind it where `bitfield!` has a constant of that name (`TLB_RANGE_`);
//! - a register that neither file describes the fields of has none, only its 64 bits;
//! - a name that VHE adds, such as `SCTLR_EL12`, is a type without values.

#![allow(non_camel_case_types)]
// `bitfield!` makes constants without documentation.
#![allow(missing_docs)]

use super::sysreg::{
    El0Register,
    El1Register,
    El2Register,
    Encoding,
    Reaches,
    RegisterName,
    SystemRegister, //
};

include!(concat!(
    env!("OBJTREE"),
    "/rust/kernel/arm64/registers_generated.rs"
));
