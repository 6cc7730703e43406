// SPDX-License-Identifier: GPL-2.0

//! Which functions are there to panic, and what to write in place of what calls them.

/// Returns whether the function with this readable name does nothing but panic.
///
/// Those of `core` and `alloc` that do are in `core::panicking`, or are called after what failed,
/// as in `core::option::unwrap_failed`.
pub(crate) fn is_panic(name: &str) -> bool {
    if matches!(name, "rust_begin_unwind" | "rust_panic") {
        return true;
    }
    let library = [
        "core::", "alloc::", "std::", "<core::", "<alloc::", "<std::",
    ];
    // Types of core itself: `<[T]>::copy_from_slice::len_mismatch_fail`.
    let builtin = ["<[", "<str>", "<u", "<i", "<char>", "<f"];
    if !library
        .iter()
        .chain(&builtin)
        .any(|start| name.starts_with(start))
    {
        return false;
    }
    let path = without_arguments(name);
    let last = path.rsplit("::").next().unwrap_or_default();
    path.contains("::panicking::")
        || last.starts_with("panic")
        || last.ends_with("_fail")
        || last.ends_with("_failed")
        || last == "handle_alloc_error"
        || last == "capacity_overflow"
}

/// Takes the generic arguments off the end of a path.
fn without_arguments(name: &str) -> &str {
    let Some(inner) = name.strip_suffix('>') else {
        return name;
    };
    let mut depth = 1;
    for (at, letter) in inner.char_indices().rev() {
        match letter {
            '>' if !inner[..at].ends_with('-') => depth += 1,
            '<' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return inner[..at].trim_end_matches("::");
        }
    }
    name
}

/// Says what to write in place of what called the panic `name`.
pub(crate) fn hint(name: &str) -> &'static str {
    let has = |part: &str| name.contains(part);
    if has("bounds_check") || has("slice_") || has("::index::") {
        "index with get(), or prove the bound with a type"
    } else if has("unwrap_failed") || has("expect_failed") {
        "return the error, or match on what is there"
    } else if has("overflow") {
        "use the checked_, saturating_ or wrapping_ operation that is meant"
    } else if has("div_by_zero") || has("rem_by_zero") {
        "divide by a NonZero, or with checked_div()"
    } else if has("misaligned") || has("null_pointer") || has("nounwind") {
        "build without debug assertions, or prove the precondition"
    } else {
        "return an error, or have the type rule the case out"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_known_by_their_names() {
        for name in [
            "core::panicking::panic_bounds_check",
            "core::panicking::panic_const::panic_const_add_overflow",
            "core::panicking::assert_failed::<u64, u64>",
            "core::option::unwrap_failed",
            "core::option::expect_failed",
            "core::result::unwrap_failed",
            "core::slice::index::slice_end_index_len_fail",
            "core::str::slice_error_fail",
            "core::cell::panic_already_borrowed",
            "<[_]>::copy_from_slice::len_mismatch_fail",
            "<[_]>::copy_from_slice::len_mismatch_fail::<fn(u8) -> [u8; 3]>",
            "alloc::alloc::handle_alloc_error",
            "rust_begin_unwind",
        ] {
            assert!(is_panic(name), "{name}");
        }
        for name in [
            "memcpy",
            "panic_on_oops",
            "core::fmt::write",
            "<u64 as core::fmt::Display>::fmt",
            "kernel::error::unwrap_failed",
            "core::ptr::drop_in_place::<core::panicking::Foo>",
        ] {
            assert!(!is_panic(name), "{name}");
        }
    }

    #[test]
    fn arguments_are_taken_off() {
        assert_eq!(without_arguments("a::b::<c::d<e>, fn() -> f>"), "a::b");
        assert_eq!(without_arguments("<a as b>::c"), "<a as b>::c");
    }

    #[test]
    fn the_hint_is_for_the_panic() {
        assert!(hint("core::panicking::panic_bounds_check").starts_with("index with get()"));
        assert!(
            hint("core::panicking::panic_const::panic_const_add_overflow").contains("checked_")
        );
        assert!(hint("core::option::unwrap_failed").contains("match"));
    }
}
