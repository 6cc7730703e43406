// SPDX-License-Identifier: GPL-2.0

//! A warning that is given once.
//!
//! C header: [`include/asm-generic/bug.h`](srctree/include/asm-generic/bug.h)

/// Reports a warning the first time that `cond` is true, and returns `cond`.
///
/// # Examples
///
/// ```
/// use kernel::warn_on_once;
///
/// let out_of_step = false;
/// assert!(!warn_on_once!(out_of_step));
/// ```
#[macro_export]
macro_rules! warn_on_once {
    ($cond:expr) => {{
        let cond = $cond;

        #[cfg(CONFIG_DEBUG_BUGVERBOSE_DETAILED)]
        const COND_STR: &str = concat!("[", stringify!($cond), "] ", file!());
        #[cfg(not(CONFIG_DEBUG_BUGVERBOSE_DETAILED))]
        const COND_STR: &str = file!();

        if cond {
            const WARN_ON_ONCE_FLAGS: u32 = $crate::bindings::BUGFLAG_ONCE
                | $crate::bug::bugflag_taint($crate::bindings::TAINT_WARN);

            $crate::warn_flags!(COND_STR, WARN_ON_ONCE_FLAGS);
        }
        cond
    }};
}
