// SPDX-License-Identifier: GPL-2.0

//! Static keys: conditions that are instructions, patched when the condition changes.
//!
//! C header: [`include/linux/jump_label.h`](srctree/include/linux/jump_label.h)

/// Returns whether the `struct static_key_false` that the path names is enabled; C's
/// `static_branch_unlikely()`.
///
/// One NOP, or one branch when it is enabled. [`static_branch_unlikely!`](crate::jump_label) is for
/// keys that are a field of a structure.
///
/// # Safety
///
/// The path must name a static key that is defined in C.
#[macro_export]
macro_rules! static_key_is_enabled {
    ($key:path) => {{
        #[cfg(CONFIG_JUMP_LABEL)]
        {
            $crate::jump_label::arch_static_branch! {
                $key, $crate::bindings::static_key_false, key, false
            }
        }

        #[cfg(not(CONFIG_JUMP_LABEL))]
        {
            let key: *const $crate::bindings::static_key_false = &raw const $key;
            (&raw const (*key).key.enabled.counter).read_volatile() > 0
        }
    }};
}
