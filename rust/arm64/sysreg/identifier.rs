// SPDX-License-Identifier: GPL-2.0

//! What fields and values of the description are called in Rust.

/// Words that cannot be names of functions, and names that `bitfield!` keeps for itself.
const RESERVED: [&str; 57] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "from_raw", "gen", "if",
    "impl", "in", "into", "into_raw", "let", "loop", "macro", "match", "mod", "move", "mut",
    "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait",
    "true", "try", "type", "typeof", "union", "unsafe", "unsized", "use", "virtual", "where",
    "while", "yield", "zeroed", "from",
];

/// The name of a field: in lower case, and with an underscore behind it where that is a word that
/// Rust or `bitfield!` keeps for itself.
pub(crate) fn field(name: &str) -> String {
    let name = name.to_lowercase();
    match RESERVED.contains(&name.as_str()) {
        true => name + "_",
        false => name,
    }
}

/// What the names of the constants that `bitfield!` makes for a field end in.
pub(crate) const CONSTANTS: [&str; 3] = ["MASK", "RANGE", "SHIFT"];

/// The name of the constant for a value of a field: both in upper case, and with an underscore
/// behind them where `bitfield!` makes a constant of that name.
pub(crate) fn value(field: &str, value: &str) -> String {
    let name = format!("{field}_{value}").to_uppercase();
    match CONSTANTS.contains(&value.to_uppercase().as_str()) {
        true => name + "_",
        false => name,
    }
}

/// Returns whether `bitfield!` would make functions of the same names for another field.
pub(crate) fn has_reserved_prefix(field: &str) -> bool {
    ["with_", "const_", "try_with_", "__"]
        .iter()
        .any(|prefix| field.starts_with(prefix))
}

/// Returns whether `name` can be the name of a type or a function at all.
pub(crate) fn is_possible(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_rust_accepts() {
        assert_eq!(field("EnIA"), "enia");
        assert_eq!(field("IN"), "in_");
        assert_eq!(field("Into"), "into_");
        assert_eq!(value("EnTP2", "Trap"), "ENTP2_TRAP");
        assert_eq!(value("TLB", "RANGE"), "TLB_RANGE_");
        assert!(has_reserved_prefix("with_x"));
        assert!(!has_reserved_prefix("width"));
        assert!(is_possible("SPSR_abt") && !is_possible("0x") && !is_possible("A-B"));
    }
}
