// SPDX-License-Identifier: GPL-2.0
//! What the kernel's files use of the rest of the kernel crate, and of the
//! crates beside it.
//!
//! Something that another file uses is added here under the name that it has in
//! the kernel crate, as little of it as that file needs. What belongs to the
//! crate `bindings` is in `structures.rs`.

/// Names of macros.
pub mod macros {
    pub use paste::paste;
}

/// Formatting.
pub mod fmt {
    pub use core::fmt::{Debug, Formatter, Result};
}

/// Errors.
pub mod error {
    /// An error number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Error(pub i32);

    /// What functions that can fail return.
    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    /// What C returned: 0 or a negative error number.
    pub fn to_result(returned: i32) -> Result {
        match returned {
            0 => Ok(()),
            number => Err(Error(-number)),
        }
    }

    /// The error numbers that are used.
    pub mod code {
        /// Not allowed.
        pub const EPERM: super::Error = super::Error(1);
        /// No such register.
        pub const ENOENT: super::Error = super::Error(2);
        /// No memory.
        pub const ENOMEM: super::Error = super::Error(12);
        /// Memory of userspace that is not there.
        pub const EFAULT: super::Error = super::Error(14);
        /// A value that is none.
        pub const EINVAL: super::Error = super::Error(22);
        /// Value too large for its type.
        pub const EOVERFLOW: super::Error = super::Error(75);
    }
}

/// Types that are used for what they are not.
pub mod types {
    /// What keeps a type on its thread.
    pub type NotThreadSafe = core::marker::PhantomData<*mut ()>;
}

/// Strings of C.
pub mod str {
    use core::ffi::{c_char, CStr};

    /// What strings of C can do besides.
    pub trait CStrExt {
        /// Returns the pointer that C takes.
        fn as_char_ptr(&self) -> *const c_char;
    }

    impl CStrExt for CStr {
        fn as_char_ptr(&self) -> *const c_char {
            self.as_ptr()
        }
    }
}

/// Types of C.
pub mod ffi {
    pub use core::ffi::{c_int, c_uint};
}

/// Conditions that the kernel's build proves.
pub mod build_assert {
    pub use crate::build_assert;
}

/// What is imported everywhere.
pub mod prelude {
    pub use crate::error::{Error, Result};
    pub use crate::{const_assert, format_args_of as fmt, pr_warn, static_assert, Zeroable};
    pub use core::mem::{size_of, size_of_val};
}

/// Constants of the crate `bindings`, which is this one, too.
mod constants {
    #![allow(non_upper_case_globals)]
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
pub use constants::*;

/// A type for which all zeroes are a value.
///
/// # Safety
///
/// They must be.
pub unsafe trait Zeroable: Sized {
    /// Returns that value.
    fn zeroed() -> Self {
        // SAFETY: By the safety requirement of the trait.
        unsafe { core::mem::zeroed() }
    }
}

macro_rules! zeroable {
    ($($integer:ty)*) => {
        $(
            // SAFETY: All zeroes are 0.
            unsafe impl Zeroable for $integer {}
        )*
    };
}

zeroable!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 isize);

// SAFETY: All zeroes are `false`.
unsafe impl Zeroable for bool {}

// SAFETY: All zeroes are NULL.
unsafe impl<T> Zeroable for *mut T {}

// SAFETY: All zeroes are NULL.
unsafe impl<T> Zeroable for *const T {}

// SAFETY: All zeroes are an array of zeroes.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}

/// Checks while the program runs what the kernel checks when it is built.
#[macro_export]
macro_rules! build_assert {
    ($($condition:tt)*) => { assert!($($condition)*) };
}

/// Checks a constant.
#[macro_export]
macro_rules! static_assert {
    ($condition:expr $(, $message:literal)?) => {
        const _: () = assert!($condition $(, $message)?);
    };
}

/// Checks a constant that depends on parameters.
#[macro_export]
macro_rules! const_assert {
    ($condition:expr $(, $message:literal)?) => { const { assert!($condition $(, $message)?) } };
}

/// Ends the test.
#[macro_export]
macro_rules! warn_flags {
    ($text:expr, $flags:expr) => {
        panic!("WARN_ON_ONCE() in {}, {:#x}", $text, $flags)
    };
}

/// A line of the kernel log, which goes to the test's output.
#[macro_export]
macro_rules! pr_warn {
    ($($arguments:tt)*) => { print!($($arguments)*) };
}

/// Warnings.
pub mod bug {
    /// The flags that taint the kernel.
    pub const fn bugflag_taint(taint: u32) -> u32 {
        taint << 8
    }
}

/// The kernel's `fmt!`.
#[macro_export]
macro_rules! format_args_of {
    ($($arguments:tt)*) => { format_args!($($arguments)*) };
}

/// The kernel's `asm!`, as it is on arm64.
#[macro_export]
macro_rules! asm {
    ($($text:expr),* ; $($rest:tt)*) => { ::core::arch::asm!($($text)*, $($rest)*) };
}

/// The kernel's `concat_literals!`.
#[macro_export]
macro_rules! concat_literals {
    ($($text:literal)*) => { concat!($($text),*) };
}

/// The kernel's `static_key_is_enabled!`.
#[macro_export]
macro_rules! static_key_is_enabled {
    ($key:path) => {{
        let _: *const $crate::static_key_false = &raw const $key;
        $crate::is_static_key_enabled(stringify!($key))
    }};
}

/// The kernel's `static_branch_unlikely!`.
#[macro_export]
macro_rules! static_branch_unlikely {
    ($key:path, $type:ty, $field:ident) => {{
        let key: *const $type = &raw const $key;
        let _: *const $crate::static_key_false = &raw const (*key).$field;
        $crate::is_static_key_enabled(stringify!($field))
    }};
}

/// The kernel's `declare_trace!`, for events of a vCPU, of which the second argument says what
/// they are.
#[macro_export]
macro_rules! declare_trace {
    ($($(#[$attribute:meta])* unsafe fn $name:ident(
        $vcpu_id:ident: c_int, $event:ident: c_uint $(,)?
    );)*) => {
        $(
            $(#[$attribute])*
            unsafe fn $name(_: c_int, $event: c_uint) {
                $crate::tracepoint::count($event);
            }
        )*
    };
}

/// Tracepoints.
pub mod tracepoint {
    pub use crate::declare_trace;
    use std::cell::Cell;

    thread_local! {
        /// How often each event was traced.
        static TRACED: Cell<[u64; 5]> = const { Cell::new([0; 5]) };
    }

    /// Counts an event.
    pub fn count(event: u32) {
        let mut traced = TRACED.get();
        traced[event as usize] += 1;
        TRACED.set(traced);
    }

    /// How often each event was traced in this thread.
    #[cfg(test)]
    pub fn traced() -> [u64; 5] {
        TRACED.get()
    }
}
