// SPDX-License-Identifier: GPL-2.0

//! Makes the names of Rust functions readable.
//!
//! The kernel's are mangled as RFC 2603 says (`_R...`). What `rustc` does without
//! `-Csymbol-mangling-version=v0` is known, too (`_ZN...E`). Hashes are left out: they say nothing,
//! and change with the compiler.

/// Nesting that no name of a compiler has, and that the stack has room for.
const DEEPEST: u32 = 200;
/// A name that uses back references to grow beyond this is not worth reading.
const LONGEST: usize = 4096;

/// Returns a readable name; `name` itself where it is none of Rust, or not understood.
pub(crate) fn demangle(name: &str) -> String {
    v0(name)
        .or_else(|| legacy(name))
        .unwrap_or_else(|| name.to_owned())
}

fn v0(name: &str) -> Option<String> {
    // What comes behind a dot was added by LLVM.
    let mangled = name.strip_prefix("_R")?.split('.').next()?;
    if !mangled.is_ascii() {
        return None;
    }
    let mut parser = Parser {
        text: mangled.as_bytes(),
        at: 0,
        depth: 0,
        lifetimes: 0,
        out: String::new(),
    };
    parser.path(true)?;
    if parser.at < mangled.len() {
        // The crate that a generic function was made for.
        let length = parser.out.len();
        parser.path(false)?;
        parser.out.truncate(length);
    }
    (parser.at == mangled.len()).then_some(parser.out)
}

