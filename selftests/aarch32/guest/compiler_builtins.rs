// SPDX-License-Identifier: GPL-2.0

//! Functions that compiled code calls and that no crate of the target's
//! provides here. Those of the runtime ABI for the Arm architecture take the
//! length of a fill before the value.

#![feature(compiler_builtins)]
#![allow(internal_features)]
#![compiler_builtins]
#![no_builtins]
#![no_std]

/// Copies `n` bytes.
///
/// # Safety
///
/// As for C's function.
#[no_mangle]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: Below the length that the caller gave.
        unsafe { to.add(at).write(from.add(at).read()) };
    }
    to
}

/// Fills `n` bytes.
///
/// # Safety
///
/// As for C's function.
#[no_mangle]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: Below the length that the caller gave.
        unsafe { to.add(at).write(value as u8) };
    }
    to
}

/// Declares the names under which compiled code calls the above.
macro_rules! eabi {
    ($($copy:ident)* ; $($fill:ident)* ; $($clear:ident)*) => {
        $(
            /// Copies `n` bytes.
            ///
            /// # Safety
            ///
            /// As for `memcpy`.
            #[no_mangle]
            pub unsafe extern "C" fn $copy(to: *mut u8, from: *const u8, n: usize) {
                // SAFETY: The caller's.
                unsafe { memcpy(to, from, n) };
            }
        )*
        $(
            /// Fills `n` bytes.
            ///
            /// # Safety
            ///
            /// As for `memset`.
            #[no_mangle]
            pub unsafe extern "C" fn $fill(to: *mut u8, n: usize, value: i32) {
                // SAFETY: The caller's.
                unsafe { memset(to, value, n) };
            }
        )*
        $(
            /// Fills `n` bytes with zeros.
            ///
            /// # Safety
            ///
            /// As for `memset`.
            #[no_mangle]
            pub unsafe extern "C" fn $clear(to: *mut u8, n: usize) {
                // SAFETY: The caller's.
                unsafe { memset(to, 0, n) };
            }
        )*
    };
}

eabi! {
    __aeabi_memcpy __aeabi_memcpy4 __aeabi_memcpy8 ;
    __aeabi_memset __aeabi_memset4 __aeabi_memset8 ;
    __aeabi_memclr __aeabi_memclr4 __aeabi_memclr8
}
