// SPDX-License-Identifier: GPL-2.0
//! A function for each way to access each register, to look at its code.

use crate::arm64::barrier::{dmb, dsb, isb, pmr_sync, Ish, Nsh, Sy};
use crate::arm64::copy::copy_once;
use crate::arm64::fp_access::{FpAccess, FpTrapsOpened};
use crate::arm64::registers::*;
use crate::arm64::sysreg::{at_s1e1, read, read_cntpct, write, write_zero};
use crate::arm64::world::{Kernel, Nvhe, Vhe, World};
use crate::for_each::for_each_register;
use crate::{arm64_sve_state, user_fpsimd_state};
use paste::paste;

/// Two functions with C's calling convention: one that reads, one that writes.
macro_rules! pair {
    ($prefix:ident, $register:ident, $read:expr, $write:expr) => {
        paste! {
            #[no_mangle]
            unsafe extern "C" fn [<$prefix _read_ $register>]() -> u64 {
                // SAFETY: Nobody calls this.
                let value: $register = unsafe { $read };
                value.into()
            }

            #[no_mangle]
            unsafe extern "C" fn [<$prefix _write_ $register>](value: u64) {
                // SAFETY: Nobody calls this.
                unsafe { $write($register::from_raw(value)) }
            }
        }
    };
}

macro_rules! accessors {
    (names: [$($name:ident),*]; registers: [$($register:ident),*];
     el0: [$($el0:ident),*]; el1: [$($el1:ident),*]; el2: [$($el2:ident),*];) => {
        $(pair!(plain, $register, read(), write);)*
        $(
            paste! {
                #[no_mangle]
                unsafe extern "C" fn [<plain_zero_ $register>]() {
                    // SAFETY: Nobody calls this.
                    unsafe { write_zero::<$register>() }
                }
            }
        )*
        $(pair!(vhe, $el0, Vhe::read_el0(), Vhe::write_el0);)*
        $(pair!(vhe, $el1, Vhe::read_el1(), Vhe::write_el1);)*
        $(pair!(vhe, $el2, Vhe::read_el2(), Vhe::write_el2);)*
        $(pair!(nvhe, $el0, Nvhe::read_el0(), Nvhe::write_el0);)*
        $(pair!(nvhe, $el1, Nvhe::read_el1(), Nvhe::write_el1);)*
        $(pair!(nvhe, $el2, Nvhe::read_el2(), Nvhe::write_el2);)*
        $(pair!(kernel, $el0, Kernel::read_el0(), Kernel::write_el0);)*
        $(pair!(kernel, $el1, Kernel::read_el1(), Kernel::write_el1);)*
    };
}
for_each_register!(accessors);

/// A copy of three pairs of 64-bit words.
///
/// # Safety
///
/// Nobody calls this.
#[no_mangle]
unsafe extern "C" fn copy_three_pairs(from: *const [u64; 6], to: *mut [u64; 6]) {
    // SAFETY: By the safety requirement.
    unsafe { copy_once(from, to) }
}

/// All barriers.
#[no_mangle]
extern "C" fn barriers() {
    isb();
    dsb::<Nsh>();
    dsb::<Ish>();
    dsb::<Sy>();
    dmb::<Sy>();
}

/// The barrier for masks of interrupts.
#[no_mangle]
extern "C" fn priority_barrier() {
    pmr_sync();
}

/// A read of the counter.
#[no_mangle]
extern "C" fn counter() -> u64 {
    read_cntpct()
}

/// A translation.
///
/// # Safety
///
/// Nobody calls this.
#[no_mangle]
unsafe extern "C" fn translate(address: u64) -> bool {
    // SAFETY: Nobody calls this.
    unsafe { at_s1e1(address, false) }
}

/// A translation that ignores permission overlays.
///
/// # Safety
///
/// Nobody calls this.
#[no_mangle]
unsafe extern "C" fn translate_ignoring_permissions(address: u64) -> bool {
    // SAFETY: Nobody calls this.
    unsafe { at_s1e1(address, true) }
}

/// Functions that move FP registers.
macro_rules! moves {
    ($($name:ident: $function:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            #[no_mangle]
            unsafe extern "C" fn $name($($argument: $type),*) {
                // SAFETY: Nobody calls this.
                unsafe {
                    let access: FpAccess = FpTrapsOpened::assume_written().assume_synchronised();
                    access.$function($($argument),*);
                }
            }
        )*
    };
}

moves! {
    move_save_fpsimd: save_fpsimd(state: *mut user_fpsimd_state);
    move_load_fpsimd: load_fpsimd(state: *const user_fpsimd_state);
    move_save_sve: save_sve(registers: *mut arm64_sve_state, state: *mut user_fpsimd_state);
    move_load_sve: load_sve(registers: *const arm64_sve_state, state: *const user_fpsimd_state);
}