/// Reads a mangled name and writes what it means. `None` anywhere: not understood.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    /// Lifetimes that `for<...>` around this place has named.
    lifetimes: u64,
    out: String,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn push(&mut self, text: &str) -> Option<()> {
        self.out.push_str(text);
        (self.out.len() < LONGEST).then_some(())
    }

    /// Goes one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        let result = (self.depth < DEEPEST).then(|| read(self)).flatten();
        self.depth -= 1;
        result
    }

    /// Reads items up to an `E`, with `separator` between them, and returns how many there were.
    fn list(
        &mut self,
        separator: &str,
        mut read: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<usize> {
        let mut count = 0;
        while !self.eat(b'E') {
            if count > 0 {
                self.push(separator)?;
            }
            read(self)?;
            count += 1;
        }
        Some(count)
    }

    fn decimal(&mut self) -> Option<usize> {
        let start = self.at;
        let mut number: usize = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            // There are no leading zeros: `0` is a number of its own.
            if self.at > start && number == 0 {
                break;
            }
            number = number
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))?;
            self.at += 1;
        }
        (self.at > start).then_some(number)
    }

    /// `_` is 0, `0_` is 1, and so on.
    fn base_62(&mut self) -> Option<u64> {
        if self.eat(b'_') {
            return Some(0);
        }
        let mut number: u64 = 0;
        loop {
            let digit = match self.next()? {
                b'_' => return number.checked_add(1),
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'a'..=b'z' => digit - b'a' + 10,
                digit @ b'A'..=b'Z' => digit - b'A' + 36,
                _ => return None,
            };
            number = number.checked_mul(62)?.checked_add(u64::from(digit))?;
        }
    }

    /// A number behind `tag`; 0 without it.
    fn tagged(&mut self, tag: u8) -> Option<u64> {
        match self.eat(tag) {
            true => self.base_62()?.checked_add(1),
            false => Some(0),
        }
    }

    fn identifier(&mut self) -> Option<(u64, String)> {
        let disambiguator = self.tagged(b's')?;
        let punycode = self.eat(b'u');
        let length = self.decimal()?;
        self.eat(b'_');
        let end = self.at.checked_add(length)?;
        let bytes = self.text.get(self.at..end)?;
        self.at = end;
        let name = std::str::from_utf8(bytes).ok()?;
        let name = match punycode {
            true => format!("punycode{{{name}}}"),
            false => name.to_owned(),
        };
        Some((disambiguator, name))
    }

    /// Reads again what stands further in front.
    fn back(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        // The position is that of the `B`.
        let here = self.at - 1;
        let target = usize::try_from(self.base_62()?)
            .ok()
            .filter(|&t| t < here)?;
        let behind = std::mem::replace(&mut self.at, target);
        self.nested(read)?;
        self.at = behind;
        Some(())
    }

    /// A path. As that of a value, generic arguments are behind `::`.
    fn path(&mut self, value: bool) -> Option<()> {
        self.nested(|p| p.path_here(value))
    }

    fn path_here(&mut self, value: bool) -> Option<()> {
        match self.next()? {
            b'C' => {
                let (_, name) = self.identifier()?;
                self.push(&name)
            }
            b'M' => {
                self.skip_impl_path()?;
                self.self_type(false)
            }
            b'X' => {
                self.skip_impl_path()?;
                self.self_type(true)
            }
            b'Y' => self.self_type(true),
            b'N' => {
                let namespace = self.next()?;
                self.path(value)?;
                let (disambiguator, name) = self.identifier()?;
                let kind = match namespace {
                    b'C' => "closure".to_owned(),
                    b'S' => "shim".to_owned(),
                    other @ b'A'..=b'Z' => char::from(other).to_string(),
                    b'a'..=b'z' if name.is_empty() => return Some(()),
                    b'a'..=b'z' => return self.push(&format!("::{name}")),
                    _ => return None,
                };
                let name = match name.is_empty() {
                    true => name,
                    false => format!(":{name}"),
                };
                self.push(&format!("::{{{kind}{name}#{disambiguator}}}"))
            }
            b'I' => {
                self.path(value)?;
                self.push(if value { "::<" } else { "<" })?;
                self.list(", ", Self::generic_argument)?;
                self.push(">")
            }
            b'B' => self.back(|p| p.path(value)),
            _ => None,
        }
    }

    /// Where an `impl` is says nothing to a reader.
    fn skip_impl_path(&mut self) -> Option<()> {
        self.tagged(b's')?;
        let length = self.out.len();
        self.path(false)?;
        self.out.truncate(length);
        Some(())
    }

    fn self_type(&mut self, of_trait: bool) -> Option<()> {
        self.push("<")?;
        self.kind()?;
        if of_trait {
            self.push(" as ")?;
            self.path(false)?;
        }
        self.push(">")
    }

    fn generic_argument(&mut self) -> Option<()> {
        if self.eat(b'L') {
            let index = self.base_62()?;
            self.lifetime(index)
        } else if self.eat(b'K') {
            self.constant()
        } else {
            self.kind()
        }
    }

    /// A lifetime: 0 is `'_`, others count outwards from the innermost that was named.
    fn lifetime(&mut self, index: u64) -> Option<()> {
        if index == 0 {
            return self.push("'_");
        }
        let number = self.lifetimes.checked_sub(index)?;
        match u8::try_from(number) {
            Ok(letter @ 0..=25) => self.push(&format!("'{}", char::from(b'a' + letter))),
            _ => self.push(&format!("'_{number}")),
        }
    }

    /// Reads something behind `for<...>`, if that is there.
    fn bound(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let count = self.tagged(b'G')?;
        // No function has that many; the list would be as long.
        if count > 100 {
            return None;
        }
        if count > 0 {
            self.push("for<")?;
            for index in 0..count {
                if index > 0 {
                    self.push(", ")?;
                }
                self.lifetimes += 1;
                self.lifetime(1)?;
            }
            self.push("> ")?;
        }
        read(self)?;
        self.lifetimes -= count;
        Some(())
    }

    /// A type.
    fn kind(&mut self) -> Option<()> {
        self.nested(Self::kind_here)
    }

    fn kind_here(&mut self) -> Option<()> {
        let tag = self.next()?;
        if let Some(name) = basic(tag) {
            return self.push(name);
        }
        match tag {
            b'A' => {
                self.push("[")?;
                self.kind()?;
                self.push("; ")?;
                self.constant()?;
                self.push("]")
            }
            b'S' => {
                self.push("[")?;
                self.kind()?;
                self.push("]")
            }
            b'T' => {
                self.push("(")?;
                let count = self.list(", ", Self::kind)?;
                self.push(if count == 1 { ",)" } else { ")" })
            }
            b'R' | b'Q' => {
                self.push("&")?;
                if self.eat(b'L') {
                    let index = self.base_62()?;
                    if index > 0 {
                        self.lifetime(index)?;
                        self.push(" ")?;
                    }
                }
                if tag == b'Q' {
                    self.push("mut ")?;
                }
                self.kind()
            }
            b'P' => {
                self.push("*const ")?;
                self.kind()
            }
            b'O' => {
                self.push("*mut ")?;
                self.kind()
            }
            b'F' => self.bound(Self::signature),
            b'D' => {
                self.push("dyn ")?;
                self.bound(|p| p.list(" + ", Self::dyn_trait).map(drop))?;
                if !self.eat(b'L') {
                    return None;
                }
                match self.base_62()? {
                    0 => Some(()),
                    index => {
                        self.push(" + ")?;
                        self.lifetime(index)
                    }
                }
            }
            b'B' => self.back(Self::kind),
            _ => {
                self.at -= 1;
                self.path(false)
            }
        }
    }

    fn signature(&mut self) -> Option<()> {
        if self.eat(b'U') {
            self.push("unsafe ")?;
        }
        if self.eat(b'K') {
            let abi = match self.eat(b'C') {
                true => "C".to_owned(),
                false => self.identifier()?.1.replace('_', "-"),
            };
            self.push(&format!("extern \"{abi}\" "))?;
        }
        self.push("fn(")?;
        self.list(", ", Self::kind)?;
        self.push(")")?;
        if self.eat(b'u') {
            return Some(());
        }
        self.push(" -> ")?;
        self.kind()
    }

    fn dyn_trait(&mut self) -> Option<()> {
        // Associated types stand with the generic arguments.
        let mut separator = "<";
        if self.eat(b'I') {
            self.path(false)?;
            self.push("<")?;
            self.list(", ", Self::generic_argument)?;
            separator = ", ";
        } else {
            self.path(false)?;
        }
        while self.eat(b'p') {
            let (_, name) = self.identifier()?;
            self.push(&format!("{separator}{name} = "))?;
            self.kind()?;
            separator = ", ";
        }
        match separator {
            "<" => Some(()),
            _ => self.push(">"),
        }
    }

    /// The value of a constant that is a generic argument.
    fn constant(&mut self) -> Option<()> {
        self.nested(|p| match p.next()? {
            b'p' => p.push("_"),
            b'B' => p.back(Self::constant),
            b'b' => match p.hex()?.as_str() {
                "" => p.push("false"),
                "1" => p.push("true"),
                _ => None,
            },
            b'c' => {
                let letter = u32::from_str_radix(&p.hex()?, 16).ok()?;
                let letter = char::from_u32(letter)?;
                p.push(&format!("{letter:?}"))
            }
            tag if basic(tag).is_some() => {
                if p.eat(b'n') {
                    p.push("-")?;
                }
                let digits = p.hex()?;
                match u64::from_str_radix(&digits, 16) {
                    Ok(number) => p.push(&number.to_string()),
                    Err(_) if digits.is_empty() => p.push("0"),
                    Err(_) => p.push(&format!("0x{digits}")),
                }
            }
            _ => None,
        })
    }

    /// The digits of a hexadecimal number, without leading zeros.
    fn hex(&mut self) -> Option<String> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'f') = self.peek() {
            self.at += 1;
        }
        let digits = std::str::from_utf8(self.text.get(start..self.at)?).ok()?;
        self.eat(b'_')
            .then(|| digits.trim_start_matches('0').to_owned())
    }
}

/// A type that has a name of its own.
fn basic(tag: u8) -> Option<&'static str> {
    Some(match tag {
        b'a' => "i8",
        b'b' => "bool",
        b'c' => "char",
        b'd' => "f64",
        b'e' => "str",
        b'f' => "f32",
        b'h' => "u8",
        b'i' => "isize",
        b'j' => "usize",
        b'l' => "i32",
        b'm' => "u32",
        b'n' => "i128",
        b'o' => "u128",
        b'p' => "_",
        b's' => "i16",
        b't' => "u16",
        b'u' => "()",
        b'v' => "...",
        b'x' => "i64",
        b'y' => "u64",
        b'z' => "!",
        _ => return None,
    })
}

fn legacy(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("_ZN")?;
    let mut parts = Vec::new();
    while !rest.starts_with('E') {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let length: usize = rest.get(..digits)?.parse().ok()?;
        let end = digits.checked_add(length)?;
        parts.push(rest.get(digits..end)?);
        rest = rest.get(end..)?;
    }
    // The last part is the hash; without one it is C++.
    let (hash, parts) = parts.split_last()?;
    let is_hash = hash.len() == 17 && hash.starts_with('h');
    is_hash.then(|| {
        let parts: Vec<String> = parts.iter().map(|part| unescaped(part)).collect();
        parts.join("::")
    })
}

/// Undoes what stands for characters that are no letters.
fn unescaped(part: &str) -> String {
    // A part that begins with `$` has an underscore in front.
    let part = match part.strip_prefix('_') {
        Some(rest) if rest.starts_with('$') => rest,
        _ => part,
    };
    let mut text = String::new();
    // What stands between two `$` is a name of a character, and what follows is not.
    for (index, piece) in part.split('$').enumerate() {
        match (index % 2, character(piece)) {
            (0, _) => text.push_str(&piece.replace("..", "::")),
            (_, Some(character)) => text.push(character),
            (_, None) => text.push_str(piece),
        }
    }
    text
}

/// The character that is called `name` between two `$`.
fn character(name: &str) -> Option<char> {
    Some(match name {
        "SP" => '@',
        "BP" => '*',
        "RF" => '&',
        "LT" => '<',
        "GT" => '>',
        "LP" => '(',
        "RP" => ')',
        "C" => ',',
        _ => {
            let code = u32::from_str_radix(name.strip_prefix('u')?, 16).ok()?;
            return char::from_u32(code);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_readable() {
        for (mangled, readable) in [
            (
                "_RNvNtCs2lKf6AS60Zg_4core9panicking18panic_bounds_check",
                "core::panicking::panic_bounds_check",
            ),
            (
                "_RINvMNtNtNtCsaE4nPQYlo8G_9kvm_arm643hyp4view8featuresNtB3_8Features5renew\
                 NtNtNtCsb5MLIFMWygY_6kernel5arm645world3VheEB9_",
                "<kvm_arm64::hyp::view::features::Features>::renew::<kernel::arm64::world::Vhe>",
            ),
            (
                "_RNvXNtCsaE4nPQYlo8G_9kvm_arm646statusNtB2_6Status\
                 NtNtCsb5MLIFMWygY_6kernel6module13InPlaceModule4init",
                "<kvm_arm64::status::Status as kernel::module::InPlaceModule>::init",
            ),
            ("_RNCNvC1a1fs_0B3_", "a::f::{closure#1}"),
            ("_RINvC1a1fKj1f_Kb1_KpE", "a::f::<31, true, _>"),
            (
                "_RINvC1a1fAhj4_QTlEFG_RL0_heEuE",
                "a::f::<[u8; 4], &mut (i32,), for<'a> fn(&'a u8, str)>",
            ),
            ("_RINvC1a1fDNtC1b1Tp1XhEL_E", "a::f::<dyn b::T<X = u8>>"),
            ("_RNvC1a1f.llvm.123", "a::f"),
            (
                "_ZN4core6option13unwrap_failed17h0123456789abcdefE",
                "core::option::unwrap_failed",
            ),
            (
                "_ZN42_$LT$a..B$u20$as$u20$c..D$LT$$RF$T$GT$$GT$1f17h0123456789abcdefE",
                "<a::B as c::D<&T>>::f",
            ),
        ] {
            assert_eq!(demangle(mangled), readable);
        }
    }

    #[test]
    fn what_is_not_understood_stays() {
        for name in [
            "memcpy",
            "_R",
            "_RNvC1a",
            "_RB_",
            "_RNvC9a1f",
            "_ZN1a1bE",
            "_ZN1",
            "_RNvCé1f",
        ] {
            assert_eq!(demangle(name), name);
        }
    }

    /// A function with generic arguments, each a pair of what is in front of it.
    fn pairs(count: usize) -> String {
        let mut name = "_RINvC1a1fh".to_owned();
        for _ in 0..count {
            // Positions count from behind `_R`; a number is one more than its digits say.
            let digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
            let previous = name.rfind(['T', 'h']).expect("an argument") - 2;
            let number = |n: usize| {
                let digit = |n: usize| digits.chars().nth(n).expect("a digit");
                match (n - 1) / 62 {
                    0 => format!("{}_", digit(n - 1)),
                    high => format!("{}{}_", digit(high), digit((n - 1) % 62)),
                }
            };
            let back = number(previous);
            name.push_str(&format!("TB{back}B{back}E"));
        }
        name + "E"
    }

    #[test]
    fn hostile_names_end() {
        let deep = |depth: usize| format!("_RINvC1a1f{}hE", "S".repeat(depth));
        assert_eq!(demangle(&deep(3)), "a::f::<[[[u8]]]>");
        assert_eq!(demangle(&deep(100_000)), deep(100_000));
        let modules = "Nv".repeat(100_000);
        let long = format!("_R{modules}C1a1f");
        assert_eq!(demangle(&long), long);

        let two = "a::f::<u8, (u8, u8), ((u8, u8), (u8, u8))>";
        assert_eq!(demangle(&pairs(2)), two);
        assert_eq!(demangle(&pairs(60)), pairs(60));
    }
}
